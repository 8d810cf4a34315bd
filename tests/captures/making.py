"""Captures for the tests: from the simulated carrier's plans, and byte by byte."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from media.captures.layers import Address
from media.captures.reader import Datagram
from media.captures.writer import CaptureWriter, ip_packet
from media.carrier.options import SimulationOptions, Transport
from media.carrier.plan import RUBBISH, Plan, make_plan

START_NS = 1_700_000_000_123_456_789
RECEIVER = "192.0.2.10"
SENDER = "198.51.100.7"
PORT = 40_000

ETHERNET, NULL, RAW, LOOP, SLL, SLL2 = 1, 0, 101, 108, 113, 276


def datagrams_of(plan: Plan, port: int = PORT) -> list[Datagram]:
    """Return what `plan` sends; each track from a source port of its own, bare RTP two ports a direction."""
    destinations = plan.destinations(0, len(plan))
    table = plan.table(0, len(plan))
    rows = zip(plan.times_ns.tolist(), plan.tracks.tolist(), destinations.tolist(), strict=True)
    return [
        Datagram(
            START_NS + time_ns,
            (SENDER, 30_000 if track == RUBBISH else 30_002 + 2 * track),
            (RECEIVER, port + 2 * destination),
            table.datagram(row),
        )
        for row, (time_ns, track, destination) in enumerate(rows)
    ]


def simulated(transport: Transport = Transport.STREP, **options: object) -> tuple[Plan, list[Datagram]]:
    """Return a plan and what it sends."""
    plan = make_plan(SimulationOptions(transport=transport, audio=None, **options))  # type: ignore[arg-type]
    return plan, datagrams_of(plan)


def write(path: Path, datagrams: Iterable[Datagram], *, nanoseconds: bool = True) -> Path:
    """Write a capture with the production writer."""
    with path.open("wb") as file, CaptureWriter(file, nanoseconds=nanoseconds) as writer:
        for datagram in datagrams:
            writer.write(*datagram)
    return path


def at_time(datagrams: Iterable[Datagram]) -> list[Datagram]:
    """Return them in the order of their times."""
    return sorted(datagrams, key=lambda datagram: datagram.time_ns)


def noise(count: int, *, seed: int = 1) -> list[Datagram]:
    """Return DNS, SIP, RTCP, STUN and random datagrams, `count` of each, over ten seconds."""
    random = np.random.default_rng(seed)
    made: list[Datagram] = []
    for i in range(count):
        # A DNS answer whose id looks like RTP of payload type 0, over and over, with one more each time.
        dns = struct.pack("!HHHHHH", 0x8000, 0x8180, 1, 1 + i % 3, 0, 0) + b"\x07example\x03com\x00\x00\x01\x00\x01"
        payloads = {
            53: dns,
            5060: b"OPTIONS sip:a@example.com SIP/2.0\r\n\r\n",
            40_001: struct.pack("!BBHI", 0x80, 200, 6, 0x1234) + bytes(20),
            3478: b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12),
            4433: random.bytes(int(random.integers(1, 300))),
        }
        time_ns = START_NS + int(random.integers(0, 10_000_000_000))
        made += [Datagram(time_ns, (SENDER, 20_000), (RECEIVER, port), data) for port, data in payloads.items()]
    return made


def frame(link_type: int, source: Address, destination: Address, payload: bytes, *, tags: int = 0) -> bytes:
    """Return a frame of `link_type` with `tags` VLAN tags where it can have them."""
    packet, ether_type = ip_packet(source, destination, payload)
    typed = b""
    for tag in range(tags):
        typed += struct.pack("!HH", 0x88A8 if tag < tags - 1 else 0x8100, 100 + tag)
    typed += struct.pack("!H", ether_type)
    if link_type == ETHERNET:
        return bytes(12) + typed + packet
    if link_type == SLL:
        return struct.pack("!HHH8s", 0, 1, 6, bytes(8)) + typed + packet
    if link_type == SLL2:
        return typed[:2] + struct.pack("!HIHBB8s", 0, 1, 1, 0, 6, bytes(8)) + typed[2:] + packet
    if link_type in (NULL, LOOP):
        family = 2 if ether_type == 0x0800 else 30
        return struct.pack("<I" if link_type == NULL else ">I", family) + packet
    return packet


def pcap(
    frames: Iterable[tuple[int, bytes]], *, link_type: int = ETHERNET, order: str = "<", nanoseconds: bool = True
) -> bytes:
    """Return a pcap file of (time_ns, frame), made without dpkt."""
    magic, unit_ns = (0xA1B23C4D, 1) if nanoseconds else (0xA1B2C3D4, 1000)
    data = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262_144, link_type)
    for time_ns, body in frames:
        seconds, rest_ns = divmod(time_ns, 1_000_000_000)
        data += struct.pack(order + "IIII", seconds, rest_ns // unit_ns, len(body), len(body)) + body
    return data


def block(order: str, block_type: int, body: bytes) -> bytes:
    """Return one pcapng block."""
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", block_type) + length + body + length


def section(order: str) -> bytes:
    """Return a pcapng section header."""
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(order: str, link_type: int, *, resolution: int | None = None, offset_s: int | None = None) -> bytes:
    """Return a pcapng interface description."""
    body = struct.pack(order + "HHI", link_type, 0, 0)
    if resolution is not None:
        body += struct.pack(order + "HHB3x", 9, 1, resolution)
    if offset_s is not None:
        body += struct.pack(order + "HHq", 14, 8, offset_s)
    return block(order, 1, body + struct.pack(order + "HH", 0, 0))


def packet(order: str, units: int, body: bytes, *, interface_number: int = 0) -> bytes:
    """Return a pcapng enhanced packet."""
    head = struct.pack(order + "IIIII", interface_number, units >> 32, units & 0xFFFFFFFF, len(body), len(body))
    return block(order, 6, head + body)
