"""A feed, and calls that talk into it, on the test's own time."""

from __future__ import annotations

from media.feed.selection import Selection
from media.feed.sink import FeedSink
from media.feed.subscription import Calls, Limits, Subscription
from strep.clock import NS_PER_MS
from tests.sinks.rows import Row, batch_of, call_info, call_report

PLENTY = Limits(1 << 30, 1e6)


class Room:
    """A feed, and calls that talk into it in blocks of 100 ms."""

    def __init__(self) -> None:
        self.feed, self.now_ns, self.blocks = FeedSink(), 0, 0

    def subscribe(self, text: str = "", calls: Calls = Calls.ALL, limits: Limits = PLENTY) -> Subscription:
        return self.feed.subscribe(Selection.parse(text), limits, calls=calls)

    def start(self, *indexes: int) -> None:
        for index in indexes:
            self.feed.call_started(call_info(index))

    def talk(self, *indexes: int, blocks: int = 1) -> None:
        for _ in range(blocks):
            self.now_ns += 100 * NS_PER_MS
            rows = [Row(index, channel, 800 * self.blocks) for index in indexes for channel in (0, 1)]
            self.feed.receive(batch_of(*rows, now_ns=self.now_ns))
            self.blocks += 1

    def end(self, index: int) -> None:
        self.feed.call_ended(call_info(index), call_report(800 * self.blocks))
