"""`Writer`: the thread that takes records to one place, again and again if need be."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Any, Protocol

from media.cdr.outbox import Outbox
from media.cdr.record import CallRecord
from media.throttle import ThrottledLog
from strep.clock import NEVER_NS, NS_PER_SECOND, Clock

_LOG = logging.getLogger("strep.cdr")


class Place(Protocol):
    """Where records are written to."""

    name: str

    def open(self, wall_ns: int) -> None:
        """Prepare, before there are calls.

        Raises:
            OSError: it cannot be; the server does not start then.
        """

    def write(self, records: Sequence[CallRecord], wall_ns: int) -> None:
        """Write all of them, whatever of them is there already, or none.

        Raises:
            OSError: not now; they are to be tried again.
            Exception: any other; it will never take one of them.
        """

    def close(self) -> None:
        """Be done with it."""


def write_each(place: Place, records: Sequence[CallRecord], wall_ns: int) -> int:
    """Write records; return how many of them the place will never take, none of which costs another.

    Raises:
        OSError: not now; they are to be tried again.
    """
    try:
        place.write(records, wall_ns)
    except OSError:
        raise
    except Exception as error:
        if len(records) > 1:
            return sum(write_each(place, [record], wall_ns) for record in records)
        _LOG.error(
            "the %s does not take the record of call %s: %s", place.name, records[0].call_id, first_line(error)
        )
        return 1
    return 0


def first_line(error: Exception) -> str:
    """Return what is wrong in one line; of a database what its driver says, without the statement and its values."""
    text = str(getattr(error, "orig", None) or error).strip()
    return text.splitlines()[0] if text else type(error).__name__


class Writer:
    """Writes records at one place in a thread of its own; nobody ever waits for it."""

    def __init__(self, place: Place, clock: Clock) -> None:
        """Prepare; nothing is written before `start`."""
        self.place, self.outbox = place, Outbox()
        self._clock, self._trouble = clock, ThrottledLog(_LOG, clock)
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"cdr-{place.name}", daemon=True)

    def start(self) -> None:
        """Open the place, and begin.

        Raises:
            OSError: it cannot be opened.
        """
        self.place.open(self._clock.wall_ns())
        self._thread.start()

    def put(self, records: Sequence[CallRecord]) -> None:
        """Queue records; from any thread, without waiting."""
        with self._changed:
            self.outbox.receive(records, self._clock.now_ns())
            self._changed.notify()

    def stop(self, timeout_s: float) -> int:
        """Try what waits once more, and end; return how many records are not written."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        with self._changed:
            return len(self.outbox)

    def step(self, *, at_once: bool = False) -> bool:
        """Write what is due, `at_once` also what is to wait for a while; return whether something was written."""
        with self._changed:
            batch = self.outbox.poll(self._clock.now_ns(), at_once=at_once)
        if not batch:
            return False
        refused, error = 0, ""
        try:
            refused = write_each(self.place, batch, self._clock.wall_ns())
        except OSError as found:
            error = str(found)
        with self._changed:
            self.outbox.settle(self._clock.now_ns(), is_written=not error, refused=refused)
        if error:
            self._trouble.warning(
                f"{len(batch)} call records wait, the {self.place.name} does not take them: {error}"
            )
        return not error

    def snapshot(self) -> dict[str, Any]:
        """Return counters."""
        with self._changed:
            return self.outbox.snapshot(self._clock.now_ns())

    def _run(self) -> None:
        while not self._stopping:
            if not self.step():
                with self._changed:
                    wait_ns = self.outbox.deadline() - self._clock.now_ns()
                    if wait_ns > 0 and not self._stopping:
                        self._changed.wait(None if wait_ns > NEVER_NS // 2 else wait_ns / NS_PER_SECOND)
        while self.step(at_once=True):
            pass
        self.place.close()
