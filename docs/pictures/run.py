"""A call by hand: packets with times, through door, engine and timeline of the server, by a manual clock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple
from uuid import UUID

from media.blocks import PcmBatch
from media.doors.sources import pack_source
from media.doors.strep import StrepDoor
from media.engine import Engine
from media.sinks.contract import CallReport
from media.sinks.queue import CallEnded, Item
from strep import header, rtp
from strep.clock import NS_PER_MS, NS_PER_SECOND, ManualClock
from strep.datagrams import collect
from strep.header import Direction, Leg, StrepHeader
from strep.rtp import RtpPacket
from strep.table import TimelineSettings
from strep.timeline import Timeline

SAMPLES_PER_MS = 8
_LEG = StrepHeader(UUID(int=1), Leg.A, Direction.INBOUND)
_SOURCE = pack_source("192.0.2.1", 4000)
_BEAT_MS = 5


class Packet(NamedTuple):
    """What arrives when: `timestamp` in samples, `number` is the sequence number."""

    arrival_ms: float
    number: int
    timestamp: int
    ssrc: int = 1
    direction: Direction = Direction.INBOUND
    length_ms: int = 20


class Block(NamedTuple):
    """What a sink got when, in ms; `late` is a patch."""

    now_ms: float
    channel: int
    begin_ms: float
    end_ms: float
    late: bool


@dataclass
class Run:
    """What became of packets; times in ms since the first arrival, places in ms on the call's timeline.

    Attributes:
        blocks: in the order in which sinks got them.
        resolved: (time, place) up to where the inbound track was settled, at each beat.
        lags: by direction, (time, ms that the newest audio lies behind the arrival clock).
        report: of the call's end.
    """

    blocks: list[Block] = field(default_factory=list)
    resolved: list[tuple[float, float]] = field(default_factory=list)
    lags: tuple[list[tuple[float, float]], list[tuple[float, float]]] = field(default_factory=lambda: ([], []))
    report: CallReport | None = None

    is_sensitive = False
    _begin_ns: int = 0

    def put(self, item: Item) -> None:
        """Take note of what the engine hands to sinks."""
        if isinstance(item, PcmBatch):
            for row in range(len(item)):
                place = int(item.positions[row])
                begin_ms, end_ms = ((place + int(edge[row])) / SAMPLES_PER_MS for edge in (item.first, item.last))
                now_ms = (item.now_ns - self._begin_ns) / NS_PER_MS
                self.blocks.append(Block(now_ms, int(item.channel[row]), begin_ms, end_ms, item.late))
        elif isinstance(item, CallEnded):
            self.report = item.report


def play(packets: Iterable[Packet], *, beat_ms: int = _BEAT_MS, block_ms: int = 100) -> Run:
    """Let packets arrive, look at the engine at every beat, and end the call half a second behind the last one."""
    coming = sorted(packets, key=lambda packet: packet.arrival_ms)
    clock, run = ManualClock(NS_PER_SECOND), Run(_begin_ns=NS_PER_SECOND)
    timeline = Timeline(TimelineSettings(block_ms=block_ms))
    engine = Engine(timeline, clock, [run], idle_timeout_ns=3600 * NS_PER_SECOND, max_tracks=8)
    door = StrepDoor(engine)
    end_ms, now_ms = coming[-1].arrival_ms + 500, 0
    while now_ms <= end_ms:
        due = [packet for packet in coming if packet.arrival_ms <= now_ms]
        coming = coming[len(due) :]
        if due:
            door.receive(collect([_datagram(packet) for packet in due]), clock.now_ns())
        engine.poll(clock.now_ns())
        _look(engine, run, now_ms)
        now_ms += beat_ms
        clock.advance(beat_ms * NS_PER_MS)
    engine.end_all("stop")
    return run


def _datagram(packet: Packet) -> tuple[bytes, int, bytes]:
    payload = bytes([0x20 + packet.number % 64]) * (packet.length_ms * SAMPLES_PER_MS)
    serialized = rtp.serialize(RtpPacket(0, packet.number % 65536, packet.timestamp % 2**32, packet.ssrc, payload))
    wrapped = header.serialize(replace(_LEG, direction=packet.direction)) + serialized
    return wrapped, NS_PER_SECOND + round(packet.arrival_ms * NS_PER_MS), _SOURCE


def _look(engine: Engine, run: Run, now_ms: float) -> None:
    for call in engine.calls.values():
        for track in call.tracks:
            if track.offset_samples is None:
                continue
            table = engine.timeline.table_for(track.slot)
            tracks, slot = table.tracks, track.slot
            if track.direction is Direction.INBOUND:
                settled = int(tracks.resolved_end[slot]) + track.offset_samples
                run.resolved.append((now_ms, settled / SAMPLES_PER_MS))
            by_clock = table.position_by_arrival(slot, int(tracks.highest_arrival_ns[slot]))
            lag = by_clock - int(tracks.highest_end[slot])
            run.lags[track.direction].append((now_ms, lag / SAMPLES_PER_MS))
