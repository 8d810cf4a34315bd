"""The one timer of all calls, and things that fail in it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from media.talk.timer import TalkTimer, Timed
from strep.clock import NEVER_NS, NS_PER_MS, NS_PER_SECOND, ManualClock


class Thing:
    """Wants to be polled every 10 ms."""

    def __init__(self, clock: ManualClock, fails_in: str = "") -> None:
        self._clock, self.fails_in = clock, fails_in
        self.timer: TalkTimer | None = None
        self.polls = 0
        self._due_ns = clock.now_ns()

    def poll(self, now_ns: int) -> None:
        self.polls += 1
        self._due_ns = now_ns + 10 * NS_PER_MS
        if self.fails_in == "poll and goes":
            assert self.timer is not None
            self.timer.remove(self)
        if self.fails_in.startswith("poll"):
            raise ValueError("a bug in it")

    def deadline(self) -> int:
        if self.fails_in == "deadline" and self.polls:
            raise ValueError("a bug in it")
        return self._due_ns


class Failures:
    """Keeps what failed; may fail itself."""

    def __init__(self) -> None:
        self.things: list[Timed] = []
        self.fails = False

    def __call__(self, thing: Timed, error: Exception) -> None:
        self.things.append(thing)
        if self.fails:
            raise error


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NS_PER_SECOND)


@pytest.fixture
def failures() -> Failures:
    return Failures()


@pytest.fixture
async def timer(clock: ManualClock, failures: Failures) -> AsyncIterator[TalkTimer]:
    timer = TalkTimer(clock, failures)
    yield timer
    timer.stop()


@pytest.mark.parametrize("fails_in", ["poll", "poll and goes", "deadline"])
async def test_what_fails_is_told_of_once_and_the_others_go_on(
    clock: ManualClock, failures: Failures, timer: TalkTimer, fails_in: str
) -> None:
    things = [Thing(clock), Thing(clock, fails_in), Thing(clock)]
    for thing in things:
        thing.timer = timer
        timer.touch(thing)
    for _ in range(5):
        timer.tick()
        clock.advance(10 * NS_PER_MS)
    assert [thing.polls for thing in things] == [5, 1, 5]
    assert failures.things == [things[1]]
    assert timer.failures == 1
    newcomer = Thing(clock)
    timer.touch(newcomer)
    assert timer._armed is not None, "newcomers are taken"


async def test_who_is_told_may_fail_as_well(clock: ManualClock, failures: Failures, timer: TalkTimer) -> None:
    failures.fails = True
    bad, good = Thing(clock, "poll"), Thing(clock)
    timer.touch(bad)
    timer.touch(good)
    with pytest.raises(ValueError, match="a bug in it"):
        timer.tick()
    assert timer._armed_ns != NEVER_NS
    timer.tick()
    assert (bad.polls, good.polls) == (1, 1)
