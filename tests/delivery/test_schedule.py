"""Which job is next, and when one is tried again."""

from __future__ import annotations

import random

import msgspec
import pytest

from media.delivery.jobs import Job
from media.delivery.schedule import LONGEST_S, LONGEST_STORE_S, OUTAGE, Schedule
from strep.clock import NEVER_NS, NS_PER_SECOND
from tests.delivery.test_keys import JOB

S = NS_PER_SECOND


def job(name: str, state: str = "waiting", **values: object) -> Job:
    return msgspec.structs.replace(JOB, name=name, state=state, **values)


def schedule(at_once: int = 2, *, has_store: bool = True) -> Schedule:
    return Schedule(at_once, random.Random(1), has_store=has_store)


def drained(jobs: Schedule, now_ns: int) -> list[str]:
    names = []
    while (found := jobs.next(now_ns)) is not None:
        names.append(found.name)
    return names


def test_first_come_first_served_and_so_many_at_once() -> None:
    jobs = schedule(2)
    for name in "abc":
        jobs.add(job(name))
    assert drained(jobs, 0) == ["a", "b"]
    assert jobs.deadline() == NEVER_NS
    jobs.forget("a")
    assert jobs.deadline() == 0
    assert drained(jobs, 0) == ["c"]
    assert len(jobs) == 2


def test_what_is_ready_for_the_store_goes_first() -> None:
    jobs = schedule(1)
    jobs.add(job("a"))
    jobs.add(job("b", "prepared"))
    assert drained(jobs, 0) == ["b"]


def test_a_job_waits_longer_each_time_and_never_longer_than_the_longest() -> None:
    jobs, now_ns, pauses_s = schedule(), 0, []
    jobs.add(job("a"))
    for attempts in range(1, 15):
        assert drained(jobs, now_ns) == ["a"]
        jobs.retry(job("a", attempts=attempts), now_ns, is_store=False)
        pauses_s.append((jobs.deadline() - now_ns) / S)
        assert drained(jobs, jobs.deadline() - 1) == []
        now_ns = jobs.deadline()
    for attempts, pause_s in enumerate(pauses_s):
        assert 0.5 * min(2**attempts, LONGEST_S) <= pause_s <= min(2**attempts, LONGEST_S)
    assert jobs.retries == 14


class TestAStoreThatIsAway:
    def outage(self, jobs: Schedule, hours: float) -> tuple[int, int]:
        """Let every attempt fail for so long; return how many there were, and when it ended."""
        now_ns, attempts, tried = 0, 0, dict[str, int]()
        while now_ns < hours * 3600 * S:
            names = drained(jobs, now_ns)
            assert len(names) <= 1 or not attempts, "one asks, and the others wait for it"
            for name in names:
                attempts += 1
                tried[name] = tried.get(name, 0) + 1
                jobs.retry(job(name, "prepared", attempts=tried[name]), now_ns, is_store=True)
            now_ns = max(jobs.deadline(), now_ns + 1)
        return attempts, now_ns

    def test_is_asked_about_once_a_minute_however_many_wait(self) -> None:
        jobs = schedule()
        for number in range(1000):
            jobs.add(job(f"j{number}", "prepared"))
        attempts, _ = self.outage(jobs, 24)
        assert 24 * 3600 / LONGEST_STORE_S <= attempts <= 2 * 24 * 3600 / LONGEST_STORE_S + 12
        assert len(jobs) == 1000

    def test_does_not_keep_formats_from_being_made(self) -> None:
        jobs = schedule(2)
        jobs.add(job("a", "prepared"))
        assert drained(jobs, 0) == ["a"]
        jobs.retry(job("a", "prepared", attempts=1), 0, is_store=True)
        jobs.add(job("b", "prepared"))
        jobs.add(job("c"))
        assert drained(jobs, 0) == ["c"]

    def test_when_it_is_back_all_go_on_at_once(self) -> None:
        jobs = schedule(1000)
        for number in range(20):
            jobs.add(job(f"j{number}", "prepared"))
        _, now_ns = self.outage(jobs, 2)
        [probe] = drained(jobs, now_ns)
        jobs.succeeded_at_store()
        jobs.forget(probe)
        assert len(drained(jobs, now_ns)) == 19

    def test_one_recording_that_is_refused_holds_up_no_other(self) -> None:
        """It is tried less and less, the others go on a second later at most."""
        jobs, now_ns, refusals, attempts = schedule(1), 0, 0, 0
        jobs.add(job("bad", "prepared"))
        for number in range(200):
            jobs.add(job(f"j{number}", "prepared"))
        while len(jobs) > 1:
            found = jobs.next(now_ns)
            if found is None:
                now_ns = jobs.deadline()
            elif found.name == "bad":
                refusals, attempts = refusals + 1, attempts + 1
                jobs.retry(job("bad", "prepared", attempts=attempts), now_ns, is_store=True)
            else:
                jobs.succeeded_at_store()
                jobs.forget(found.name)
        assert refusals < OUTAGE + 8
        assert now_ns < 200 * S


def test_without_a_store_what_is_made_takes_its_place() -> None:
    jobs = schedule(1, has_store=False)
    jobs.add(job("a"))
    jobs.add(job("b", "prepared"))
    assert drained(jobs, 0) == ["a"]


@pytest.mark.parametrize("state", ["waiting", "prepared", "stored"])
def test_what_is_given_up_is_known_and_left_alone(state: str) -> None:
    jobs = schedule()
    jobs.add(job("a", state, is_given_up=True, created_wall_ns=5))
    assert "a" in jobs
    assert drained(jobs, 0) == []
    assert (len(jobs), jobs.oldest_wall_ns()) == (0, 0)
