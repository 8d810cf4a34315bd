"""`SinkQueue`: what waits for one sink, bounded in bytes, seconds and calls; time is given, nothing blocks.

Items leave in the order in which they came. What is over the bounds is dropped in one of two ways:

* Blocks. The end of the call says how much of its audio was dropped in front of this sink (the event
  ``sink_dropped`` of its report), so that a recording with a hole cannot claim to be whole. The batch behind them
  says that there were some (`PcmBatch.follows_dropped`).
* Whole calls: start, blocks and end, so that the sink never hears of them. That happens to calls that start
  after the sink was detached, and, while more than `MAX_WAITING_CALLS` starts and ends wait, to calls of which
  both wait, the earliest end first.

A start that the sink gets is always followed by its end. What waits beyond the bound are starts of live calls and
ends of calls that the sink knows, and of those there are no more than live calls at one time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, OrderedDict, deque
from collections.abc import Set
from dataclasses import dataclass, field, replace
from itertools import takewhile
from operator import attrgetter

import numpy as np

from media.blocks import PcmBatch
from media.sinks.contract import CallInfo, CallReport, SinkOptions, WhenBehind
from strep.clock import NS_PER_SECOND

MAX_WAITING_CALLS = 20_000
"""Starts and ends of calls that may wait before whole calls are dropped; about 100 MB with their reports."""


@dataclass(frozen=True, slots=True)
class CallStarted:
    """`Sink.call_started`, on its way."""

    call: CallInfo


@dataclass(frozen=True, slots=True)
class CallEnded:
    """`Sink.call_ended`, on its way."""

    call: CallInfo
    report: CallReport


Item = CallStarted | PcmBatch | CallEnded


@dataclass(slots=True)
class _Entry:
    item: Item
    put_ns: int
    gone: set[int] = field(default_factory=set)
    """Of a batch: indices of calls that were dropped whole; their rows are counted already."""


@dataclass(slots=True)
class _KnownCall:
    """A call between `put` of its start and `get` of its end."""

    call: CallInfo
    first_key: int
    end_key: int | None = None
    dropped: Counter[str] = field(default_factory=Counter)

    @property
    def index(self) -> int:
        return self.call.index


@dataclass(slots=True)
class SinkQueue:
    """The queue and its policy.

    Put and get are not synchronized: the caller holds a lock.

    Attributes:
        options: bounds and policy.
        max_waiting_calls: see `MAX_WAITING_CALLS`.
        queued_bytes: memory that waiting batches hold on to.
        dropped_calls: calls that the sink never heard of.
        dropped_batches, dropped_blocks, dropped_samples: what the sink never saw; a block is a row.
        dropped_seconds: the same in seconds of audio, summed over tracks.
        detached: the policy was `DETACH` and the bound was reached: no block and no new call gets through any more.
    """

    options: SinkOptions
    max_waiting_calls: int = MAX_WAITING_CALLS
    queued_bytes: int = 0
    dropped_calls: int = 0
    dropped_batches: int = 0
    dropped_blocks: int = 0
    dropped_samples: int = 0
    dropped_seconds: float = 0.0
    detached: bool = False
    _entries: OrderedDict[int, _Entry] = field(default_factory=OrderedDict)
    _batches: deque[int] = field(default_factory=deque)
    _next_key: int = 0
    _last_key: int = 0  # of the batch that left last
    _has_dropped: bool = False  # since the last batch left
    _calls: dict[int, list[_KnownCall]] = field(default_factory=dict)
    _whole: OrderedDict[int, _KnownCall] = field(default_factory=OrderedDict)  # by first_key: both ends wait

    def __len__(self) -> int:
        """Return the number of waiting items."""
        return len(self._entries)

    def put(self, item: Item, now_ns: int) -> None:
        """Append an item, then drop what is over the bounds; a lone batch is never dropped for its size."""
        key, self._next_key = self._next_key, self._next_key + 1
        if isinstance(item, PcmBatch):
            if self.detached:
                self._drop_batch(key, item)
                return
            self._batches.append(key)
            self.queued_bytes += item.size_bytes
        elif not self._admit(key, item):
            return
        self._entries[key] = _Entry(item, now_ns)
        while self._is_over(now_ns):
            self._drop_oldest()
            if self.options.when_behind is WhenBehind.DETACH:
                self.detach()
        while self._whole and len(self._entries) - len(self._batches) > self.max_waiting_calls:
            self._drop_call()

    def get(self) -> tuple[Item, int] | None:
        """Return the oldest item and when it was put, or None when nothing waits."""
        if not self._entries:
            return None
        key, entry = self._entries.popitem(last=False)
        item = entry.item
        if isinstance(item, PcmBatch):
            self._last_key = key
            self._batches.popleft()
            self.queued_bytes -= item.size_bytes
            item = _without(item, entry.gone)
            if self._has_dropped:
                item, self._has_dropped = replace(item, follows_dropped=True), False
        elif isinstance(item, CallStarted):
            self._whole.pop(key, None)
        else:
            item = self._marked(key, item)
        return item, entry.put_ns

    def detach(self) -> None:
        """Let no block and no new call through any more."""
        self.detached = True
        while self._batches:
            self._drop_oldest()

    def lose(self, batch: PcmBatch) -> None:
        """Count the batch that left last as dropped: the sink made nothing of it."""
        self._drop_batch(self._last_key, batch)

    def expect_a_hole(self) -> None:
        """Let the next batch say that something is missing before it."""
        self._has_dropped = True

    def dropped_of(self, call: CallInfo) -> tuple[int, int]:
        """Return the blocks and the samples that were dropped of a call the end of which is still to leave."""
        known = self._known(call)
        return (known.dropped["blocks"], known.dropped["samples"]) if known is not None else (0, 0)

    def waiting_of(self, call: CallInfo) -> int:
        """Return the blocks of a call that wait."""
        known = self._known(call)
        if known is None:
            return 0
        end_key = known.end_key if known.end_key is not None else self._next_key
        waiting = (self._entries[key].item for key in self._batches if known.first_key < key < end_key)
        return sum(int(np.count_nonzero(item.call == call.index)) for item in waiting if isinstance(item, PcmBatch))

    def _known(self, call: CallInfo) -> _KnownCall | None:
        return next((known for known in self._calls.get(call.index, ()) if known.call is call), None)

    def oldest_ns(self) -> int | None:
        """Return when the oldest waiting item was put."""
        return next(iter(self._entries.values())).put_ns if self._entries else None

    def _admit(self, key: int, item: CallStarted | CallEnded) -> bool:
        """Note a start or an end, and return whether the sink is to get it."""
        index = item.call.index
        if isinstance(item, CallStarted):
            if self.detached:
                self.dropped_calls += 1
                return False
            self._calls.setdefault(index, []).append(_KnownCall(item.call, key))
            return True
        known = self._calls.get(index)
        if not known or known[-1].end_key is not None:
            return not self.detached  # its start was dropped, or nobody ever said that it started
        known[-1].end_key = key
        if known[-1].first_key in self._entries:
            self._whole[known[-1].first_key] = known[-1]
        return True

    def _is_over(self, now_ns: int) -> bool:
        if len(self._batches) < 2:
            return False
        age_ns = now_ns - self._entries[self._batches[0]].put_ns
        return (
            self.queued_bytes > self.options.max_queue_bytes
            or age_ns > self.options.max_queue_seconds * NS_PER_SECOND
        )

    def _drop_oldest(self) -> None:
        key = self._batches.popleft()
        entry = self._entries.pop(key)
        assert isinstance(entry.item, PcmBatch)
        self.queued_bytes -= entry.item.size_bytes
        self._drop_batch(key, entry.item, entry.gone)

    def _drop_batch(self, key: int, batch: PcmBatch, gone: Set[int] = frozenset()) -> None:
        """Count a dropped batch, for the sink and for each call that has a block in it."""
        if not len(batch):
            return
        self.dropped_batches += 1
        self._has_dropped = True
        rows = [row for row, index in enumerate(batch.call.tolist()) if index not in gone]
        samples = self._count(batch, rows)
        for index, count in zip(batch.call[rows].tolist(), samples, strict=True):
            # An index is used again: the batch belongs to the last call that started before it, if that was live.
            known = self._calls.get(index, [])
            place = bisect_left(known, key, key=attrgetter("first_key")) - 1
            if place >= 0 and (known[place].end_key or key) >= key:
                known[place].dropped.update(blocks=1, samples=count)

    def _drop_call(self) -> None:
        """Drop start, blocks and end of the call that ended first among those whose start waits."""
        first_key, known = self._whole.popitem(last=False)
        end_key = known.end_key or first_key
        del self._entries[first_key], self._entries[end_key]
        self._forget(known)
        self.dropped_calls += 1
        for key in takewhile(end_key.__gt__, self._batches):
            entry = self._entries[key]
            if key > first_key and isinstance(entry.item, PcmBatch):
                rows = np.flatnonzero(entry.item.call == known.index).tolist()
                if rows:
                    entry.gone.add(known.index)
                    self._count(entry.item, rows)

    def _count(self, batch: PcmBatch, rows: list[int]) -> list[int]:
        """Count dropped rows of a batch; return the samples of each."""
        samples: list[int] = (batch.last - batch.first)[rows].tolist()
        self.dropped_blocks += len(rows)
        self.dropped_samples += sum(samples)
        self.dropped_seconds += sum(samples) / batch.sample_rate_hz
        return samples

    def _forget(self, known: _KnownCall) -> None:
        of_index = self._calls[known.index]
        of_index.remove(known)
        if not of_index:
            del self._calls[known.index]

    def _marked(self, key: int, ended: CallEnded) -> CallEnded:
        """Return the end of a call, with an event that says what the sink has missed of it, if anything."""
        known = next(iter(self._calls.get(ended.call.index, ())), None)
        if known is None or known.end_key != key:
            return ended
        self._forget(known)
        if not known.dropped:
            return ended
        event = {
            "type": "sink_dropped",
            "sink": self.options.name,
            "blocks": known.dropped["blocks"],
            "samples": known.dropped["samples"],
        }
        return CallEnded(ended.call, replace(ended.report, events=[*ended.report.events, event]))


def _without(batch: PcmBatch, gone: Set[int]) -> PcmBatch:
    """Return the batch without the rows of the calls `gone`; without any row it is a tick."""
    if not gone:
        return batch
    return batch.take(~np.isin(batch.call, list(gone)))
