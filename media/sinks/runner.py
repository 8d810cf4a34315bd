"""`SinkRunner`: one sink in a thread of its own, so that it can hold up nobody but itself.

The event loop calls `put`, which never waits for the sink; the thread calls the sink, one item at a time.
`step` is the whole of the thread's work and needs no thread: tests call it.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any

from media.blocks import PcmBatch
from media.sinks.contract import Sink
from media.sinks.queue import CallEnded, CallStarted, Item, SinkQueue
from media.throttle import ThrottledLog
from strep.clock import NS_PER_SECOND, Clock, SystemClock

_LOG = logging.getLogger(__name__)
TICK_NS = NS_PER_SECOND
"""A sink that gets no batch for so long gets an empty one."""


@dataclass(frozen=True, slots=True)
class SinkSnapshot:
    """A sink's health at one moment.

    Attributes:
        name: of the sink.
        queued_items, queued_bytes: what waits.
        lag_ns: age of the oldest item that the sink has not finished with, the one in its hands included.
        delivered_blocks: rows that the sink was given.
        dropped_blocks, dropped_seconds: rows, and seconds of audio, that it was not given.
        dropped_calls: calls that it was never told of.
        errors: exceptions that left the sink.
        detached: it fell behind and is fed no more.
        closed: `Sink.close` has returned or raised.
        details: what the sink says of itself, see `Sink`; JSON values, empty if it says nothing.
    """

    name: str
    queued_items: int
    queued_bytes: int
    lag_ns: int
    delivered_blocks: int
    dropped_blocks: int
    dropped_seconds: float
    dropped_calls: int
    errors: int
    detached: bool
    closed: bool
    details: dict[str, Any] = field(default_factory=dict)


class SinkRunner:
    """Feeds one sink from a bounded queue; see `SinkQueue` for what is dropped when.

    Attributes:
        sink: the sink, called from the runner's thread only.
    """

    def __init__(self, sink: Sink, clock: Clock | None = None) -> None:
        self.sink = sink
        self._clock = clock or SystemClock()
        self._queue = SinkQueue(sink.options)
        self._log = ThrottledLog(_LOG, self._clock)
        self._changed = threading.Condition()
        self._stopping = False
        self._closed = False
        self._detached_said = False
        self._dropped_said = 0
        self._busy_since_ns: int | None = None
        self._next_tick_ns = self._clock.now_ns() + TICK_NS
        self._delivered_blocks = 0
        self._errors = 0
        self._thread = threading.Thread(target=self._run, name=f"sink-{sink.options.name}", daemon=True)

    @property
    def is_sensitive(self) -> bool:
        """See `SinkOptions`."""
        return self.sink.options.is_sensitive

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, item: Item) -> None:
        """Hand over a batch or the start or end of a call; from any thread, without waiting for the sink."""
        with self._changed:
            self._queue.put(item, self._clock.now_ns())
            say_detached = self._queue.detached and not self._detached_said
            self._detached_said = self._queue.detached
            say_dropped = not self._queue.detached and self._queue.dropped_calls > self._dropped_said
            dropped = self._dropped_said = self._queue.dropped_calls
            self._changed.notify()
        if say_detached:
            self._log.warning(f"sink {self.sink.options.name} fell behind and is detached")
        if say_dropped:
            self._log.warning(f"sink {self.sink.options.name} fell behind: {dropped} calls dropped so far")

    def request_stop(self) -> None:
        """Let the thread finish what is queued, close the sink and end; does not wait."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def stop(self, timeout_s: float) -> bool:
        """Request the stop and wait for it, at most `timeout_s` seconds.

        Returns:
            True: the sink was given all that was queued, and `Sink.close` has returned or raised. False: time
            ran out; the sink is left behind, and what is queued is lost when the process ends. That is logged,
            and `SinkSnapshot.closed` stays false until the sink finishes after all.
        """
        self.request_stop()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        elif not self._closed:  # never started: nobody else will drain the queue
            self._run()
        if not self._closed:
            # Not throttled: nothing may hide that files are unfinished.
            _LOG.error(
                "sink %s did not finish within %g s, %d items wait",
                self.sink.options.name,
                timeout_s,
                len(self._queue),
            )
        return self._closed

    def snapshot(self) -> SinkSnapshot:
        """Return the counters of one moment; those of the sink itself may be of a slightly different one."""
        details = _details(self.sink)
        with self._changed:
            queue = self._queue
            waiting = [ns for ns in (self._busy_since_ns, queue.oldest_ns()) if ns is not None]
            return SinkSnapshot(
                name=self.sink.options.name,
                queued_items=len(queue),
                queued_bytes=queue.queued_bytes,
                lag_ns=max(self._clock.now_ns() - min(waiting), 0) if waiting else 0,
                delivered_blocks=self._delivered_blocks,
                dropped_blocks=queue.dropped_blocks,
                dropped_seconds=queue.dropped_seconds,
                dropped_calls=queue.dropped_calls,
                errors=self._errors,
                detached=queue.detached,
                closed=self._closed,
                details=details,
            )

    def step(self) -> int:
        """Give the sink one queued item, or the tick that is due.

        Returns:
            0 when there may be more to do, else nanoseconds until the next tick.
        """
        with self._changed:
            got = self._queue.get()
            self._busy_since_ns = got[1] if got else None
        now_ns = self._clock.now_ns()
        if got is None:
            if now_ns < self._next_tick_ns:
                return self._next_tick_ns - now_ns
            item: Item = PcmBatch.tick(now_ns)
        else:
            item = got[0]
        if isinstance(item, PcmBatch):
            self._next_tick_ns = now_ns + TICK_NS
        self._deliver(item)
        with self._changed:
            self._busy_since_ns = None
        return 0

    def _deliver(self, item: Item) -> None:
        try:
            if isinstance(item, PcmBatch):
                self._delivered_blocks += len(item)
                self.sink.receive(item)
            elif isinstance(item, CallStarted):
                self.sink.call_started(item.call)
            elif isinstance(item, CallEnded):
                self.sink.call_ended(item.call, item.report)
        except Exception as error:  # the contract: counted, logged, and the sink goes on
            self._failed(type(item).__name__, error)

    def _failed(self, what: str, error: Exception) -> None:
        self._errors += 1
        self._log.warning(f"sink {self.sink.options.name} raised at {what}: {error!r}", exc_info=error)

    def _run(self) -> None:
        while True:
            wait_ns = self.step()
            if wait_ns == 0:
                continue
            with self._changed:
                if len(self._queue):
                    continue
                if self._stopping:
                    break
                self._changed.wait(wait_ns / NS_PER_SECOND)
        try:
            self.sink.close()
        except Exception as error:
            self._failed("close", error)
        self._closed = True


def _details(sink: Sink) -> dict[str, Any]:
    """Return what the sink's ``snapshot()`` says, if it has one; an error in it is its own trouble."""
    snapshot = getattr(sink, "snapshot", None)
    if not callable(snapshot):
        return {}
    try:
        said = snapshot()
        return asdict(said) if is_dataclass(said) and not isinstance(said, type) else dict(said)
    except Exception as error:
        return {"snapshot_error": repr(error)}
