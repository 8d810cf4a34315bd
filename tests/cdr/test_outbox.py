"""Nothing is lost but what there is no room for, and nothing is tried too often."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from media.cdr.outbox import FIRST_BACK_OFF_NS, LONGEST_BACK_OFF_NS, MAX_BATCH, Outbox
from media.cdr.record import CallRecord
from media.cdr.writer import Writer
from strep.clock import NEVER_NS, ManualClock
from tests.cdr.records import a_record


def ids(records: list[CallRecord]) -> list[str]:
    return [record.call_id for record in records]


def test_a_failure_is_tried_again_with_back_off() -> None:
    outbox, now_ns, waits = Outbox(), 0, []
    outbox.receive([a_record(1)], now_ns)
    for _ in range(10):
        assert ids(outbox.poll(now_ns)) == ["leg-1"]
        outbox.settle(now_ns, is_written=False)
        assert outbox.poll(now_ns) == []
        waits.append(outbox.deadline() - now_ns)
        now_ns = outbox.deadline()
    assert waits[:3] == [FIRST_BACK_OFF_NS, 2 * FIRST_BACK_OFF_NS, 4 * FIRST_BACK_OFF_NS]
    assert waits[-1] == LONGEST_BACK_OFF_NS
    assert outbox.poll(now_ns)
    outbox.settle(now_ns, is_written=True)
    assert outbox.deadline() == NEVER_NS
    assert outbox.snapshot(now_ns) == {
        "written": 1, "refused": 0, "dropped": 0, "retries": 10, "waiting": 0, "oldest_ns": 0,
    }  # fmt: skip


@given(
    st.lists(
        st.one_of(st.integers(1, 5), st.just("poll"), st.just("fails"), st.just("works")), min_size=1, max_size=60
    )
)
def test_what_is_taken_is_written_dropped_or_waits(steps: list[Any]) -> None:
    outbox, taken = Outbox(max_waiting=8), 0
    written: list[str] = []
    in_flight: list[str] = []
    for step in steps:
        if isinstance(step, int):
            outbox.receive([a_record(taken + i) for i in range(step)], 0)
            taken += step
        elif step == "poll" and not in_flight:
            in_flight = ids(outbox.poll(0, at_once=True))
        elif in_flight:
            outbox.settle(0, is_written=step == "works")
            written += in_flight if step == "works" else []
            in_flight = []
    assert len(written) == len(set(written))
    waiting = ids(outbox.poll(0, at_once=True))
    assert not set(waiting) & set(written)
    assert len(outbox) <= 8
    assert outbox.written + outbox.dropped + len(outbox) == taken


class Away:
    """A place that takes nothing until it is there."""

    name = "place"

    def __init__(self) -> None:
        self.is_there, self.taken, self.tries, self.never = False, list[str](), 0, set[str]()

    def open(self, wall_ns: int) -> None:
        pass

    def write(self, records: Sequence[CallRecord], wall_ns: int) -> None:
        self.tries += 1
        if not self.is_there:
            raise OSError("away")
        if any(record.call_id in self.never for record in records):
            raise TypeError("not that one")
        self.taken += [record.call_id for record in records]

    def close(self) -> None:
        pass


def test_a_place_that_is_away_and_comes_back() -> None:
    clock, place = ManualClock(), Away()
    writer = Writer(place, clock)
    writer.put([a_record(number) for number in range(MAX_BATCH + 1)])
    for _ in range(100):
        writer.step()
    assert place.tries == 1
    clock.advance(FIRST_BACK_OFF_NS)
    place.is_there = True
    while writer.step():
        pass
    assert len(place.taken) == MAX_BATCH + 1
    assert place.tries == 3


def test_at_the_end_it_is_tried_once_more_and_what_is_left_is_said() -> None:
    clock, place = ManualClock(), Away()
    writer = Writer(place, clock)
    writer.start()
    writer.put([a_record(1)])
    assert writer.stop(60) == 1
    assert 1 <= place.tries <= 2


def test_a_record_that_is_never_taken_costs_no_other_and_is_not_tried_for_ever() -> None:
    place = Away()
    place.is_there, place.never = True, {"leg-2"}
    writer = Writer(place, ManualClock())
    writer.put([a_record(number) for number in range(4)])
    assert writer.step()
    assert place.taken == ["leg-0", "leg-1", "leg-3"]
    counted = writer.snapshot()
    assert (counted["written"], counted["refused"], counted["waiting"]) == (3, 1, 0)
    assert not writer.step(at_once=True)
