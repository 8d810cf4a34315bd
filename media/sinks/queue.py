"""`SinkQueue`: what waits for one sink, bounded in bytes and in seconds; time is given, nothing blocks.

Items leave in the order in which they came. Only blocks are ever dropped; the start and the end of a call
always get through, and the end says how much of that call's audio was dropped in front of this sink
(`SinkDropped` in the report's events), so that a recording with a hole cannot claim to be whole.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field, replace

from media.blocks import PcmBatch
from media.sinks.contract import CallInfo, CallReport, SinkOptions, WhenBehind
from strep.clock import NS_PER_SECOND


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


@dataclass(slots=True)
class _LiveCall:
    """A call between `put` of its start and `get` of its end."""

    first_key: int
    dropped: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class SinkQueue:
    """The queue and its policy.

    Put and get are not synchronized: the caller holds a lock.

    Attributes:
        options: bounds and policy.
        queued_bytes: memory that waiting batches hold on to.
        dropped_batches, dropped_blocks, dropped_samples: what the sink never saw; a block is a row.
        dropped_seconds: the same in seconds of audio, summed over tracks.
        detached: the policy was `DETACH` and the bound was reached: no block gets through any more.
    """

    options: SinkOptions
    queued_bytes: int = 0
    dropped_batches: int = 0
    dropped_blocks: int = 0
    dropped_samples: int = 0
    dropped_seconds: float = 0.0
    detached: bool = False
    _entries: OrderedDict[int, _Entry] = field(default_factory=OrderedDict)
    _batches: deque[int] = field(default_factory=deque)
    _next_key: int = 0
    _calls: dict[int, list[_LiveCall]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of waiting items."""
        return len(self._entries)

    def put(self, item: Item, now_ns: int) -> None:
        """Append an item, then drop what is over the bounds; a lone batch is never dropped for its size."""
        key, self._next_key = self._next_key, self._next_key + 1
        if isinstance(item, CallStarted):
            self._calls.setdefault(item.call.index, []).append(_LiveCall(key))
        elif isinstance(item, PcmBatch):
            if self.detached:
                self._count(key, item)
                return
            self._batches.append(key)
            self.queued_bytes += item.size_bytes
        self._entries[key] = _Entry(item, now_ns)
        while self._is_over(now_ns):
            self._drop_oldest()
            if self.options.when_behind is WhenBehind.DETACH:
                self.detached = True
                while self._batches:
                    self._drop_oldest()

    def get(self) -> tuple[Item, int] | None:
        """Return the oldest item and when it was put, or None when nothing waits."""
        if not self._entries:
            return None
        _, entry = self._entries.popitem(last=False)
        item = entry.item
        if isinstance(item, PcmBatch):
            self._batches.popleft()
            self.queued_bytes -= item.size_bytes
        elif isinstance(item, CallEnded):
            item = self._marked(item)
        return item, entry.put_ns

    def oldest_ns(self) -> int | None:
        """Return when the oldest waiting item was put."""
        return next(iter(self._entries.values())).put_ns if self._entries else None

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
        item = self._entries.pop(key).item
        assert isinstance(item, PcmBatch)
        self.queued_bytes -= item.size_bytes
        self._count(key, item)

    def _count(self, key: int, batch: PcmBatch) -> None:
        """Count a dropped batch, for the sink and for each call that has a block in it."""
        if not len(batch):
            return
        samples = batch.last - batch.first
        total = int(samples.sum())
        self.dropped_batches += 1
        self.dropped_blocks += len(batch)
        self.dropped_samples += total
        self.dropped_seconds += total / batch.sample_rate_hz
        for index, count in zip(batch.call.tolist(), samples.tolist(), strict=True):
            # An index is used again: the batch belongs to the last call that started before it.
            owners = [live for live in self._calls.get(index, ()) if live.first_key < key]
            if owners:
                owners[-1].dropped.update(blocks=1, samples=count)

    def _marked(self, ended: CallEnded) -> CallEnded:
        """Return the end of a call, with an event that says what the sink has missed of it, if anything."""
        lives = self._calls.get(ended.call.index)
        if not lives:
            return ended
        dropped = lives.pop(0).dropped
        if not lives:
            del self._calls[ended.call.index]
        if not dropped:
            return ended
        event = {
            "type": "sink_dropped",
            "sink": self.options.name,
            "blocks": dropped["blocks"],
            "samples": dropped["samples"],
        }
        return CallEnded(ended.call, replace(ended.report, events=[*ended.report.events, event]))
