"""Nothing that is said while a call is paused reaches a sensitive sink, and nothing else is changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.blocks import PcmBatch
from media.events.kinds import Event
from media.pauses.pausing import Pausing
from media.pauses.spans import BEGINNING, Pause
from media.sinks.contract import CallInfo, SinkOptions
from media.sinks.queue import CallStarted, Item
from strep import rtp
from strep.clock import NS_PER_MS
from strep.errors import UsageError
from strep.g711 import Codec
from strep.header import Direction
from strep.rtp import RtpPacket
from tests.media.world import FRAME, World, audio
from tests.searching import brief

FRAME_MS = 20
SILENCE = Codec.PCMU.silence
OPEN, SECRET = 1, 2
"""Code bytes of packets that are said while the call is not paused, and while it is."""
NOTHING = -1
BEFORE = 8_000
"""Samples before position 0 for which there is room."""


class Tape:
    """An outlet that puts together what it gets, and keeps every array that it was given."""

    def __init__(self, *, is_sensitive: bool) -> None:
        self.options = SinkOptions("tape", is_sensitive=is_sensitive)
        self.batches: list[PcmBatch] = []
        self.calls: list[CallInfo] = []
        self.tape = np.full((2, BEFORE + 800_000), NOTHING, np.int16)

    def put(self, item: Item) -> None:
        if isinstance(item, CallStarted):
            self.calls.append(item.call)
        if not isinstance(item, PcmBatch):
            return
        self.batches.append(item)
        for row in range(len(item)):
            first, last = int(item.first[row]), int(item.last[row])
            position = int(item.positions[row]) + BEFORE
            self.tape[int(item.channel[row]), position + first : position + last] = item.encoded[row, first:last]


class Paused(World):
    """A call with two tracks, two sensitive outlets and one that is not; commands, and what they told."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = Tape(is_sensitive=True), Tape(is_sensitive=True)
        self.open = Tape(is_sensitive=False)
        self.engine._outlets += [self.one, self.two, self.open]
        self.told: list[Event] = []
        self.pausing = Pausing(self.engine, lambda call, event: self.told.append(event))

    @property
    def call(self) -> CallInfo:
        return self.one.calls[0]

    def say(self, number: int, value: int, direction: Direction = Direction.INBOUND) -> None:
        payload = bytes([value]) * FRAME
        ssrc = 7 + direction
        self.send_strep(rtp.serialize(RtpPacket(0, number, number * FRAME, ssrc, payload)), 1, direction)

    def speak(self, first: int, last: int, value: int = OPEN) -> None:
        for number in range(first, last):
            for direction in Direction:
                self.say(number, value, direction)
            self.tick(FRAME_MS)


def check(world: Paused) -> None:
    """Compare all that sensitive sinks have with what the other has and the pauses."""
    pauses = world.call.pauses
    for one, two in zip(world.one.batches, world.two.batches, strict=True):
        assert one.encoded is two.encoded, "they cannot obey in different samples"
    assert not any((batch.encoded == SECRET).any() for batch in world.one.batches), "whatever its place, it was said"
    for got, came, channel in zip(world.one.tape, world.open.tape, Direction, strict=True):
        paused, either = np.zeros(len(came), np.bool_), np.zeros(len(came), np.bool_)
        for pause in pauses:
            start, end = max(pause.start_samples + BEFORE, 0), pause.end_samples + BEFORE
            paused[start:end] = True
            either[max(pause.starts[channel] + BEFORE, 0) : start] = True
        has_come = came != NOTHING
        assert ((got != NOTHING) == has_come).all()
        assert (got[paused & has_come] == SILENCE).all()
        assert (got[~paused & ~either] == came[~paused & ~either]).all()
        # Before the call's place, behind the track's head: what came before the command is there, the rest is not.
        assert ((got == came) | (got == SILENCE))[either & has_come].all()


def check_ledgers(world: Paused) -> None:
    (call, report) = world.ear.ended[0]
    for track in report.tracks:
        end = track.start_samples + track.length_samples
        kinds = dict.fromkeys(track.totals, 0)
        position = track.start_samples
        for start, length, kind in track.ledger:
            assert start >= position
            kinds[kind] += length
            kinds["received"] += start - position
            position = start + length
        kinds["received"] += end - position
        assert kinds == track.totals
        assert sum(track.totals.values()) == track.length_samples
        paused = [(start, start + length) for start, length, kind in track.ledger if kind == "paused"]
        for pause in call.pauses:
            first, last = max(pause.start_samples, track.start_samples), min(pause.end_samples, end)
            assert first >= last or any(start <= first and last <= stop for start, stop in paused)
        assert all(
            any(pause.starts[track.direction] <= start and stop <= pause.end_samples for pause in call.pauses)
            or len(call.pauses) > 1
            for start, stop in paused
        )


