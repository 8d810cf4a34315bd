"""`max_calls` holds to the call during a flood, at every door, and costs those that run nothing."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.doors.packets import TURNED_AWAY
from media.doors.sources import pack_source
from media.ws.chunks import Placement
from media.ws.host import StreamHandle, StreamRefused
from strep import header
from strep.datagrams import collect
from strep.header import Direction, Leg, StrepHeader
from strep.reject import Reject
from tests.media.world import FRAME, HERE, THERE, World, audio, start

MOST = 5
IN_TIME_MS = 20
IDLE_MS = 31_000


class Crowded:
    """A server with a limit where a leg and a stream run, and who else knocks."""

    def __init__(self) -> None:
        self.world = World()
        self.world.engine.max_calls = MOST
        self.stream = self.world.stream.stream_started(start("running"), self.world.clock.now_ns())
        self.steps = self.names = 0
        self.run()

    @property
    def live(self) -> int:
        return len(self.world.engine.calls)

    def run(self) -> None:
        """Let the two go on for a packet."""
        self.send([1])
        self.media(self.stream, self.steps)
        self.steps += 1
        self.world.stream.deliver(self.world.clock.now_ns())
        self.world.tick(IN_TIME_MS)

    def send(self, legs: list[int], *directions: Direction) -> None:
        """Let a packet of each leg come, in one drain."""
        now_ns = self.world.clock.now_ns()
        headers = [
            header.serialize(StrepHeader(UUID(int=leg), Leg.A, direction))
            for leg in legs
            for direction in directions or (Direction.INBOUND,)
        ]
        self.world.strep.receive(collect([(one + audio(self.steps), now_ns, HERE) for one in headers]), now_ns)

    def media(self, stream: StreamHandle, number: int) -> None:
        place, now_ns = Placement(number, number * FRAME), self.world.clock.now_ns()
        self.world.stream.stream_media(stream, Direction.INBOUND, place, bytes(FRAME), now_ns)

    def legs_knock(self, count: int) -> int:
        """Let legs begin, both directions, in one drain; return how many were let in."""
        before = int(self.world.strep.rejected.sum())
        self.names += count
        self.send([100 + self.names - number for number in range(count)], *Direction)
        return count - (int(self.world.strep.rejected.sum()) - before) // len(Direction)

    def streams_knock(self, count: int) -> int:
        """Let streams begin, one after the other; return how many were let in."""
        refused = 0
        for _ in range(count):
            self.names += 1
            try:
                stream = self.world.stream.stream_started(start(f"s{self.names}"), self.world.clock.now_ns())
            except StreamRefused:
                refused += 1
            else:
                self.media(stream, 0)
        return count - refused


KNOCKS = st.tuples(st.sampled_from(["legs", "streams"]), st.integers(0, 2 * MOST))


@given(st.lists(KNOCKS, max_size=8))
def test_any_flood(knocks: list[tuple[str, int]]) -> None:
    """Against a number: as many as there is room for are let in, no more and no less."""
    crowded = Crowded()
    live = crowded.live
    for door, count in knocks:
        let_in = crowded.legs_knock(count) if door == "legs" else crowded.streams_knock(count)
        assert let_in == min(count, MOST - live)
        live += let_in
        assert crowded.live == live
        crowded.run()
    crowded.world.engine.end_all("shutdown")
    ended = crowded.world.ear.ended
    lengths = {info.call_id: [track.length_samples for track in report.tracks] for info, report in ended}
    assert lengths["running"] == lengths[str(UUID(int=1))] == [crowded.steps * FRAME]


def test_one_drain_full_of_made_up_legs() -> None:
    """More than are looked at: what comes behind them is the running call's, and is taken."""
    crowded = Crowded()
    world = crowded.world
    crowded.send([1000 + number for number in range(3 * TURNED_AWAY)] + [1])
    assert crowded.live == MOST
    assert world.strep.rejected[Reject.NO_ROOM] == TURNED_AWAY
    assert world.strep.rejected[Reject.CROWDED] == 3 * TURNED_AWAY - TURNED_AWAY - (MOST - 2)
    crowded.steps += 1
    world.tick(IN_TIME_MS)
    world.engine.end_all("shutdown")
    [leg] = [report for info, report in world.ear.ended if info.call_id == str(UUID(int=1))]
    assert leg.tracks[0].length_samples == crowded.steps * FRAME


