"""`Subscription`: what waits for one reader, bounded in bytes and in seconds, and what becomes of a slow one.

The feed puts messages in from its thread, the reader takes them in another. Nobody waits for a reader: one whose
queue is full loses, as it chose when it subscribed, either its subscription or the oldest of what waits.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from media.feed.selection import Selection
from media.sinks.contract import CallInfo, CallReport
from strep.clock import NEVER_NS, NS_PER_SECOND

NOTICE_BYTES = 1024
"""What a notice counts for: about what it takes in memory."""
OVERHEAD_BYTES = 128
"""What a message counts for beside its own bytes: an object and its place in the queue."""


class WhenSlow(Enum):
    """What a reader loses that is too slow."""

    DISCONNECT = "disconnect"
    """Its subscription: for a reader that is useless with holes."""
    DROP_OLDEST = "drop-oldest"
    """The oldest audio that waits: for one that wants now, not then. Sequence numbers show it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may wait for a reader.

    Attributes:
        queue_bytes: of messages.
        queue_seconds: age of the oldest.
        when_slow: what happens then.
    """

    queue_bytes: int = 4 << 20
    queue_seconds: float = 5.0
    when_slow: WhenSlow = WhenSlow.DISCONNECT


@dataclass(frozen=True, slots=True)
class CallBegan:
    """A call that the reader gets: it comes before the first message of it."""

    call: CallInfo


@dataclass(frozen=True, slots=True)
class CallOver:
    """It has ended: it comes behind the last message of it."""

    call: CallInfo
    report: CallReport


Item = bytes | str | CallBegan | CallOver
"""A message as `media.feed.wire` has it, or a notice; one of another process is text already."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a reader takes at a time.

    Attributes:
        items: the oldest that wait.
        dropped_messages: so many were dropped before them, since the last time.
        is_over: nothing will come behind these; `Subscription.why_over` says why.
    """

    items: list[Item]
    dropped_messages: int
    is_over: bool


class Calls(Enum):
    """Which of the calls that `Selection.wants` a subscription is for."""

    ALL = "all"
    """Those that are live, and those that start."""
    ONE = "one"
    """One that is live; the subscription ends with it."""
    NEXT = "next"
    """The first to start; the subscription ends with it."""


class Subscription:
    """One reader's wish, and what waits for it; any thread may call any method.

    Attributes:
        limits: as given.
        calls: which calls it is for.
        why_over: "slow"; "ended", of a subscription to one call; "no_call", there is none, or none any more;
            "unsubscribed"; "closed", the server is stopping; "replaced", the worker that had the call is; empty while
            it goes on.
        sent_messages, dropped_messages: totals, of what was taken and what was dropped.
    """

    def __init__(
        self,
        selection: Selection,
        limits: Limits | None = None,
        *,
        wake: Callable[[], object] = lambda: None,
        calls: Calls = Calls.ALL,
    ) -> None:
        """Begin with nothing.

        Args:
            selection: what is wanted.
            limits: how much may wait.
            wake: called from the feed's thread when there is something to take where there was nothing; it must
                return at once and not call back.
            calls: which calls it is for.
        """
        self.limits = limits or Limits()
        self.calls = calls
        self.why_over = ""
        self.sent_messages = self.dropped_messages = 0
        self._selection, self._wake = selection, wake
        self._lock = threading.Lock()
        self._waiting: deque[tuple[int, Item]] = deque()
        self._waiting_bytes = 0
        self._dropped_before = 0

    @property
    def selection(self) -> Selection:
        """What is wanted."""
        return self._selection

    @property
    def waiting_bytes(self) -> int:
        """Of all that waits."""
        return self._waiting_bytes

    def settle(self, selection: Selection) -> None:
        """Be for one call alone from now on; for the feed's thread."""
        self._selection, self.calls = selection, Calls.ONE

    def put(self, items: Sequence[Item], now_ns: int) -> None:
        """Add items, or see to those that wait if there are none; what is over the limits is lost as chosen.

        Args:
            items: to add.
            now_ns: when; `NEVER_NS` if nobody knows: they are as old as the next `put` that does finds them.
        """
        with self._lock:
            if self.why_over:
                return
            was_empty = not self._waiting
            self._waiting.extend((now_ns, item) for item in items)
            self._waiting_bytes += sum(map(_size_bytes, items))
            if now_ns != NEVER_NS and self._is_full(now_ns):
                self._lose(now_ns)
            must_wake = bool(self.why_over) or (was_empty and bool(self._waiting))
        if must_wake:
            self._wake()

    def take(self, most_bytes: int = 1 << 16) -> Taken:
        """Take the oldest items, about `most_bytes` of them and at least one, if there are any."""
        with self._lock:
            items: list[Item] = []
            while self._waiting and most_bytes > 0:
                item = self._waiting.popleft()[1]
                size = _size_bytes(item)
                most_bytes -= size
                self._waiting_bytes -= size
                items.append(item)
                self.sent_messages += isinstance(item, bytes)
            dropped, self._dropped_before = self.dropped_messages - self._dropped_before, self.dropped_messages
            return Taken(items, dropped, bool(self.why_over) and not self._waiting)

    def end(self, why: str) -> None:
        """Put nothing more in; what waits can still be taken. A second end does nothing."""
        with self._lock:
            if self.why_over:
                return
            self.why_over = why
        self._wake()

    def _is_full(self, now_ns: int) -> bool:
        """Whether more waits than may."""
        if self._waiting_bytes > self.limits.queue_bytes:
            return True
        if not self._waiting:
            return False
        since_ns, item = self._waiting[0]
        if since_ns > now_ns:  # nobody knew when it came: from now on
            self._waiting[0] = now_ns, item
        return now_ns - since_ns > self.limits.queue_seconds * NS_PER_SECOND

    def _lose(self, now_ns: int) -> None:
        notices = []
        if self.limits.when_slow is WhenSlow.DROP_OLDEST:
            while self._waiting and self._is_full(now_ns):
                _, item = self._waiting.popleft()
                if isinstance(item, bytes):
                    self._waiting_bytes -= _size_bytes(item)
                    self.dropped_messages += 1
                else:
                    notices.append((now_ns, item))
            self._waiting.extendleft(reversed(notices))
            if not self._is_full(now_ns):
                return
        # Who does not even take the news of calls is not there any more.
        self.why_over = "slow"
        self.dropped_messages += sum(isinstance(item, bytes) for _, item in self._waiting)
        self._waiting.clear()
        self._waiting_bytes = 0


def _size_bytes(item: Item) -> int:
    return len(item) + OVERHEAD_BYTES if isinstance(item, bytes) else NOTICE_BYTES
