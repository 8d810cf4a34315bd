"""RTP's fixed header, CSRC list, extension and padding (RFC 3550 section 5.1), one packet at a time.

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |V=2|P|X|  CC   |M|     PT      |       sequence number         |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                           timestamp                           |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |           synchronization source (SSRC) identifier            |
    +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
    |   0 to 15 CSRC identifiers, then with X: 16 bits of profile,  |
    |   16 bits of length in words, that many words of extension    |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from strep.errors import WireError

FIXED_HEADER_BYTES = 12
VERSION = 2
RTCP_PAYLOAD_TYPES = range(192, 224)
"""Second byte of RTCP packets when RTP and RTCP share a port (RFC 5761 section 4)."""
COMFORT_NOISE = 13
"""Static payload type of RFC 3389 comfort noise: a packet that carries silence, not samples."""

#                     V P X CC, M PT, sequence_number, timestamp, ssrc
_LAYOUT = struct.Struct("!BBHII")
assert _LAYOUT.size == FIXED_HEADER_BYTES


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """One packet, named as in RFC 3550 section 5.1."""

    payload_type: int
    sequence_number: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False
    csrc: tuple[int, ...] = ()
    extension: tuple[int, bytes] | None = None
    """Profile word and data (whole 32-bit words) of the header extension, section 5.3.1."""
    padding_bytes: int = 0


def serialize(packet: RtpPacket) -> bytes:
    """Return the packet's bytes; the inverse of `parse`."""
    has_padding, has_extension = packet.padding_bytes > 0, packet.extension is not None
    first = VERSION << 6 | has_padding << 5 | has_extension << 4 | len(packet.csrc)
    second = packet.marker << 7 | packet.payload_type
    parts = [_LAYOUT.pack(first, second, packet.sequence_number, packet.timestamp, packet.ssrc)]
    parts += [csrc.to_bytes(4, "big") for csrc in packet.csrc]
    if packet.extension is not None:
        profile, data = packet.extension
        parts += [struct.pack("!HH", profile, len(data) // 4), data]
    parts.append(packet.payload)
    if has_padding:
        parts.append(bytes(packet.padding_bytes - 1) + bytes([packet.padding_bytes]))
    return b"".join(parts)


def parse(data: bytes) -> RtpPacket:
    """Parse one packet: bytes from the network, the batch parser's oracle.

    Raises:
        WireError: RTCP, another version, truncated headers, an impossible padding count.
    """
    if len(data) < FIXED_HEADER_BYTES:
        raise WireError("TRUNCATED", f"{len(data)} bytes, an RTP header has {FIXED_HEADER_BYTES}")
    first, second, sequence_number, timestamp, ssrc = _LAYOUT.unpack_from(data)
    if first >> 6 != VERSION:
        raise WireError("RTP_VERSION", f"version {first >> 6}, RTP has {VERSION}")
    if second in RTCP_PAYLOAD_TYPES:
        raise WireError("RTCP", f"packet type {second}")
    csrc_end = FIXED_HEADER_BYTES + 4 * (first & 0b1111)
    extension, payload_start = _parse_extension(data, csrc_end, present=bool(first & 0x10))
    if payload_start > len(data):
        raise WireError("RTP_LENGTH", f"headers of {payload_start} bytes in a packet of {len(data)}")
    padding = _padding_bytes(data, payload_start) if first & 0x20 else 0
    csrc = tuple(int.from_bytes(data[i : i + 4], "big") for i in range(FIXED_HEADER_BYTES, csrc_end, 4))
    payload = data[payload_start : len(data) - padding]
    return RtpPacket(
        second & 0x7F, sequence_number, timestamp, ssrc, payload, bool(second >> 7), csrc, extension, padding
    )


def _parse_extension(data: bytes, start: int, *, present: bool) -> tuple[tuple[int, bytes] | None, int]:
    if not present:
        return None, start
    if start + 4 > len(data):
        raise WireError("RTP_LENGTH", "header extension beyond the packet")
    profile, words = struct.unpack_from("!HH", data, start)
    end = start + 4 + 4 * words
    return (profile, data[start + 4 : end]), end


def _padding_bytes(data: bytes, payload_start: int) -> int:
    padding = data[-1]
    if not 0 < padding <= len(data) - payload_start:
        raise WireError("RTP_PADDING", f"padding {padding} in a payload of {len(data) - payload_start} bytes")
    return padding
