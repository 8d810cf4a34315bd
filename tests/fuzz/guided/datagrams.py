"""Datagrams: both parsers in columns against the scalar ones, the doors with their rules, and payloads of packets.

Promises: nothing raises; column and scalar parsers say the same of each datagram; each datagram is counted once; a
decoder returns as many samples as were foretold, or raises `WireError`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from ipaddress import ip_network
from uuid import UUID

import numpy as np

from media.admission.legs import LegGuard
from media.codecs import Encoding, decoder_for
from media.decoding.events import DIGITS, TelephoneEvents
from media.decoding.payload_types import PayloadType, PayloadTypes
from media.doors.rtp import RtpDoor
from media.doors.sources import pack_source
from media.doors.strep import StrepDoor
from media.engine import Engine
from strep import header, rtp
from strep.clock import NS_PER_MS, NS_PER_SECOND, ManualClock
from strep.datagrams import collect, parse_rtp, parse_strep
from strep.errors import WireError
from strep.header import Direction, Leg, StrepHeader
from strep.reject import Reject
from strep.rtp import RtpPacket
from strep.timeline import Timeline
from tests.fuzz.guided.target import Bytes, Target, pieces
from tests.fuzz.test_datagram_fuzz import Nowhere, packets
from tests.strep.test_datagrams import batch_of, check_packet, scalar_rtp, scalar_strep

TYPES = PayloadTypes([PayloadType(96, "L16", 16000), PayloadType(97, "L16", 44100), PayloadType(111, "OPUS", 48000)])
SOURCES = [pack_source("192.0.2.1", 4000), pack_source("192.0.2.1", 4002), pack_source("2001:db8::1", 4001)]
LEG = UUID("9b6f58a2-0a2b-11ee-be56-0242ac120002")
ENCODINGS = [Encoding("PCMU"), Encoding("L16", 16000), Encoding("G722", 16000), Encoding("OPUS", 48000)]
ENCODINGS += [Encoding("OPUS", 8000), Encoding("L16", 8000, big_endian=False)]


MOST_STEPS = 16


def check_datagrams(data: bytes) -> None:
    """The first byte says how: the parsers, or payloads of packets."""
    given = Bytes(data)
    kind = given.byte()
    (check_payloads if kind & 1 else check_parsers)(given, kind)


def check_parsers(given: Bytes, kind: int) -> None:
    """Columns say what the scalar parsers say, whatever lies behind a datagram in its row."""
    datagrams = [given.piece() for _ in range(1 + (kind >> 3))]
    batch = batch_of(datagrams, stale=given.byte())
    columns = (parse_rtp if kind & 4 else parse_strep)(batch)
    assert len(columns) + int((columns.reject != Reject.NONE).sum()) == len(datagrams)
    i = 0
    for row, datagram in enumerate(datagrams):
        expected = scalar_rtp(datagram) if kind & 4 else scalar_strep(datagram)
        if isinstance(expected, Reject):
            assert columns.reject[row] == expected
            continue
        head, packet = (None, expected) if isinstance(expected, RtpPacket) else expected
        if head is not None:
            assert columns.call_leg_high[i] == head.call_leg_id.int >> 64
            assert columns.call_leg_low[i] == head.call_leg_id.int & (1 << 64) - 1
            assert columns.leg_direction[i] == head.leg << 1 | head.direction
        assert columns.row[i] == row
        check_packet(columns, batch, i, packet)
        i += 1
    assert i == len(columns)


def check_doors(data: bytes) -> None:
    """Whatever comes, when it comes, and from wherever: it is counted once. The first byte is the rules."""
    given = Bytes(data)
    kind, steps = given.byte(), 0
    logging.disable(logging.CRITICAL)
    mode = ("open", "probation", "registered", "open")[kind >> 3 & 3]
    networks = [ip_network("192.0.2.0/24")] if kind & 32 else []
    guard = LegGuard(mode, networks, is_pinned=not kind & 64)  # type: ignore[arg-type]
    clock, nowhere = ManualClock(100 * NS_PER_SECOND), Nowhere()
    engine = Engine(
        Timeline(), clock, [nowhere], idle_timeout_ns=2 * NS_PER_SECOND, max_tracks=6, payload_types=TYPES
    )
    strep_door, rtp_door = StrepDoor(engine, guard), RtpDoor("tap", engine, guard)
    door = strep_door if kind & 4 else rtp_door
    received = 0
    while given and steps < MOST_STEPS:
        step, steps = given.byte(), steps + 1
        now_ns = clock.now_ns()
        source = SOURCES[step % 3]
        batch = collect([(given.piece(), now_ns, source) for _ in range(1 + (step >> 2 & 3))])
        received += len(batch)
        if kind & 4:
            strep_door.receive(batch, now_ns)
            if step & 16:
                strep_door.register(LEG, now_ns, 600 * NS_PER_SECOND)
        else:
            rtp_door.receive(batch, Direction(step >> 4 & 1), now_ns)
        engine.poll(clock.advance((0, 20, 70, 900)[step >> 5 & 3] * NS_PER_MS))
        waiting = guard.quarantine.held if kind & 4 else 0
        strep_door.rejected[Reject.QUARANTINE] = guard.quarantine.dropped
        assert door.datagrams == received
        assert packets(engine) + nowhere.received + waiting == received - int(door.rejected.sum())
    engine.end_all("shutdown")
    assert engine.conservation_errors == 0
    assert engine.calls_started == engine.calls_ended
    assert not np.any(engine.timeline.table.tracks.in_use)


def check_payloads(given: Bytes, kind: int) -> None:
    """Payloads of one track, one after the other."""
    if kind & 4:
        check_keys(given)
        return
    encoding = ENCODINGS[(kind >> 3) % len(ENCODINGS)]
    decoder = decoder_for(encoding)
    while given:
        payload = given.piece()
        try:
            foretold = encoding.samples_of(payload)
            pcm = decoder.decode(payload)
        except WireError:
            continue
        assert pcm.dtype == np.int16
        assert encoding.name == "OPUS" or len(pcm) == foretold
        assert abs(len(pcm) - foretold) <= encoding.sample_rate_hz // 100


def check_keys(given: Bytes) -> None:
    """Telephone-events: at most one key for each four bytes."""
    events, told, heard, now_ns = TelephoneEvents(8000), 0, 0, 0
    while given:
        ssrc, timestamp, payload = given.byte() & 3, given.number(4), given.piece()
        over = events.receive(ssrc, timestamp, payload, now_ns)
        now_ns += (given.byte() << 1) * NS_PER_MS
        over += events.poll(now_ns)
        told += len(over)
        heard += len(payload) // 4
        assert all(event["digit"] in DIGITS and 0 <= event["duration_ms"] <= 8192 for event in over)
    assert told + len(events.finish()) <= heard


def datagram(sequence: int, payload_type: int = 0, payload: bytes = b"\x55" * 20, **more: object) -> bytes:
    packet = RtpPacket(payload_type, sequence & 0xFFFF, sequence * 160, 7, payload, **more)  # type: ignore[arg-type]
    return rtp.serialize(packet)


def strange() -> list[bytes]:
    return [
        datagram(1, csrc=(1, 2)),
        datagram(2, extension=(0xBEDE, b"abcdefgh")),
        datagram(3, padding_bytes=4),
        datagram(4, 101, b"\x05\x80\x01\x00"),
        datagram(5, 13, b"\x40"),
        datagram(6, 111, b"\xf8\xff\xfe"),
        datagram(7, 96, bytes(32)),
        datagram(8, 9, bytes(30)),
        datagram(9, 8),
        b"\x80\xc8" + bytes(26),
        b"",
        b"OPTIONS sip:a",
        bytes(2049),
    ]


def wrapped(data: bytes, number: int = 0, header_bytes: int = header.HEADER_BYTES) -> bytes:
    return header.serialize(StrepHeader(LEG, Leg(number & 1), Direction(number >> 1 & 1), header_bytes)) + data


def datagrams_seeds() -> Iterator[bytes]:
    yield b"\xf8" + pieces(*map(wrapped, strange(), range(99)), wrapped(datagram(1), 0, 32)) + b"\xaa"
    yield b"\xfc" + pieces(*strange()) + b"\xff"
    yield b"\xf8" + pieces(*(wrapped(datagram(i)) for i in range(6)))
    for number in range(len(ENCODINGS)):
        yield bytes((3 | number << 3,)) + pieces(b"\xf8\xff\xfe", bytes(40), b"\x0b\x02" + bytes(9), b"\xff" * 21)
    key = b"\0" + bytes(4)
    yield b"\7" + b"".join(key + pieces(bytes((5, e, 0, d))) + b"\x19" for e, d in ((0, 160), (0, 240), (128, 255)))


def doors_seeds() -> Iterator[bytes]:
    small = [each for each in strange() if len(each) < 100]
    for mode in (0, 8, 16, 32, 64):
        yield bytes((4 | mode,)) + b"".join(b"\x20" + pieces(wrapped(datagram(i))) for i in range(6))
        yield bytes((4 | mode,)) + b"".join(b"\x20" + pieces(wrapped(d, i)) for i, d in enumerate(small))
        yield bytes((4 | mode,)) + b"".join(
            bytes((0x34 + i,)) + pieces(*2 * [wrapped(datagram(i))]) for i in range(4)
        )
        yield bytes((mode,)) + b"".join(b"\x20" + pieces(each) for each in small)
        yield bytes((mode,)) + b"".join(bytes((0x24 + i,)) + pieces(datagram(i), datagram(i)) for i in range(4))


DOORS = Target("doors", check_doors, doors_seeds, 1500)
DATAGRAMS = Target("datagrams", check_datagrams, datagrams_seeds, 4000)
