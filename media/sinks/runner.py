"""`SinkRunner`: one sink in a thread of its own, so that it can hold up nobody but itself.

The event loop calls `put`, which never waits for the sink; the thread calls the sink, one item at a time.
`step` is the whole of the thread's work and needs no thread: tests call it. A sink that fails is replaced, and so is
its thread: `media.sinks.contract` has the rules.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import Any

from media.blocks import PcmBatch
from media.events.sinks import Failure, SinkDetached, SinkFailed, SinkRestarted
from media.sinks.contract import CallInfo, MakeSink, Sink, SinkOptions, SinkUse, WhenBehind
from media.sinks.health import Publish, SinkSnapshot, details_of, nobody
from media.sinks.lives import MAKE, MAX_ABANDONED, Again, Life, Make, Recovery, Work
from media.sinks.queue import CallEnded, Item, SinkQueue
from media.sinks.usage import Uses
from media.throttle import ThrottledLog
from strep.clock import NS_PER_MS, NS_PER_SECOND, Clock, SystemClock

_LOG = logging.getLogger(__name__)
TICK_NS = NS_PER_SECOND
"""A sink that gets no batch for so long gets an empty one."""
ASK_EVERY_NS = 100 * NS_PER_MS
"""How often a sink that gets batches is asked what it says of itself."""


class SinkRunner:
    """Feeds one sink from a bounded queue; see `SinkQueue` for what is dropped when.

    Attributes:
        name: of the sink.
        sink: the one at present, or the last one while there is none; called from the runner's thread only.
    """

    def __init__(
        self,
        sink: Sink,
        clock: Clock | None = None,
        make: MakeSink | None = None,
        publish: Publish = nobody,
    ) -> None:
        """Prepare; `start` begins.

        Args:
            sink: the first one; its options hold for those that replace it.
            clock: the machine's, unless given.
            make: makes another one; None: it cannot be replaced.
            publish: whom to tell of its failures.
        """
        self.sink = sink
        self.name = sink.options.name
        self._clock = clock or SystemClock()
        self._publish = publish
        self._queue = SinkQueue(sink.options)
        self._recovery = Recovery(sink.options, make)
        self._recovery.began(self._clock.now_ns())
        self._log = ThrottledLog(_LOG, self._clock)
        self._changed = threading.Condition()
        self._has_started = self._stopping = self._closed = self._is_lost = False
        self._dropped_said = 0
        self._hang_said_ns: int | None = None
        self._busy_since_ns: int | None = None
        self._next_tick_ns = self._clock.now_ns() + TICK_NS
        self._uses = Uses(self._queue)
        self._abandoned: list[Life] = []
        self._untold: list[SinkFailed | SinkDetached] = []  # of all calls that the sink knows
        self._life = Life(sink, 0)
        self._details: dict[str, Any] = {}
        self._ask_next_ns = 0

    @property
    def options(self) -> SinkOptions:
        """Those of the first sink."""
        return self._queue.options

    def start(self) -> None:
        """Start the thread."""
        self._has_started, self._details = True, details_of(self.sink)
        self._start(self._life)

    def put(self, item: Item) -> None:
        """Hand over a batch or the start or end of a call; from any thread, without waiting for the sink."""
        if isinstance(item, PcmBatch) and getattr(self.sink, "is_idle", False):  # see `media.sinks.dozing`
            return
        with self._changed:
            was_detached = self._queue.detached
            self._queue.put(item, self._clock.now_ns())
            say_detached = self._queue.detached and not was_detached
            if say_detached:
                self._untold.append(SinkDetached(sink=self.name, reason="behind"))
            say_dropped = not self._queue.detached and self._queue.dropped_calls > self._dropped_said
            dropped = self._dropped_said = self._queue.dropped_calls
            self._changed.notify()
        if say_detached:
            self._log.warning(f"sink {self.name} fell behind and is detached")
        if say_dropped:
            self._log.warning(f"sink {self.name} fell behind: {dropped} calls dropped so far")

    def request_stop(self) -> None:
        """Let the thread finish what is queued, close the sink and end; does not wait."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def stop(self, timeout_s: float) -> bool:
        """Request the stop and wait for it, at most `timeout_s` seconds.

        Returns:
            True: the sink was given all that was queued, and `Sink.close` has returned or raised; or it had failed,
            and no other one was there yet. False: time ran out; the sink is left behind, and what is queued is lost
            when the process ends. That is logged, and `SinkSnapshot.closed` stays false until the sink finishes
            after all.
        """
        self.request_stop()
        if self._has_started:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._is_lost, timeout_s)
        elif not self._closed:  # nobody else will drain the queue
            self._run(self._life)
        if not self._closed:
            # Not throttled: nothing may hide that files are unfinished.
            waiting = len(self._queue)
            _LOG.error("sink %s did not finish within %g s, %d items wait", self.name, timeout_s, waiting)
        return self._closed

    # -- looking at it ---------------------------------------------------------------------------------

    def look(self) -> None:
        """Replace the sink if it hangs; once a second, from any thread but its own."""
        with self._changed:
            life = self._life
            is_news = life.called_ns != self._hang_said_ns
            if self._stopping or not is_news or not self._recovery.is_hung(life.called_ns, self._clock.now_ns()):
                return
            self._hang_said_ns = life.called_ns
            self._uses.fail(life.in_hand)
            fresh = self._replace(life, "hung", "") if self._recovery.make else None
        _LOG.error("sink %s hangs", self.name)
        if fresh is not None:
            self._start(fresh)
        self._tell()

    def snapshot(self) -> SinkSnapshot:
        """Return the counters of one moment, and what the sink said of itself last, which may be older.

        It said that after the last end of a call, and at most a second ago, unless it hangs.
        """
        details = None if self._has_started else details_of(self.sink)
        with self._changed:
            queue, now_ns = self._queue, self._clock.now_ns()
            waiting = [ns for ns in (self._busy_since_ns, queue.oldest_ns()) if ns is not None]
            return SinkSnapshot(
                name=self.name,
                queued_items=len(queue),
                queued_bytes=queue.queued_bytes,
                lag_ns=max(now_ns - min(waiting), 0) if waiting else 0,
                delivered_blocks=self._uses.delivered_blocks,
                dropped_blocks=queue.dropped_blocks,
                dropped_seconds=queue.dropped_seconds,
                dropped_calls=queue.dropped_calls,
                errors=self._uses.errors,
                restarts=self._uses.restarts,
                hung=self._recovery.is_hung(self._life.called_ns, now_ns),
                abandoned=len(self._abandoned),
                detached=queue.detached,
                closed=self._closed,
                details=self._details if details is None else details,
            )

    def use_of(self, call: CallInfo) -> SinkUse:
        """Return what the sink got of a call so far; from any thread."""
        with self._changed:
            return self._uses.of(call)

    # -- in the thread ---------------------------------------------------------------------------------

    def step(self) -> int:
        """Give the sink one queued item, or the tick that is due, or make it if it is due.

        Returns:
            0 when there may be more to do, else nanoseconds until the next tick, or until it is due.
        """
        return self._step(self._life)

    def _step(self, life: Life) -> int:
        self._tell()
        with self._changed:
            if life is not self._life:
                return 0
            now_ns = self._clock.now_ns()
            work = self._next(life, now_ns)
            if work is None:
                return (self._next_tick_ns if life.sink is not None else life.due_ns) - now_ns
            life.called_ns = now_ns
        error: BaseException | None = None
        try:
            life.do(work, self._recovery.make)
        except BaseException as raised:  # of others' code also what would end the thread
            error = raised
        self._note(life, work, error, self._asked(life, work, now_ns))
        return 0

    def _asked(self, life: Life, work: Work, now_ns: int) -> dict[str, Any] | None:
        """Return what the sink says of itself now; None: it was asked only just."""
        sink = life.sink if life.sink is not None else life.made
        if sink is None or (now_ns < self._ask_next_ns and not isinstance(work, CallEnded)):
            return None
        self._ask_next_ns = now_ns + ASK_EVERY_NS
        return details_of(sink)

    def _next(self, life: Life, now_ns: int) -> Work | None:
        """Return what is to be done next, and take note of it as if it were done."""
        if life.sink is None:
            return MAKE if now_ns >= life.due_ns else None
        if life.untold:
            return Again(life.untold.popleft())
        got = self._queue.get()
        if got is None and now_ns < self._next_tick_ns:
            return None
        item, self._busy_since_ns = got or (PcmBatch.tick(now_ns), None)
        if isinstance(item, PcmBatch):
            self._next_tick_ns = now_ns + TICK_NS
            life.in_hand = item
        self._uses.take(item)
        return item

    def _note(self, life: Life, work: Work, error: BaseException | None, details: dict[str, Any] | None) -> None:
        """Take note of how it went, and act on it."""
        fresh = None
        with self._changed:
            if life is self._life:
                self._details = self._details if details is None else details
                life.called_ns = life.in_hand = self._busy_since_ns = None
                if error is not None:
                    fresh = self._note_error(life, work, error)
                elif isinstance(work, Make):
                    self._uses.restarts += 1
                    assert life.made is not None
                    life.sink = self.sink = life.made
                    self._recovery.began(self._clock.now_ns())
                elif isinstance(work, PcmBatch) and len(work):
                    self._recovery.took()
        if error is not None:
            what = "being made" if isinstance(work, Make) else type(work).__name__
            self._log.warning(f"sink {self.name} raised at {what}: {error!r}", exc_info=error)
        if fresh is not None:
            self._start(fresh)
        if life is not self._life:
            self._leave(life)
        elif isinstance(work, Again) and error is None:
            self._publish(work.call, SinkRestarted(sink=self.name, restarts=self._uses.restarts))

    def _note_error(self, life: Life, work: Work, error: BaseException) -> Life | None:
        """Count it; return the life that follows if this one is over."""
        self._uses.fail(None if isinstance(work, Make) else work)
        if isinstance(work, Make):
            now_ns = self._clock.now_ns()
            life.due_ns = now_ns + self._recovery.pause_ns(now_ns)
            return None
        is_fatal = not isinstance(error, Exception)
        if not self._recovery.raised(is_fatal=is_fatal) or self._stopping or self._queue.detached:
            return None
        return self._replace(life, "ended" if is_fatal else "raised", repr(error))

    def _replace(self, life: Life, reason: Failure, error: str) -> Life | None:
        """Let another life follow, or detach the sink; return what is to be started."""
        if self._queue.options.when_behind is WhenBehind.DETACH or len(self._abandoned) >= MAX_ABANDONED:
            self._queue.detach()
            self._untold.append(SinkDetached(sink=self.name, reason=reason, error=error))
            return None
        if reason == "hung" and life.in_hand is not None:
            self._uses.take_back(life.in_hand)
        self._queue.expect_a_hole()
        now_ns = self._clock.now_ns()
        pause_ns = self._recovery.pause_ns(now_ns)
        self._abandoned.append(life)
        self._life, self._busy_since_ns = Life(None, now_ns + pause_ns, deque(self._uses.told.values())), None
        after_ms = pause_ns // NS_PER_MS
        self._untold.append(SinkFailed(sink=self.name, reason=reason, error=error, retry_after_ms=after_ms))
        return self._life

    def _tell(self) -> None:
        """Tell of failures, in all calls that the sink knew; by whoever comes first, for it may take a while."""
        if not self._untold:
            return
        with self._changed:
            events, self._untold = self._untold, []
            calls = list(self._uses.told.values())
        for event in events:
            if event.reason != "behind":  # which was said at once
                what = "detached" if isinstance(event, SinkDetached) else f"made again in {event.retry_after_ms} ms"
                _LOG.error("sink %s failed (%s) and is %s", self.name, event.error or event.reason, what)
            for call in calls:
                self._publish(call, event)

    def _leave(self, life: Life) -> None:
        """Close the sink of a life that is over, once its last call has returned."""
        sink = life.sink if life.sink is not None else life.made
        if sink is not None:
            self._close(sink)
        with self._changed:
            self._abandoned = [other for other in self._abandoned if other is not life]

    def _close(self, sink: Sink) -> None:
        try:
            sink.close()
        except BaseException as error:
            with self._changed:
                self._uses.errors += 1
            self._log.warning(f"sink {self.name} raised at close: {error!r}", exc_info=error)

    def _start(self, life: Life) -> None:
        if not self._has_started:
            return
        try:
            threading.Thread(target=self._run, args=(life,), name=f"sink-{self.name}", daemon=True).start()
        except RuntimeError as error:  # no more threads
            _LOG.error("sink %s is detached: %s", self.name, error)
            with self._changed:
                self._queue.detach()
                self._is_lost = True
                self._changed.notify_all()

    def _run(self, life: Life) -> None:
        while True:
            wait_ns = self._step(life)
            with self._changed:
                if life is not self._life:
                    return
                if self._stopping and life.sink is None:  # there is no time any more to make another one
                    self._queue.detach()
                    break
                if wait_ns == 0 or (life.sink is not None and len(self._queue)):
                    continue
                if self._stopping:
                    break
                self._changed.wait(wait_ns / NS_PER_SECOND)
        details = self._details
        if life.sink is not None:
            self._close(life.sink)
            details = details_of(life.sink)
        with self._changed:
            self._details = details
            self._closed = True
            self._changed.notify_all()