class TestCommands:
    def test_a_pause_is_from_command_to_command(self) -> None:
        world = Paused()
        world.speak(0, 50)
        pause = world.pausing.pause(world.call, by="agent 7", reason="card number")
        world.speak(50, 100, SECRET)
        assert world.pausing.resume(world.call) is pause
        world.speak(100, 150)
        world.engine.end_all("shutdown")
        assert pause.start_samples == 50 * FRAME
        assert 100 * FRAME <= pause.end_samples <= 101 * FRAME
        check(world)
        check_ledgers(world)
        report = world.ear.ended[0][1]
        assert [(event["event"], event["position_samples"]) for event in report.events] == [
            ("recording_paused", pause.start_samples),
            ("recording_resumed", pause.end_samples),
        ]
        assert report.events[0]["by"] == "agent 7"
        assert report.events[0]["reason"] == "card number"
        assert [event.NAME for event in world.told] == ["recording_paused", "recording_resumed"]

    def test_what_a_track_that_is_ahead_brought_is_taken_back(self) -> None:
        world = Paused()
        world.speak(0, 40)
        for number in range(40, 48):
            world.say(number, OPEN, Direction.OUTBOUND)  # the other one is late by 160 ms
            world.tick(FRAME_MS)
        pause = world.pausing.pause(world.call)
        assert pause.start_samples == 40 * FRAME
        for number in range(40, 48):
            world.say(number, SECRET)
        world.speak(48, 60, SECRET)
        world.engine.end_all("shutdown")
        check(world)
        check_ledgers(world)
        taken_back = [batch for batch in world.one.batches if batch.late]
        assert taken_back
        assert not any(batch.late for batch in world.open.batches)

    def test_a_sender_that_does_not_count_its_hold_tells_nothing_when_it_comes_back(self) -> None:
        world = Paused()
        world.speak(0, 50)
        for number in range(50, 350):  # the caller's packets and timestamps stand still for six seconds
            world.say(number, OPEN, Direction.OUTBOUND)
            world.tick(FRAME_MS)
        pause = world.pausing.pause(world.call)
        for number in range(350, 650):
            world.say(number - 300, SECRET)
            world.say(number, SECRET, Direction.OUTBOUND)
            world.tick(FRAME_MS)
        world.pausing.resume(world.call)
        world.engine.end_all("shutdown")
        assert pause.starts[0] == 50 * FRAME
        assert pause.start_samples >= 330 * FRAME
        check(world)
        check_ledgers(world)
        inbound, _ = world.ear.ended[0][1].tracks
        assert inbound.totals["silence"] > 0, "the hold was found, and stays what it was"

    def test_what_is_on_its_way_when_the_call_goes_on_is_paused(self) -> None:
        world = Paused()
        world.speak(0, 50)
        world.pausing.pause(world.call)
        world.tick(5 * FRAME_MS)
        for number in range(50, 120):  # the network is 100 ms slower from now on
            if number == 95:
                world.pausing.resume(world.call)
            for direction in Direction:
                world.say(number, SECRET if number < 100 else OPEN, direction)
            world.tick(FRAME_MS)
        world.engine.end_all("shutdown")
        check(world)

    def test_a_call_may_be_paused_before_it_says_anything(self) -> None:
        world = Paused()
        world.say(0, SECRET)
        world.tick(1200)  # which is when it joins
        world.engine.calls[world.call.call_id].tracks.clear()
        pause = world.pausing.pause(world.call)
        assert pause.start_samples == BEGINNING

    def test_a_track_that_begins_while_the_call_is_paused(self) -> None:
        world = Paused()
        for number in range(50):
            world.say(number, OPEN)
            world.tick(FRAME_MS)
        pause = world.pausing.pause(world.call)
        world.speak(50, 80, SECRET)
        world.pausing.resume(world.call)
        world.speak(80, 120)
        world.engine.end_all("shutdown")
        assert pause.starts[1] == BEGINNING
        check(world)
        check_ledgers(world)

    def test_a_call_that_ends_paused_is_paused_to_its_end(self) -> None:
        world = Paused()
        world.speak(0, 50)
        world.pausing.pause(world.call)
        world.speak(50, 100, SECRET)
        world.engine.end_all("shutdown")
        check(world)
        assert [track.totals["paused"] for track in world.ear.ended[0][1].tracks] == [50 * FRAME] * 2
        assert not world.engine.pauses

    def test_the_next_call_of_an_index_is_not_paused(self) -> None:
        world = Paused()
        world.speak(0, 50)
        world.pausing.pause(world.call)
        world.engine.end_all("shutdown")
        for number in range(50):
            world.send_strep(audio(number), 2)
            world.tick(FRAME_MS)
        assert world.one.calls[1].index == world.call.index
        assert world.one.batches[-1].encoded is world.open.batches[-1].encoded

    def test_who_pauses_twice_pauses_once(self) -> None:
        world = Paused()
        world.speak(0, 50)
        pause = world.pausing.pause(world.call, "omit")
        world.speak(50, 60, SECRET)
        assert world.pausing.pause(world.call) is pause
        assert world.pausing.resume(world.call) is pause
        assert world.pausing.resume(world.call) is None
        assert len(world.told) == 2

    def test_what_cannot_be(self) -> None:
        world = Paused()
        world.speak(0, 10)
        with pytest.raises(UsageError, match="silence or omit"):
            world.pausing.pause(world.call, "mute")  # type: ignore[arg-type]
        world.engine.end_all("shutdown")
        with pytest.raises(UsageError, match="has ended"):
            world.pausing.pause(world.call)

    def test_resuming_a_call_that_ended_while_it_was_paused_does_nothing(self) -> None:
        """Whoever is called may hang up at any time; `order` of the documentation resumes behind that."""
        world = Paused()
        world.speak(0, 10)
        pause = world.pausing.pause(world.call)
        world.engine.end_all("shutdown")
        assert world.pausing.resume(world.call) is None
        assert pause.is_open

    def test_nothing_is_copied_for_calls_that_are_not_paused(self) -> None:
        world = Paused()
        world.speak(0, 30)
        assert all(a is b for a, b in zip(world.one.batches, world.open.batches, strict=True))
        world.pausing.pause(world.call)
        world.speak(30, 60, SECRET)
        world.pausing.resume(world.call)
        world.speak(60, 90)
        assert world.one.batches[-1] is world.open.batches[-1], "nor for one that goes on"


