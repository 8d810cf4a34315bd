"""What becomes a message: selected audio and events, under their subjects; and what is told of what found no room."""

from __future__ import annotations

from dataclasses import replace

import pytest

from media.events.publishing import AudioUnpublished
from media.feed.selection import Selection
from media.feed.subscription import CallBegan, CallOver, Subscription
from media.feed.wire import Flag, PcmMessage, SampleFormat, parse, serialize
from media.nats.intake import Intake
from media.nats.names import Place, Subjects
from media.sinks.contract import CallInfo, CallReport
from strep.clock import ManualClock
from strep.header import Direction

CALL = CallInfo(0, "a.b", "strep", 7_000)
REPORT = CallReport("stop", 0, 0, [])
PIECE = PcmMessage("a.b", Direction.INBOUND, 8000, SampleFormat.INT16, 0, 0, 7_000, bytes(1600))


class World:
    """A subscription, and what was told of gaps."""

    def __init__(self) -> None:
        self.subscription = Subscription(Selection())
        self.clock = ManualClock()
        self.gaps: list[tuple[CallInfo, AudioUnpublished]] = []
        self.intake = Intake(self.subscription, Subjects(), 200, self.clock, lambda *gap: self.gaps.append(gap))

    def pieces(self, *numbers: int, flags: Flag = Flag.NONE) -> None:
        for number in numbers:
            piece = replace(PIECE, sequence_number=number, position_samples=800 * number, flags=flags)
            self.subscription.put([serialize(piece)], 0)


def test_audio() -> None:
    world = World()
    world.subscription.put([CallBegan(CALL)], 0)
    world.pieces(0, flags=Flag.GAP)
    world.pieces(1, 2, 3)
    world.subscription.put([serialize(replace(PIECE, sequence_number=4, payload=b"", flags=Flag.END))], 0)
    world.subscription.put([CallOver(CALL, REPORT)], 0)
    found = world.intake.take(0)
    assert {out.message.subject for out in found} == {Subjects().pcm("a.b", Direction.INBOUND)}
    ids = [out.message.message_id for out in found]
    origin = world.clock.wall_ns()
    assert ids == [f"a%2Eb.inbound.{origin}.{number}" for number in range(3)]
    assert [parse(out.message.body).samples for out in found] == [1600, 1600, 0]


def test_an_instance_that_comes_again_has_ids_of_its_own() -> None:
    world, ids = World(), list[str]()
    for _ in range(3):
        world.subscription.put([CallBegan(CALL)], 0)
        world.pieces(0, 1)
        world.subscription.put([CallOver(CALL, REPORT)], 0)
        ids += [out.message.message_id for out in world.intake.take(0)]
        world.clock.epoch_ns -= 1000  # as somebody sets the clock back
    assert len(set(ids)) == 3


def test_events() -> None:
    world = World()
    for number in (1, 2):
        world.intake.tell("a.b", Place(7000, number), b"%d" % number)
    found = world.intake.take(0)
    assert [out.message.subject for out in found] == [Subjects().events("a.b")] * 2
    assert [out.message.message_id for out in found] == ["a%2Eb.event.7000.1", "a%2Eb.event.7000.2"]
    assert [out.message.body for out in found] == [b"1", b"2"]


@pytest.mark.parametrize("has_ended", [False, True])
def test_what_found_no_room_is_told_when_there_is_room_again_or_the_call_is_over(has_ended: bool) -> None:
    world = World()
    world.subscription.put([CallBegan(CALL)], 0)
    world.pieces(*range(8))
    first, second, third, fourth = world.intake.take(0)
    world.intake.answered(first, is_taken=True)
    world.intake.answered(second, is_taken=False)
    world.intake.answered(third, is_taken=False)
    assert len(world.gaps) == 0
    if has_ended:
        world.subscription.put([CallOver(CALL, REPORT)], 0)
        assert world.intake.take(0) == []
        assert len(world.gaps) == 0, "the last of it may find no room"
        world.intake.take(0)
    else:
        world.intake.answered(fourth, is_taken=True)
    gap = AudioUnpublished(track="inbound", position_samples=1600, to="nats", messages=2, duration_samples=3200)
    assert world.gaps == [(CALL, gap)]


def test_the_end() -> None:
    world = World()
    world.intake.tell("a.b", Place(7000, 1), b"last")
    world.intake.end()
    assert [world.intake.is_over, len(world.intake.take(0)), world.intake.is_over] == [False, 1, True]
