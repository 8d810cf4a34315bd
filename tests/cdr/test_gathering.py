"""When a record is whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.cdr.gathering import MAX_WAIT_NS, Gathering
from strep.clock import NEVER_NS
from tests.cdr.records import a_call, a_recording, a_report


def test_without_recordings_at_the_end_of_the_call() -> None:
    gathering, call = Gathering(are_recorded=False), a_call()
    assert gathering.deadline() == NEVER_NS
    gathering.ended(call, a_report(call), 5)
    assert gathering.deadline() == 0
    assert [known.call for known in gathering.poll(5)] == [call]
    assert gathering.poll(5) == []


def test_with_recordings_when_that_of_the_call_is_closed() -> None:
    gathering, call = Gathering(are_recorded=True), a_call()
    gathering.recorded(a_recording(call, is_take=True))
    gathering.ended(call, a_report(call), 5)
    gathering.recorded(a_recording(call, is_take=True))
    assert gathering.poll(5) == []
    gathering.recorded(a_recording(call))
    [known] = gathering.poll(5)
    assert [one.is_take for one in known.recordings] == [True, True, False]


def test_a_recording_that_failed_is_not_waited_for() -> None:
    gathering, call = Gathering(are_recorded=True), a_call()
    gathering.ended(call, a_report(call), 5)
    assert gathering.poll(5) == []
    gathering.failed(call, "a-take", is_take=True)
    assert gathering.poll(5) == []
    gathering.failed(call, "its own", is_take=False)
    assert len(gathering.poll(5)) == 1


@pytest.mark.parametrize("are_recorded", [False, True])
def test_takes_that_have_begun_are_waited_for(are_recorded: bool) -> None:
    gathering, call = Gathering(are_recorded=are_recorded), a_call()
    closed, failed = a_recording(call, is_take=True), "that failed"
    gathering.began(call, failed)
    gathering.began(call, closed.recording_id)
    gathering.ended(call, a_report(call), 5)
    if are_recorded:
        gathering.recorded(a_recording(call))
    gathering.failed(call, failed, is_take=True)
    assert gathering.poll(5) == []
    gathering.recorded(closed)
    [known] = gathering.poll(5)
    assert closed in known.recordings
    assert gathering.deadline() == NEVER_NS


def test_what_comes_too_late_leaves_nothing_behind() -> None:
    gathering, calls = Gathering(are_recorded=True), [a_call(f"leg-{number}") for number in range(3000)]
    for call in calls:
        gathering.began(call, "a-take")
        gathering.ended(call, a_report(call), 0)
        assert len(gathering.poll(MAX_WAIT_NS)) == 1
    for call in calls:
        gathering.recorded(a_recording(call))
        gathering.recorded(a_recording(call, is_take=True))
        gathering.failed(call, "a-take", is_take=True)
        gathering.began(call, "another")
    assert len(gathering) == len(gathering._calls) == 0
    assert gathering.deadline() == NEVER_NS


def test_nor_is_one_that_does_not_come() -> None:
    gathering, call = Gathering(are_recorded=True), a_call()
    gathering.ended(call, a_report(call), 5)
    assert gathering.deadline() == 5 + MAX_WAIT_NS
    assert gathering.poll(4 + MAX_WAIT_NS) == []
    assert len(gathering.poll(5 + MAX_WAIT_NS)) == gathering.incomplete == 1


def test_what_a_dead_process_left_is_no_call_of_ours() -> None:
    gathering, call = Gathering(are_recorded=True), a_call()
    call.index = -1
    gathering.recorded(a_recording(call))
    assert gathering.deadline() == NEVER_NS
    assert gathering.poll(0, is_over=True) == []


@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["began", "ended", "recorded", "take", "failed", "poll"])))
)
def test_every_call_that_has_ended_has_one_record(steps: list[tuple[int, str]]) -> None:
    gathering, calls = Gathering(are_recorded=True), [a_call(f"leg-{number}") for number in range(6)]
    ended, records = set(), []
    for number, step in steps:
        call = calls[number]
        if step == "ended" and number not in ended:
            ended.add(number)
            gathering.ended(call, a_report(call), 0)
        elif step in ("recorded", "take"):
            gathering.recorded(a_recording(call, is_take=step == "take"))
        elif step == "began" and number not in ended:
            gathering.began(call, a_recording(call).recording_id)
        elif step == "failed":
            gathering.failed(call, "its own", is_take=False)
        elif step == "poll":
            records += gathering.poll(0)
    records += gathering.poll(0, is_over=True)
    assert sorted(known.call.call_id for known in records) == [f"leg-{number}" for number in sorted(ended)]
    assert {id(known.call) for known in gathering._calls.values()}.isdisjoint(id(calls[number]) for number in ended)
