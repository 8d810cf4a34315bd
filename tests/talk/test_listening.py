"""From the sink's thread to an application's ear, turn by turn of the event loop: no thread, no clock, no socket."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from media.events.bus import EventBus
from media.sinks.contract import CallInfo
from media.sinks.queue import CallEnded, CallStarted
from media.talk.call import LiveCall
from media.talk.contract import Pcm
from media.talk.listening import MAX_EARLY_BLOCKS
from media.talk.mode import PlaybackMode
from media.talk.switchboard import Switchboard
from strep.clock import ManualClock
from tests.sinks.rows import Row, batch_of, call_info, call_report, spoken

TURNS = 6
"""More turns of the event loop than anything here takes."""


class Office:
    """A switchboard and what its applications heard, by call_id; the test is the engine and the sink's thread."""

    def __init__(self, way: str = "at once") -> None:
        self.heard: dict[str, list[Pcm]] = {}
        self.go_on = asyncio.Event()
        self._way = way
        clock = ManualClock()
        self.board = Switchboard(self._app, PlaybackMode(), clock, EventBus(clock))
        self.board.start()
        self.sink = self.board.listening

    async def _app(self, call: LiveCall) -> None:
        if self._way == "late":
            await self.go_on.wait()
        if self._way == "in a task":
            await asyncio.create_task(self._hear(call))
        else:
            await self._hear(call)

    async def _hear(self, call: LiveCall) -> None:
        self.heard[call.call_id] = []
        async for block in call.listen(block_ms=100):
            self.heard[call.call_id].append(block.pcm)

    def start(self, call: CallInfo) -> None:
        """Begin a call, before anybody else has a turn."""
        self.board.put(CallStarted(call))

    def end(self, call: CallInfo) -> None:
        self.board.put(CallEnded(call, call_report(0)))

    def said(self, call_id: str = "call-0") -> Pcm:
        return np.concatenate([np.zeros(0, np.int16), *self.heard[call_id]])


async def pass_turns() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


@pytest.mark.parametrize("way", ["at once", "in a task"])
async def test_who_listens_first_thing_hears_what_was_there_before_the_application_began(way: str) -> None:
    office, call = Office(way), call_info()
    office.start(call)
    office.sink.call_started(call)
    office.sink.receive(batch_of(Row(0, 0, 0), Row(0, 1, 0)))
    await asyncio.sleep(0)  # the application may have begun, or not: nothing is lost or doubled
    office.sink.receive(batch_of(Row(0, 0, 800), Row(0, 1, 800)))
    await pass_turns()
    office.sink.receive(batch_of(Row(0, 0, 1600), Row(0, 1, 1600)))
    office.sink.call_ended(call, call_report(2400))
    office.end(call)
    await pass_turns()
    assert np.array_equal(office.said(), spoken(0, 3))


async def test_a_call_that_is_over_before_its_application_begins_is_heard() -> None:
    office, call = Office(), call_info()
    office.start(call)
    office.sink.call_started(call)
    office.sink.receive(batch_of(Row(0, 0, 0)))
    office.sink.call_ended(call, call_report(800))
    office.end(call)
    await pass_turns()
    assert np.array_equal(office.said(), spoken(0, 1))


async def test_who_listens_later_hears_what_comes_from_then_on() -> None:
    office, call = Office("late"), call_info()
    office.start(call)
    office.sink.call_started(call)
    office.sink.receive(batch_of(Row(0, 0, 0)))
    await pass_turns()
    office.sink.receive(batch_of(Row(0, 0, 800)))
    assert not office.sink._wanted, "nobody listens: it costs nothing"
    office.go_on.set()
    await pass_turns()
    office.sink.receive(batch_of(Row(0, 0, 1600)))
    office.sink.call_ended(call, call_report(2400))
    office.end(call)
    await pass_turns()
    assert np.array_equal(office.said(), spoken(0, 3)[1600:])


async def test_a_call_with_the_index_of_one_before_does_not_hear_it() -> None:
    """The event loop is ahead of the sink's thread, which has not begun with the first when the second is there."""
    office, first, second = Office(), call_info(0, "first"), call_info(0, "second")
    office.start(first)
    await pass_turns()
    office.end(first)
    office.start(second)
    await pass_turns()
    office.sink.call_started(first)
    office.sink.receive(batch_of(Row(0, 0, 0)))
    office.sink.call_ended(first, call_report(800))
    office.sink.call_started(second)
    office.sink.receive(batch_of(Row(0, 0, 800)))
    office.sink.call_ended(second, call_report(800))
    office.end(second)
    await pass_turns()
    assert np.array_equal(office.said("first"), spoken(0, 2)[:800])
    assert np.array_equal(office.said("second"), spoken(0, 2)[800:])


async def test_what_waits_for_an_application_to_begin_is_bounded() -> None:
    office, call = Office(), call_info()
    office.start(call)
    office.sink.call_started(call)
    hearing = office.sink._live[0]
    for number in range(MAX_EARLY_BLOCKS + 10):
        office.sink.receive(batch_of(Row(0, 0, 160 * number, width=160)))
    await asyncio.sleep(0)
    assert hearing._early is not None
    assert len(hearing._early) == MAX_EARLY_BLOCKS
    assert hearing._early[0][1].position_samples == 1600
    office.sink.call_ended(call, call_report(0))
    office.end(call)
    await pass_turns()
    assert hearing._early is None
