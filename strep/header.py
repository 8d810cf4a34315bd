"""STREP, the Simple Telnyx RTP Encapsulation Protocol, version 1 ("Forking start" in the vendor's API).

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |1 1|Version|L|D|   HeaderLen   |      reserved (2 bytes)       |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |        reserved (4 bytes, for UDP ports or anything else)     |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |              call_leg_id from Call Control, 16 bytes          |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

RTP begins HeaderLen bytes into the datagram, whatever HeaderLen is; reserved bytes are ignored.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from uuid import UUID

from strep.errors import WireError

HEADER_BYTES = 24
VERSION = 1
MAGIC = 0b11

#                     first byte, HeaderLen, reserved 2, reserved 4, call_leg_id
_LAYOUT = struct.Struct("!BB2s4s16s")
assert _LAYOUT.size == HEADER_BYTES


class Leg(IntEnum):
    """The L bit: which leg of the call."""

    A = 0
    B = 1


class Direction(IntEnum):
    """The D bit, seen from the carrier; the value is also the channel of a stereo recording."""

    INBOUND = 0
    """Received by the carrier: ``rx``, the left channel."""
    OUTBOUND = 1
    """Transmitted by the carrier: ``tx``, the right channel."""


@dataclass(frozen=True, slots=True)
class StrepHeader:
    """One parsed header.

    Attributes:
        call_leg_id: the 128-bit identifier, network byte order.
        leg: the L bit.
        direction: the D bit.
        header_length_bytes: where RTP begins in the datagram; 24 in version 1.
    """

    call_leg_id: UUID
    leg: Leg
    direction: Direction
    header_length_bytes: int = HEADER_BYTES


def serialize(header: StrepHeader) -> bytes:
    """Return the header's bytes, `header.header_length_bytes` long, reserved and extra bytes zero."""
    first = MAGIC << 6 | VERSION << 2 | header.leg << 1 | header.direction
    fixed = _LAYOUT.pack(first, header.header_length_bytes, bytes(2), bytes(4), header.call_leg_id.bytes)
    return fixed + bytes(header.header_length_bytes - HEADER_BYTES)


def parse(datagram: bytes) -> StrepHeader:
    """Parse the header in front of `datagram`: bytes from the network, the batch parser's oracle.

    Raises:
        WireError: not STREP, another version, a HeaderLen below 24 or beyond the datagram.
    """
    if not datagram:
        raise WireError("EMPTY", "datagram without a byte")
    if datagram[0] >> 6 != MAGIC:
        raise WireError("NOT_STREP", f"first bits {datagram[0] >> 6:02b} where STREP has 11")
    if datagram[0] >> 2 & 0b1111 != VERSION:
        raise WireError("STREP_VERSION", f"version {datagram[0] >> 2 & 0b1111}, known is {VERSION}")
    if len(datagram) < HEADER_BYTES:
        raise WireError("TRUNCATED", f"{len(datagram)} bytes, a STREP header has {HEADER_BYTES}")
    first, header_length, _, _, call_leg_id = _LAYOUT.unpack_from(datagram)
    if header_length < HEADER_BYTES:
        raise WireError("STREP_HEADER_LENGTH", f"HeaderLen {header_length}, at least {HEADER_BYTES}")
    if header_length > len(datagram):
        raise WireError("TRUNCATED", f"HeaderLen {header_length} in a datagram of {len(datagram)} bytes")
    return StrepHeader(UUID(bytes=call_leg_id), Leg(first >> 1 & 1), Direction(first & 1), header_length)
