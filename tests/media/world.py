"""An engine with all doors, a clock and an ear, and packets for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from media.blocks import PcmBatch
from media.codecs import Encoding
from media.doors.rtp import RtpDoor
from media.doors.sources import pack_source
from media.doors.stream import StreamDoor
from media.doors.strep import StrepDoor
from media.engine import Engine
from media.events.bus import EventBus
from media.sinks.contract import CallInfo, CallReport
from media.sinks.queue import CallStarted, Item
from media.ws.host import StreamStart
from strep import header, rtp
from strep.clock import NS_PER_MS, NS_PER_SECOND, ManualClock
from strep.datagrams import collect
from strep.header import Direction, Leg, StrepHeader
from strep.rtp import RtpPacket
from strep.timeline import Timeline

BEGINNING_NS = 50 * NS_PER_SECOND
FRAME = 160
HERE, THERE = pack_source("192.0.2.1", 4000), pack_source("192.0.2.2", 4000)


class Ear:
    """An outlet that keeps everything: calls in order, and PCM per call and channel."""

    def __init__(self) -> None:
        self.started: list[CallInfo] = []
        self.ended: list[tuple[CallInfo, CallReport]] = []
        self.heard: dict[tuple[str, int], list[tuple[int, np.ndarray[Any, Any]]]] = {}

    def put(self, item: Item) -> None:
        if isinstance(item, CallStarted):
            self.started.append(item.call)
        elif isinstance(item, PcmBatch):
            for i in range(len(item)):
                live = next(c for c in reversed(self.started) if c.index == item.call[i])
                first, last = int(item.first[i]), int(item.last[i])
                piece = int(item.positions[i]) + first, item.pcm[i, first:last]
                self.heard.setdefault((live.call_id, int(item.channel[i])), []).append(piece)
        else:
            self.ended.append((item.call, item.report))

    def pcm(self, call_id: str, channel: int) -> np.ndarray[Any, Any]:
        return np.concatenate([piece for _, piece in self.heard[call_id, channel]])


class World:
    """An engine with all doors and a clock."""

    def __init__(self, max_tracks: int = 100) -> None:
        self.wakes = 0
        self.clock, self.ear = ManualClock(BEGINNING_NS), Ear()
        self.bus = EventBus(self.clock)
        self.engine = Engine(
            Timeline(),
            self.clock,
            [self.ear],
            idle_timeout_ns=30 * NS_PER_SECOND,
            max_tracks=max_tracks,
            publish=self.bus.publish,
        )
        self.strep = StrepDoor(self.engine)
        self.rtp = RtpDoor("tap", self.engine)
        self.stream = StreamDoor(self.engine, reconnect_grace_ns=5 * NS_PER_SECOND, wake=self.count_wake)

    def count_wake(self) -> None:
        self.wakes += 1

    def send_rtp(self, packet: bytes, direction: Direction = Direction.INBOUND, source: bytes = HERE) -> None:
        self.rtp.receive(collect([(packet, self.clock.now_ns(), source)]), direction, self.clock.now_ns())

    def send_strep(self, packet: bytes, leg_id: int, direction: Direction = Direction.INBOUND) -> None:
        from uuid import UUID

        wrapped = header.serialize(StrepHeader(UUID(int=leg_id), Leg.A, direction)) + packet
        self.strep.receive(collect([(wrapped, self.clock.now_ns(), HERE)]), self.clock.now_ns())

    def tick(self, milliseconds: int = 20) -> None:
        self.engine.poll(self.clock.advance(milliseconds * NS_PER_MS))


def audio(number: int, payload_type: int = 0, ssrc: int = 7, length: int = FRAME) -> bytes:
    payload = bytes([number % 200]) * length
    return rtp.serialize(RtpPacket(payload_type, number % 65536, number * FRAME, ssrc, payload))


def start(stream_id: str = "s1", codec: str = "PCMU", sample_rate_hz: int = 8000) -> StreamStart:
    return StreamStart(stream_id, Encoding(codec, sample_rate_hz), identity={"stream_id": stream_id})
