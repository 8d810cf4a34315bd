"""`Deliverer`: the jobs of a directory, one step after another; without threads, processes and sleep.

Whoever runs it calls `look` and `next`, has `work` done wherever it likes, and hands the outcome to `apply`, where
everything is that changes anything but the job's own files.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from msgspec.structs import replace

from media.delivery.jobs import Job, JobFolder
from media.delivery.messages import Message, Said, Saved, Status, Trouble
from media.delivery.schedule import MOST_BEGINNINGS, Schedule
from media.delivery.settings import DeliverySettings
from media.delivery.steps import prepare, settle, store
from media.delivery.stores import Store
from strep.clock import NS_PER_SECOND, Clock

Step = Literal["convert", "upload", "finish"]

WARNING, ERROR, INFO = 30, 40, 20
"""Levels of `logging`."""
ALARM_AGE_S, ALARM_EVERY_S = 3600, 600
"""From which age of the oldest recording on there is an alarm, and how often."""
_FRESH_NS = 2 * NS_PER_SECOND
"""How long a folder's time of change may stay the same though it changes: clocks of file systems are coarse."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a step.

    Attributes:
        job: as it is now; None where there is none any more.
        before: as it was.
        step: which one.
        error: what it raised.
        is_done: it was the last.
    """

    job: Job | None
    before: Job
    step: Step
    error: Exception | None = None
    is_done: bool = False


class Deliverer:
    """Delivers what is in a folder of jobs.

    Attributes:
        schedule: of the jobs that are known.
    """

    def __init__(
        self,
        settings: DeliverySettings,
        clock: Clock,
        tell: Callable[[Message], None],
        target: Store | None,
        rng: random.Random,
    ) -> None:
        """Prepare; nothing is done before `look`.

        Args:
            settings: as configured.
            clock: the machine's.
            tell: takes messages.
            target: the store of `settings.url`; None if there is none.
            rng: see `Schedule`.
        """
        self.schedule = Schedule(settings.at_once, rng, has_store=target is not None)
        self._settings, self._clock, self._tell, self._target = settings, clock, tell, target
        self._folder = JobFolder(settings.directory, settings.directory_of_keys)
        self._changed_ns = -1
        self._unreadable: set[str] = set()
        self._has_looked = False
        self._delivered = self._failed = self._delivered_bytes = 0
        self._last_trouble = ""
        self._next_alarm_ns = 0

    def look(self) -> None:
        """Find jobs that are new in the folder."""
        changed_ns = self._folder.changed_ns()
        if changed_ns == self._changed_ns and self._clock.wall_ns() - changed_ns > _FRESH_NS:
            return
        self._changed_ns = changed_ns
        found = [name for name in self._folder.names() if name not in self.schedule and name not in self._unreadable]
        for name in sorted(found):
            self._read(name)
        self._has_looked = True

    def _read(self, name: str) -> None:
        try:
            job = self._folder.read(name)
        except (OSError, ValueError) as error:
            self._unreadable.add(name)
            self._say(ERROR, f"the job of recording {name} cannot be read, and it stays where it is: {error}")
            return
        if job is None:
            return
        if self._settings.is_first and not self._has_looked:
            job = replace(job, is_given_up=False, begun=0, attempts=0)
        elif job.begun >= MOST_BEGINNINGS and not job.is_given_up:
            self._give_up(replace(job, is_given_up=True, trouble="the process died of it again and again"))
            return
        self.schedule.add(job)

    def _give_up(self, job: Job) -> None:
        """Leave a job alone until the next start, and say so."""
        step = self._step_of(job)
        self._failed += 1
        self._save(job)
        self.schedule.add(job)
        self._say(ERROR, f"recording {job.name} stays as it is until the next start: {step}: {job.trouble}")
        self._tell(Trouble(job, step, will_retry=False))

    def _save(self, job: Job) -> None:
        try:
            self._folder.write(job)
        except OSError as error:
            self._say(ERROR, f"the job of recording {job.name} cannot be written: {error}")

    def next(self) -> Job | None:
        """Return a job for `work`, or None."""
        return self.schedule.next(self._clock.now_ns())

    def work(self, job: Job) -> Outcome:
        """Do the next step of a job; from any thread, for one job in one thread at a time."""
        before, step = job, self._step_of(job)

        def save(changed: Job) -> None:
            nonlocal job
            self._folder.write(changed)
            job = changed

        try:
            save(replace(job, begun=job.begun + 1))
            if step == "convert":
                job = prepare(job, self._folder, self._settings)
            elif step == "upload" and self._target is not None:
                job = store(job, self._folder, self._settings.key, self._target, save)
            else:
                settle(job, self._folder, self._settings)
                return Outcome(job, before, step, is_done=True)
            save(replace(job, begun=0, attempts=0, trouble=""))
        except Exception as error:
            return Outcome(job, before, step, error)
        return Outcome(job, before, step)

    def _step_of(self, job: Job) -> Step:
        if job.state == "waiting":
            return "convert"
        return "upload" if job.state == "prepared" and self._target is not None else "finish"

    def apply(self, outcome: Outcome) -> None:
        """Take what `work` returned."""
        job = outcome.job
        if job is None:
            self.schedule.forget(outcome.before.name)
        elif outcome.error is not None:
            self._fail(job, outcome.step, outcome.error)
        else:
            if outcome.step == "upload":
                self.schedule.succeeded_at_store()
            if outcome.is_done:
                self._done(job)
            else:
                self.schedule.add(job)

    def _done(self, job: Job) -> None:
        self.schedule.forget(job.name)
        self._delivered += 1
        self._delivered_bytes += sum(file.size_bytes for file in job.files)
        stays = self._settings.keep_local or job.state != "stored"
        self._tell(Saved(job, str(self._folder.final(job, job.files[0].format)) if stays else ""))

    def _fail(self, job: Job, step: Step, error: Exception) -> None:
        is_final = step == "convert" and isinstance(error, (ValueError, FileNotFoundError))
        self._last_trouble = trouble = f"{type(error).__name__}: {error}"
        job = replace(job, begun=0, attempts=job.attempts + 1, trouble=trouble, is_given_up=is_final)
        if is_final:
            self._give_up(job)
            return
        self._save(job)
        self.schedule.retry(job, self._clock.now_ns(), is_store=step == "upload")
        self._say(WARNING, f"recording {job.name} is tried again: {step}: {_advised(error, trouble)}")
        if job.attempts == 1:
            self._tell(Trouble(job, step, will_retry=True))

    def status(self) -> Status:
        """Return how things are."""
        return Status(
            waiting=len(self.schedule),
            oldest_wall_ns=self.schedule.oldest_wall_ns(),
            given_up=sum(job.is_given_up for job in self.schedule.jobs()),
            retries=self.schedule.retries,
            delivered=self._delivered,
            failed=self._failed,
            delivered_bytes=self._delivered_bytes,
        )

    def watch(self) -> None:
        """Sound the alarm if recordings have waited for long."""
        now_ns, oldest_ns = self._clock.now_ns(), self.schedule.oldest_wall_ns()
        age_s = (self._clock.wall_ns() - oldest_ns) / NS_PER_SECOND if oldest_ns else 0.0
        if age_s >= ALARM_AGE_S and now_ns >= self._next_alarm_ns:
            self._next_alarm_ns = now_ns + ALARM_EVERY_S * NS_PER_SECOND
            self._say(
                ERROR,
                f"{len(self.schedule)} recordings wait, the oldest for {age_s / 3600:.1f} hours; they stay in "
                f"{self._folder.recordings} until they are delivered: see to it that the disk has room"
                + (f"; the last trouble was {self._last_trouble}" if self._last_trouble else ""),
            )

    def _say(self, level: int, text: str) -> None:
        self._tell(Said(level, text))


def _advised(error: Exception, trouble: str) -> str:
    if isinstance(error, PermissionError):
        return f"{trouble} (are credentials, bucket and rights as they should be?)"
    return trouble
