"""Clocks: the machine's, and the one that stands still."""

from __future__ import annotations

from strep.clock import NEVER_NS, NS_PER_SECOND, ManualClock, SystemClock


def test_a_manual_clock_moves_both_readings() -> None:
    clock = ManualClock(5, 100)
    assert (clock.now_ns(), clock.wall_ns()) == (5, 105)
    assert clock.advance(NS_PER_SECOND) == NS_PER_SECOND + 5
    assert (clock.now_ns(), clock.wall_ns()) == (NS_PER_SECOND + 5, NS_PER_SECOND + 105)


def test_the_machine_runs_forward_and_this_is_not_1970() -> None:
    clock = SystemClock()
    assert clock.now_ns() <= clock.now_ns() < NEVER_NS
    assert clock.wall_ns() > 1_600_000_000 * NS_PER_SECOND
