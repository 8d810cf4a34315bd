"""Shell: the program that delivers the recordings of one directory, apart from all that receives.

``python -m media.delivery.process``: a line of JSON on standard input says how, and lines of JSON on standard output
say what happens; see `media.delivery.messages`. It ends when standard input does, with what can be done at once
within `DRAIN_S`; what is left is in the folder of jobs. It has the lowest priority that there is, so that it takes
what nobody else wants of the machine. Whoever starts it by hand gets nothing: it needs a server at the other end.
"""

from __future__ import annotations

import logging
import os
import queue
import random
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import msgspec

from media.delivery.deliverer import ERROR, Deliverer, Outcome
from media.delivery.jobs import Job
from media.delivery.messages import DRAIN_S, Message, Said, encode
from media.delivery.settings import DeliverySettings
from media.delivery.stores import Store, open_store
from strep.clock import NS_PER_SECOND, Clock, SystemClock

NICE = 19
LOOK_EVERY_S = 0.5
STATUS_EVERY_S = 1.0
PROBE_KEY = "strep-looks-whether-it-may-look"


class Runner:
    """Looks for jobs and has them worked at, until it is told to end."""

    def __init__(self, deliverer: Deliverer, clock: Clock, at_once: int, tell: Teller) -> None:
        self._deliverer, self._clock, self._at_once, self._tell = deliverer, clock, at_once, tell
        self._outcomes: queue.SimpleQueue[Outcome | None] = queue.SimpleQueue()
        self._ends_ns: int | None = None
        self._next_status_ns = 0

    def end_soon(self) -> None:
        """Do what can be done at once, and end; from any thread."""
        self._ends_ns = self._clock.now_ns() + round(DRAIN_S * NS_PER_SECOND)
        self._outcomes.put(None)

    def run(self) -> None:
        """Run; return when nothing is being worked at, or time is up."""
        pool = ThreadPoolExecutor(self._at_once, thread_name_prefix="deliver")
        while True:
            self._deliverer.look()
            now_ns = self._clock.now_ns()
            is_late = self._ends_ns is not None and now_ns >= self._ends_ns
            while not is_late and (job := self._deliverer.next()) is not None:
                pool.submit(self._work, job)
            if is_late or (self._ends_ns is not None and not self._deliverer.schedule.is_busy()):
                break
            if now_ns >= self._next_status_ns:
                self._next_status_ns = now_ns + round(STATUS_EVERY_S * NS_PER_SECOND)
                self._tell(self._deliverer.status())
                self._deliverer.watch()
            self._wait(now_ns)
        self._tell(self._deliverer.status())

    def _work(self, job: Job) -> None:
        self._outcomes.put(self._deliverer.work(job))

    def _wait(self, now_ns: int) -> None:
        """Apply outcomes as they come; return when there may be something else to do."""
        until_ns = min(self._deliverer.schedule.deadline(), now_ns + round(LOOK_EVERY_S * NS_PER_SECOND))
        with suppress(queue.Empty):
            outcome = self._outcomes.get(timeout=max(until_ns - now_ns, 0) / NS_PER_SECOND)
            if outcome is not None:
                self._deliverer.apply(outcome)


class Teller:
    """Writes messages to a descriptor; when nobody reads them any more, nobody is told."""

    def __init__(self, fd: int) -> None:
        self._fd, self._lock = fd, threading.Lock()

    def __call__(self, message: Message) -> None:
        """Write one, whole."""
        line = encode(message)
        with self._lock, suppress(OSError):
            while line:
                line = line[os.write(self._fd, line) :]


def main() -> None:
    """Run until standard input ends."""
    os.nice(NICE)  # SCHED_IDLE was no better in the one comparison that was made
    for number in (signal.SIGINT, signal.SIGTERM):  # of a terminal, or of systemd, to all: the server says when
        signal.signal(number, signal.SIG_IGN)
    out = os.dup(1)
    os.dup2(2, 1)  # what libraries print is no message
    tell = Teller(out)
    logging.basicConfig(level=logging.CRITICAL)  # of libraries: what they raise is said, and once
    settings = msgspec.json.decode(sys.stdin.buffer.readline(), type=DeliverySettings)
    try:
        target = open_store(settings.url) if settings.url else None
    except Exception as error:  # a client that is not there, or does not know such a URL
        tell(Said(ERROR, f"cannot deliver to {settings.url}: {type(error).__name__}: {error}"))
        sys.exit(1)
    clock = SystemClock()
    deliverer = Deliverer(settings, clock, tell, target, random.Random())
    runner = Runner(deliverer, clock, settings.at_once, tell)
    threading.Thread(target=_end_with_input, args=(runner,), daemon=True).start()
    if target is not None:
        threading.Thread(target=_probe, args=(target, tell), daemon=True).start()
    runner.run()
    os._exit(0)  # threads may be amid an hour of audio; what they do can be cut short anywhere


def _end_with_input(runner: Runner) -> None:
    sys.stdin.buffer.read()
    runner.end_soon()


def _probe(target: Store, tell: Teller) -> None:
    """Find out before the first call whether the store lets us in."""
    try:
        target.exists(PROBE_KEY)
    except Exception as error:
        tell(
            Said(
                ERROR,
                f"{target.url} cannot be used now; recordings will be kept and tried again: "
                f"{type(error).__name__}: {error}",
            )
        )


if __name__ == "__main__":
    main()
