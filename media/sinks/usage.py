"""What a sink got of each call: columns while the call goes on, a `SinkUse` for its sidecar.

A batch costs a sum per sink, whatever the number of its rows and calls, in the thread of the sink.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from media.blocks import PcmBatch
from media.sinks.columns import lengthened
from media.sinks.contract import CallInfo, CallReport, SinkUse
from media.sinks.queue import CallEnded, CallStarted, Item, SinkQueue

_CALLS = 256


class Uses:
    """Counts what one sink gets, over all calls and of each; whoever calls holds the lock of its queue.

    Attributes:
        told: calls that the sink knows, by their index.
        delivered_blocks: rows that it was given.
        errors: how often it, or what makes it, raised or hung.
        restarts: how often it was replaced.
    """

    def __init__(self, queue: SinkQueue) -> None:
        """Begin without a call; `queue` is the one in front of the sink."""
        self.told: dict[int, CallInfo] = {}
        self.delivered_blocks = self.errors = self.restarts = 0
        self._queue = queue
        # By `CallInfo.index`, of the call that has it: blocks, errors, and `restarts` when it began.
        self._delivered, self._errors, self._restarts = (np.zeros(_CALLS, np.int64) for _ in range(3))

    def take(self, item: Item) -> None:
        """Count what the sink is about to get."""
        if isinstance(item, PcmBatch):
            self._deliver(item, 1)
        elif isinstance(item, CallStarted):
            self._begin(item.call)
        else:
            use = self._count(item.call, _dropped_in(item.report, self._queue.options.name))
            item.call.uses[id(self)] = use
            self.told.pop(item.call.index, None)

    def take_back(self, batch: PcmBatch) -> None:
        """Count a batch as dropped after all: the sink hangs over it."""
        self._deliver(batch, -1)
        self._queue.lose(batch)

    def fail(self, item: Item | None) -> None:
        """Count an error, at an item if it is known at which; of a batch for all calls that have a block in it."""
        self.errors += 1
        if isinstance(item, PcmBatch):
            self._errors += self._rows(item) > 0
        elif isinstance(item, CallStarted):
            self._errors[item.call.index] += 1
        elif isinstance(item, CallEnded):
            use = item.call.uses[id(self)]
            item.call.uses[id(self)] = msgspec.structs.replace(use, errors=use.errors + 1)

    def of(self, call: CallInfo) -> SinkUse:
        """Return what the sink got of a call so far."""
        return call.uses.get(id(self)) or self._count(call, self._queue.dropped_of(call))

    def _count(self, call: CallInfo, dropped: tuple[int, int]) -> SinkUse:
        is_known = self.told.get(call.index) is call
        return SinkUse(
            name=self._queue.options.name,
            delivered_blocks=int(self._delivered[call.index]) if is_known else 0,
            waiting_blocks=self._queue.waiting_of(call),
            dropped_blocks=dropped[0],
            dropped_seconds=dropped[1] / call.sample_rate_hz,
            errors=int(self._errors[call.index]) if is_known else 0,
            restarts=self.restarts - int(self._restarts[call.index]) if is_known else 0,
            detached=self._queue.detached,
        )

    def _begin(self, call: CallInfo) -> None:
        if call.index >= len(self._delivered):
            columns = (self._delivered, self._errors, self._restarts)
            self._delivered, self._errors, self._restarts = (lengthened(column, 2 * call.index) for column in columns)
        self.told[call.index] = call
        self._delivered[call.index] = self._errors[call.index] = 0
        self._restarts[call.index] = self.restarts

    def _deliver(self, batch: PcmBatch, sign: int) -> None:
        self.delivered_blocks += sign * len(batch)
        if len(batch):
            self._delivered += sign * self._rows(batch)

    def _rows(self, batch: PcmBatch) -> NDArray[np.int64]:
        """Return how many rows of a batch each call has; an index beyond those that have begun is of nobody."""
        return np.bincount(batch.call, minlength=len(self._delivered))[: len(self._delivered)]


def _dropped_in(report: CallReport, sink: str) -> tuple[int, int]:
    """Return the blocks and samples of a call that the queue of `sink` dropped, by what it put into its report."""
    events = (event for event in report.events if event.get("type") == "sink_dropped" and event.get("sink") == sink)
    return next(((event["blocks"], event["samples"]) for event in events), (0, 0))
