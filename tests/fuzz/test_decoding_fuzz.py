"""Any payloads of any types, in any order, to tracks that are decoded on their way in.

Invariants: nothing raises; every packet of a track is counted, and once; no track keeps anything at the end; a call
has one rate whatever its packets are; and what a sink gets has the shape that it was promised.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from media.blocks import PcmBatch
from media.decoding.payload_types import PayloadType, PayloadTypes
from media.doors.rtp import RtpDoor
from media.doors.sources import pack_source
from media.engine import Engine
from media.sinks.contract import CallReport
from media.sinks.queue import CallEnded, CallStarted, Item
from strep import rtp
from strep.clock import NS_PER_MS, NS_PER_SECOND, ManualClock
from strep.datagrams import collect
from strep.header import Direction
from strep.rtp import RtpPacket
from strep.timeline import Timeline

MAP = PayloadTypes([PayloadType(96, "L16", 16000), PayloadType(97, "L16", 44100), PayloadType(111, "OPUS", 48000)])
TYPES = [0, 8, 9, 11, 13, 18, 96, 97, 101, 111]
SOURCE = pack_source("192.0.2.1", 4000)
PAYLOADS = st.one_of(
    st.sampled_from([b"", bytes(160), bytes(320), b"\xff" * 160, b"\x05\x80\x01\x00", b"\xf8\xff\xfe", bytes(1600)]),
    st.binary(max_size=60),
)


class Sent(NamedTuple):
    step: int
    tick: int
    payload_type: int
    payload: bytes
    ssrc: int
    direction: Direction
    pause_ms: int


SENT = st.builds(
    Sent,
    st.sampled_from([1, 1, 1, 1, 1, 2, 0, -1, -5, 300, 20_000]),
    st.sampled_from([160, 160, 160, 320, 960, 0, -160, 5000, 2**31]),
    st.sampled_from(TYPES),
    PAYLOADS,
    st.sampled_from([7, 7, 7, 7, 8]),
    st.sampled_from(Direction),
    st.sampled_from([0, 20, 20, 20, 70, 900]),
)


class Ear:
    def __init__(self) -> None:
        self.rates: dict[int, tuple[int, bool]] = {}
        self.reports: list[CallReport] = []

    def put(self, item: Item) -> None:
        if isinstance(item, PcmBatch):
            assert item.pcm.shape == item.encoded.shape
            assert item.pcm.dtype == np.int16
            assert {self.rates[int(call)] for call in item.call} == {(item.sample_rate_hz, item.is_linear)}
        elif isinstance(item, CallStarted):
            self.rates[item.call.index] = item.call.sample_rate_hz, item.call.is_linear
        elif isinstance(item, CallEnded):
            self.reports.append(item.report)


@given(st.lists(SENT, max_size=40))
def test_nothing_raises_and_everything_is_counted(history: list[Sent]) -> None:
    clock, ear = ManualClock(100 * NS_PER_SECOND), Ear()
    engine = Engine(Timeline(), clock, [ear], idle_timeout_ns=NS_PER_SECOND, max_tracks=8, payload_types=MAP)
    door, sequence, timestamp = RtpDoor("tap", engine), 65_530, 2**32 - 1000
    for sent in history:
        sequence, timestamp = sequence + sent.step, timestamp + sent.tick
        fields = sent.payload_type, sequence & 0xFFFF, timestamp & 0xFFFF_FFFF, sent.ssrc, sent.payload
        datagram = rtp.serialize(RtpPacket(*fields))
        door.receive(collect([(datagram, clock.now_ns(), SOURCE)]), sent.direction, clock.now_ns())
        engine.poll(clock.advance(sent.pause_ms * NS_PER_MS))
    engine.end_all("shutdown")
    tracks = [track for report in ear.reports for track in report.tracks]
    assert sum(track.statistics["received"] for track in tracks) == len(history) - int(door.rejected.sum())
    assert all(sum(track.totals.values()) == track.length_samples for track in tracks)
    assert engine.conservation_errors == 0
    assert list(engine.reels) == [engine.reels.code_bytes]
    assert not len(engine.desk)
