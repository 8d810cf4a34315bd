"""When a sink has failed, and what comes then: `Recovery` decides; a `Life` is one sink, from its making to its end.

Time is given; `media.sinks.runner` acts.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from media.blocks import PcmBatch
from media.sinks.contract import CallInfo, MakeSink, Sink, SinkOptions
from media.sinks.queue import CallStarted, Item
from strep.clock import NS_PER_MS, NS_PER_SECOND

FIRST_PAUSE_NS, LONGEST_PAUSE_NS = 100 * NS_PER_MS, 30 * NS_PER_SECOND
"""Before another sink is made; doubled each time."""
WELL_NS = 60 * NS_PER_SECOND
"""A sink that lived for so long was well: the next pause is the first again."""
MAX_ABANDONED = 3
"""Threads of one sink that hang; with one more the sink is detached for good."""


class Make:
    """To be done: make the sink."""


class Again(CallStarted):
    """To be done: tell the sink of a call that its predecessor knew."""


MAKE = Make()
Work = Item | Make


@dataclass(slots=True, eq=False)
class Life:
    """One sink in its thread.

    Attributes:
        sink: None until it is made.
        made: the same, before anybody has taken note of it.
        due_ns: when it may be made.
        untold: calls that it is to be told of before anything else.
        called_ns: when the call into it began that has not returned, None between calls.
        in_hand: the blocks that it was called with.
    """

    sink: Sink | None
    due_ns: int
    untold: deque[CallInfo] = field(default_factory=deque)
    called_ns: int | None = None
    in_hand: PcmBatch | None = None
    made: Sink | None = None

    def do(self, work: Work, make: MakeSink | None) -> None:
        """Make the sink, or call it.

        Raises:
            BaseException: whatever code of others raises.
        """
        if isinstance(work, Make):
            assert make is not None
            self.made = make()
            return
        assert self.sink is not None
        if isinstance(work, PcmBatch):
            self.sink.receive(work)
        elif isinstance(work, CallStarted):
            self.sink.call_started(work.call)
        else:
            self.sink.call_ended(work.call, work.report)


class Recovery:
    """Judges the failures of a sink.

    Attributes:
        make: makes another one; None: nobody knows how.
    """

    def __init__(self, options: SinkOptions, make: MakeSink | None) -> None:
        """Begin with a sink that is well."""
        self.make = make
        self._options = options
        self._in_a_row = 0
        self._pause_ns = FIRST_PAUSE_NS
        self._made_ns: int | None = None

    def began(self, now_ns: int) -> None:
        """Take note that a sink was made."""
        self._made_ns, self._in_a_row = now_ns, 0

    def took(self) -> None:
        """Take note that it has taken blocks."""
        self._in_a_row = 0

    def raised(self, *, is_fatal: bool) -> bool:
        """Take note that it raised, and return whether it is to be replaced."""
        self._in_a_row += 1
        has_failed = is_fatal or 0 < self._options.max_failures <= self._in_a_row
        return has_failed and self.make is not None

    def is_hung(self, called_ns: int | None, now_ns: int) -> bool:
        """Return whether a call into it that began then has hung."""
        hang_ns = self._options.hang_s * NS_PER_SECOND
        return called_ns is not None and 0 < hang_ns <= now_ns - called_ns

    def pause_ns(self, now_ns: int) -> int:
        """Return how long to wait before another one is made."""
        if self._made_ns is not None and now_ns - self._made_ns >= WELL_NS:
            self._pause_ns = FIRST_PAUSE_NS
        self._made_ns = None
        pause_ns, self._pause_ns = self._pause_ns, min(2 * self._pause_ns, LONGEST_PAUSE_NS)
        return pause_ns
