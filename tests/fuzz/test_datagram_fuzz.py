"""Arbitrary bytes on the UDP doors.

Invariant: nothing raises, and at every moment each datagram is either counted under one reason or a packet of a
track: on its tape, waiting to be decoded, decoded and waiting for the tape, or in the report of a call that is over.
"""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from media.blocks import PcmBatch
from media.doors.rtp import RtpDoor
from media.doors.sources import pack_source
from media.doors.strep import StrepDoor
from media.engine import Engine
from media.sinks.queue import CallEnded, Item
from strep.clock import NS_PER_MS, NS_PER_SECOND, ManualClock
from strep.datagrams import collect
from strep.header import Direction
from strep.timeline import Timeline
from tests.strep.test_datagrams import rtp_datagrams, rubbish, strep_datagrams

SOURCES = [pack_source("192.0.2.1", 4000), pack_source("2001:db8::1", 4001)]
datagrams = st.lists(
    st.tuples(strep_datagrams | rtp_datagrams | rubbish, st.sampled_from(SOURCES)), min_size=1, max_size=20
)
batches = st.lists(st.tuples(datagrams, st.integers(0, 3000)), max_size=6)


class Nowhere:
    """Counts the packets of calls that have ended."""

    received = 0

    def put(self, item: Item) -> None:
        if isinstance(item, PcmBatch):
            assert item.pcm.shape == item.encoded.shape
        elif isinstance(item, CallEnded):
            self.received += sum(track.statistics["received"] for track in item.report.tracks)


@given(batches, st.sampled_from(["strep", "rtp"]))
def test_nothing_raises_and_everything_is_counted(
    history: list[tuple[list[tuple[bytes, bytes]], int]], kind: str
) -> None:
    clock = ManualClock(100 * NS_PER_SECOND)
    nowhere = Nowhere()
    engine = Engine(Timeline(), clock, [nowhere], idle_timeout_ns=2 * NS_PER_SECOND, max_tracks=8)
    strep_door, rtp_door = StrepDoor(engine), RtpDoor("tap", engine)
    door = strep_door if kind == "strep" else rtp_door
    received = 0
    for group, pause_ms in history:
        batch = collect([(data, clock.now_ns(), source) for data, source in group])
        if kind == "strep":
            strep_door.receive(batch, clock.now_ns())
        else:
            rtp_door.receive(batch, Direction(len(group) % 2), clock.now_ns())
        received += len(batch)
        assert door.datagrams == received
        assert packets(engine) + nowhere.received == received - int(door.rejected.sum())
        engine.poll(clock.advance(pause_ms * NS_PER_MS))
        assert packets(engine) + nowhere.received == received - int(door.rejected.sum())
    engine.end_all("shutdown")
    assert engine.calls_started == engine.calls_ended
    assert engine.conservation_errors == 0
    assert nowhere.received == received - int(door.rejected.sum())
    assert not np.any(engine.timeline.table.tracks.in_use)


def packets(engine: Engine) -> int:
    """Return how many packets live tracks have, wherever these are."""
    count = 0
    for reel in engine.reels:
        tracks = reel.timeline.table.tracks
        count += len(reel.buffer) + int(tracks.received[: tracks.count][tracks.in_use[: tracks.count]].sum())
        orders = [track.decoder._order for track in reel.tracks.values() if track.decoder is not None]
        count += sum(len(order._waiting) + sum(map(len, order._copies.values())) for order in orders)
    return count