@pytest.mark.parametrize("door", ["legs", "streams"])
def test_who_ends_makes_room_for_one(door: str) -> None:
    crowded = Crowded()
    knock = crowded.legs_knock if door == "legs" else crowded.streams_knock
    assert knock(2 * MOST) == MOST - 2
    crowded.world.stream.stream_stopped(crowded.stream, crowded.world.clock.now_ns())
    assert crowded.live == MOST - 1
    assert knock(2 * MOST) == 1
    assert crowded.live == MOST


def test_a_stream_that_was_silent_begins_no_call_beyond_it() -> None:
    """Its socket is open yet, so it could begin another at any time, and so could any number of others."""
    crowded = Crowded()
    world = crowded.world
    world.tick(IDLE_MS)
    assert crowded.live == 0
    assert crowded.legs_knock(2 * MOST) == MOST
    crowded.media(crowded.stream, crowded.steps)
    assert crowded.live == MOST
    assert world.stream.no_room == 1
    world.engine.end_all("shutdown")
    crowded.media(crowded.stream, crowded.steps + 1)
    assert crowded.live == 1


class TestPlainRtp:
    """A packet does not say which call it is of; that is known when its track's first block is due."""

    def test_a_flood_of_sources_begins_no_call_too_many(self) -> None:
        world = World()
        world.engine.max_calls = MOST
        now_ns = world.clock.now_ns()
        for direction in Direction:
            flood = [(audio(0, ssrc=ssrc), now_ns, pack_source("192.0.2.1", 1024 + ssrc)) for ssrc in range(40)]
            world.rtp.receive(collect(flood), direction, now_ns)
        world.send_strep(audio(0), 1)
        world.tick(1500)
        assert len(world.engine.calls) == MOST
        assert all(len(call.tracks) == len(Direction) for call in world.engine.calls.values())
        assert world.strep.rejected[Reject.NO_ROOM] == 1
        assert world.rtp.rejected[Reject.NO_ROOM] == 2 * (40 - MOST)

    def test_whom_a_call_waits_for_is_let_in(self) -> None:
        """Its other direction, and the next source of the same port."""
        world = World()
        world.engine.max_calls = 1
        for number in range(60):
            world.send_rtp(audio(number) if number < 20 else audio(1000 + number, ssrc=8))
            world.send_rtp(audio(number, ssrc=99), source=THERE)
            if number >= 10:
                world.send_rtp(audio(number, ssrc=9), Direction.OUTBOUND)
            world.tick(100 if number == 19 else IN_TIME_MS)
        assert world.rtp.rejected[Reject.NO_ROOM] == 60
        world.engine.end_all("shutdown")
        [(_, report)] = world.ear.ended
        assert sorted(track.length_samples for track in report.tracks) == [20 * FRAME, 40 * FRAME, 50 * FRAME]

    @pytest.mark.parametrize("shortage", ["", "the disk is full"])
    def test_room_comes_back(self, shortage: str) -> None:
        world = World()
        world.engine.max_calls = MOST
        world.engine.shortage = shortage
        for _ in range(3):
            now_ns = world.clock.now_ns()
            flood = [(audio(0, ssrc=ssrc), now_ns, pack_source("192.0.2.1", 1024 + ssrc)) for ssrc in range(40)]
            world.rtp.receive(collect(flood), Direction.INBOUND, now_ns)
            world.tick(1500)
            assert len(world.engine.calls) == (0 if shortage else MOST)
            world.engine.end_all("shutdown")
        assert world.engine.calls_beginning == 0
