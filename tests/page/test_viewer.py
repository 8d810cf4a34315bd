"""Somebody who looks at calls: gets those in sight, and loses the oldest."""

from __future__ import annotations

import numpy as np

from media.events.bus import EventBus
from media.events.kinds import DigitPressed
from media.page.levels import LEVEL
from media.page.viewer import MAX_EVENTS, MAX_LEVELS, MAX_VISIBLE, Viewer
from media.sinks.contract import CallInfo
from strep.clock import ManualClock
from tests.sinks.rows import Row, batch_of, call_info


def test_levels_of_the_calls_in_sight() -> None:
    viewer, calls = Viewer(lambda call: True), [call_info(index) for index in range(4)]
    viewer.receive(batch_of(Row(0, 0, 0), Row(1, 0, 0)))
    assert viewer.take_levels() == b"", "nobody looks"
    viewer.look_at([calls[1], calls[3]])
    viewer.receive(batch_of(Row(0, 0, 0), Row(1, 0, 0), Row(1, 1, 800), Row(2, 0, 0)))
    found = np.frombuffer(viewer.take_levels(), LEVEL)
    assert set(found["call"].tolist()) == {1}
    assert sorted(found["position_ms"].tolist()) == [0, 50, 100, 150]
    assert viewer.take_levels() == b""


def test_a_number_that_has_gone_to_another_call_is_not_in_sight() -> None:
    live = {3: call_info(3)}
    viewer = Viewer(lambda call: live.get(call.index) is call)
    viewer.look_at([live[3]])
    live[3] = call_info(3)
    viewer.receive(batch_of(Row(3, 0, 0)))
    assert viewer.take_levels() == b""


def test_bounded() -> None:
    viewer = Viewer(lambda call: True)
    viewer.look_at(call_info(index) for index in range(100))
    assert [call.index for call in viewer.visible] == list(range(MAX_VISIBLE))
    batch = batch_of(*(Row(index, 0, 0) for index in range(MAX_VISIBLE)))
    rounds = 0
    while not viewer.dropped:
        viewer.receive(batch)
        rounds += 1
    assert rounds == MAX_LEVELS // (2 * MAX_VISIBLE) + 1
    assert len(viewer.take_levels()) == MAX_LEVELS * LEVEL.itemsize
    assert viewer.dropped == 2 * MAX_VISIBLE


def test_events_of_the_calls_in_sight() -> None:
    bus, viewer = EventBus(ManualClock()), Viewer(lambda call: True)
    bus.subscribe(viewer.hear)
    seen, other = call_info(1), call_info(2)
    viewer.look_at([seen])

    def press(call: CallInfo, number: int) -> None:
        bus.publish(call, DigitPressed(digit="5", source="ws", position_samples=80_000 * number, track="inbound"))

    press(other, 1)
    press(seen, 1)
    [told] = viewer.take_events()
    assert told.call is seen
    for number in range(2, MAX_EVENTS + 4):
        press(seen, number)
    assert viewer.dropped == 2
    assert [one.sequence for one in viewer.take_events()] == list(range(4, MAX_EVENTS + 4))