_PACKET_FATES = st.sampled_from([0, 0, 0, 0, 0, 1, 2, 5, 7, None])
"""Frames of delay of a packet; None is lost. More than three is beyond the reorder wait: given up and patched."""


@brief(20)
@given(st.data())
def test_whatever_comes_and_is_commanded(data: Any) -> None:
    length = 120
    commands = data.draw(st.lists(st.integers(3, length - 1), max_size=6, unique=True).map(sorted))
    fates = {
        direction: data.draw(st.lists(_PACKET_FATES, min_size=length, max_size=length)) for direction in Direction
    }
    quiet = data.draw(st.integers(2, length))  # from where on the outbound side is silent for 20 frames
    world = Paused()
    due: dict[int, list[tuple[int, int, Direction]]] = {}
    is_paused = False
    for number in range(length + 10):
        if number in commands:
            is_paused = not is_paused
            (world.pausing.pause if is_paused else world.pausing.resume)(world.call)
        for direction in Direction:
            fate = fates[direction][number] if number < length else None
            fate = 0 if number == 0 else fate
            if fate is None or (direction is Direction.OUTBOUND and quiet <= number < quiet + 20):
                continue
            value = SECRET if is_paused else OPEN
            due.setdefault(number + fate, []).append((number, value, direction))
        for packet in due.pop(number, ()):
            world.say(*packet)
        world.tick(data.draw(st.sampled_from([FRAME_MS] * 4 + [0, 2 * FRAME_MS])) if number > length else FRAME_MS)
    world.engine.end_all("shutdown")
    check(world)
    check_ledgers(world)


def test_who_asks_is_told_what_is_paused() -> None:
    call = CallInfo(0, "c", "strep", 0)
    assert not call.is_paused_at(5)
    assert not call.is_paused_at(None)
    call.pauses.append(Pause(100, (80, 100), "silence", 0, 200, NS_PER_MS))
    call.pauses.append(Pause(300, (300, 300), "silence", 2 * NS_PER_MS))
    assert call.is_paused_at(None)
    asked = [
        (79, 0, ""),
        (79, 2, ""),
        (90, 0, "inbound"),
        (90, 0, "outbound"),
        (199, 0, ""),
        (200, 99, ""),
        (400, 0, ""),
    ]
    assert [call.is_paused_at(*question) for question in asked] == [False, True, True, False, True, False, True]
