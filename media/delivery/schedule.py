"""`Schedule`: which recording is worked at next, and when one is tried again. Time is given.

Every job that failed waits by itself, `FIRST_S` and twice as long each time, at most `LONGEST_S`. A store that failed
is left alone as well, whichever jobs wait for it: then one of them tries it at a time, until one succeeds. So a store
that is away for a day is asked once a minute, and formats are made meanwhile; a single recording that a store does
not take holds up no other.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Iterable

from media.delivery.jobs import Job
from strep.clock import NEVER_NS, NS_PER_SECOND

FIRST_S, LONGEST_S, LONGEST_STORE_S = 1.0, 300.0, 60.0
OUTAGE = 3
"""Failures of a store in a row, after which its next success lets all try again that waited."""
MOST_BEGINNINGS = 5
"""Of a step that never ended: something in the recording kills the process."""


class Schedule:
    """The jobs that are known, in the order of their coming.

    Attributes:
        retries: attempts that failed and are to be repeated.
    """

    def __init__(self, at_once: int, rng: random.Random, *, has_store: bool = True) -> None:
        """Start empty.

        Args:
            at_once: how many jobs are worked at at a time.
            rng: spreads attempts, so that many machines do not come at once.
            has_store: what is prepared goes to a store; else it only takes its place.
        """
        self.retries = 0
        self._has_store = has_store
        self._at_once, self._rng = at_once, rng
        self._jobs: dict[str, Job] = {}
        self._running: set[str] = set()
        self._making: deque[str] = deque()  # what waits for a worker
        self._storing: deque[str] = deque()  # what waits for the store as well
        self._later: list[tuple[int, str]] = []  # heap: when, what
        self._store_failures, self._store_opens_ns = 0, 0

    def __contains__(self, name: object) -> bool:
        """Return whether the job is known."""
        return name in self._jobs

    def __len__(self) -> int:
        """Return how many are known and not given up."""
        return sum(not job.is_given_up for job in self._jobs.values())

    def jobs(self) -> Iterable[Job]:
        """Return the jobs that are known."""
        return self._jobs.values()

    def add(self, job: Job) -> None:
        """Take a job, or the next step of one."""
        self._running.discard(job.name)
        self._jobs[job.name] = job
        if not job.is_given_up:
            self._queue_of(job).append(job.name)

    def next(self, now_ns: int) -> Job | None:
        """Return a job to work at now, or None; `add`, `retry` or `forget` ends the work."""
        while self._later and self._later[0][0] <= now_ns:
            name = heapq.heappop(self._later)[1]
            if name in self._jobs:
                self._queue_of(self._jobs[name]).append(name)
        if self._is_full():
            return None
        for queue in (self._storing,) * self._may_store(now_ns) + (self._making,):
            if queue:
                name = queue.popleft()
                self._running.add(name)
                return self._jobs[name]
        return None

    def succeeded_at_store(self) -> None:
        """The store took something: it is there."""
        if self._store_failures >= OUTAGE:
            waiting, self._later = self._later, []
            for _, name in waiting:
                if name in self._jobs:
                    self._queue_of(self._jobs[name]).append(name)
        self._store_failures, self._store_opens_ns = 0, 0

    def retry(self, job: Job, now_ns: int, *, is_store: bool) -> None:
        """Try the job again later; `job.attempts` says how often that was said."""
        self.retries += 1
        self._running.discard(job.name)
        self._jobs[job.name] = job
        heapq.heappush(self._later, (now_ns + self._pause_ns(job.attempts, LONGEST_S), job.name))
        if is_store:
            self._store_failures += 1
            self._store_opens_ns = now_ns + self._pause_ns(self._store_failures, LONGEST_STORE_S)

    def forget(self, name: str) -> None:
        """The job is done, or gone."""
        self._running.discard(name)
        self._jobs.pop(name, None)

    def deadline(self) -> int:
        """Return when there may be something to do; `NEVER_NS` if only others know."""
        if self._is_full():
            return NEVER_NS
        times = [self._later[0][0]] if self._later else []
        if self._storing and not (self._store_failures and self._stores_now()):
            times.append(self._store_opens_ns)
        return 0 if self._making else min(times, default=NEVER_NS)

    def is_busy(self) -> bool:
        """Return whether jobs are being worked at."""
        return bool(self._running)

    def oldest_wall_ns(self) -> int:
        """Return since when the oldest job waits; 0 if there is none."""
        return min((job.created_wall_ns for job in self._jobs.values() if not job.is_given_up), default=0)

    def _is_full(self) -> bool:
        """Return whether nothing may begin; a job that a process died with is worked at alone, to find the one."""
        if not self._running:
            return False
        heads = [queue[0] for queue in (self._storing, self._making) if queue]
        return len(self._running) >= self._at_once or any(self._jobs[name].begun for name in (*self._running, *heads))

    def _queue_of(self, job: Job) -> deque[str]:
        return self._storing if self._is_for_store(job) else self._making

    def _may_store(self, now_ns: int) -> bool:
        return now_ns >= self._store_opens_ns and not (self._store_failures and self._stores_now())

    def _stores_now(self) -> bool:
        return any(self._is_for_store(self._jobs[name]) for name in self._running)

    def _is_for_store(self, job: Job) -> bool:
        return self._has_store and job.state == "prepared"

    def _pause_ns(self, times: int, longest_s: float) -> int:
        pause_s = min(FIRST_S * 2.0 ** min(times - 1, 30), longest_s)
        return round(pause_s * self._rng.uniform(0.5, 1.0) * NS_PER_SECOND)
