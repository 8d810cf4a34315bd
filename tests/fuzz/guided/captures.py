"""Capture files, pcap and pcapng, and the frames in them.

Promises: what is no capture is a `WireError`, what is damaged ends in `Damage`, and nothing else is raised; a frame
gives a datagram, or the reason why it does not; no more is read than is there.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator
from io import BytesIO

from media.captures.layers import Skip, parse_frame
from media.captures.records import LATEST_NS, Damage, read_records
from media.captures.writer import CaptureWriter, frame
from strep.errors import WireError
from tests.fuzz.guided.target import Target

HERE, THERE = ("192.0.2.1", 4000), ("198.51.100.7", 5000)
HERE6, THERE6 = ("2001:db8::1", 4000), ("2001:db8::2", 5000)


def check_captures(data: bytes) -> None:
    """The bytes are a file."""
    file, taken = BytesIO(data), 0
    try:
        for record in read_records(file):
            taken += len(record.frame)
            assert record.time_ns is None or 0 <= record.time_ns <= LATEST_NS
            check_frame(record.link_type, record.frame)
            for link_type in (1, 113, 276, 0, 101):
                check_frame(link_type, record.frame)
    except (WireError, Damage) as error:
        assert len(str(error)) < 500  # noqa: PT017
    assert taken <= len(data)
    check_frame(data[0] if data else 0, data[1:])


def check_frame(link_type: int, data: bytes) -> None:
    """Parse one frame."""
    parsed = parse_frame(link_type, data)
    if isinstance(parsed, Skip):
        return
    for address, port in parsed[:2]:
        ipaddress.ip_address(address)
        assert 0 <= port < 1 << 16
    assert parsed[2] in data


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + length + body + length


def captures_seeds() -> Iterator[bytes]:
    for nanoseconds in (False, True):
        file = BytesIO()
        writer = CaptureWriter(file, nanoseconds=nanoseconds)
        writer.write(10**18, HERE, THERE, b"abc")
        writer.write(10**18 + 5, HERE6, THERE6, b"defgh")
        yield file.getvalue()
    data = frame(HERE, THERE, b"xyz")
    tagged = data[:12] + b"\x81\x00\x00\x05" + data[12:]
    v6 = frame(HERE6, THERE6, b"xyz")
    extended = v6[:20] + b"\0" + v6[21:54] + b"\x11\0" + bytes(6) + v6[54:]
    for order in "<>":
        options = struct.pack(order + "HHB3xHHq", 9, 1, 9, 14, 8, 5) + bytes(4)
        comment = struct.pack(order + "HH4s", 1, 4, b"abcd")
        parts = [
            block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1)),
            block(order, 1, struct.pack(order + "HHI", 1, 0, 0) + comment + options),
            block(order, 1, struct.pack(order + "HHI", 101, 0, 96)),
            *(block(order, 6, struct.pack(order + "IIIII", 0, 1, 2, len(f), len(f)) + f) for f in (data, tagged, v6)),
            block(order, 6, struct.pack(order + "IIIII", 0, 1, 2, len(extended), len(extended)) + extended),
            block(order, 2, struct.pack(order + "HHIIII", 1, 0, 1, 2, 31, 31) + data[14:]),
            block(order, 3, struct.pack(order + "I", len(data)) + data),
            block(order, 5, bytes(12)),
        ]
        yield b"".join(parts)
        yield b"".join(parts[:4]) + b"".join(parts[:3])
    yield b"\x1f\x8b\x08\x00"
    yield b"\x01" + data


CAPTURES = Target("captures", check_captures, captures_seeds, 4000)
