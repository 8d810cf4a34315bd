"""`NatsSink`: hands audio and events to the process that publishes, a write for each batch of all calls.

Publishing takes tens of microseconds a message, and Python runs one thread at a time: in this process it would delay
reception. What is left here is one copy of the audio, as the carrier sent it. While the other process does not read,
the sink's thread waits, and its queue drops the oldest blocks (`media.sinks.queue`).
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from dataclasses import replace
from typing import BinaryIO

import msgspec
import numpy as np

from media.blocks import PcmBatch
from media.events.bus import Told
from media.feed.selection import Selection
from media.nats.pipe import Begun, Ended, EventTold, Item, OriginKnown, write
from media.sinks.contract import CallInfo, CallReport, SinkOptions

BLOCK_MS = PATIENCE_MS = 100
_REMEMBERED = 1000
"""Calls that have ended, of which a gap may still be told."""
_MAX_SERIES = 10_000
"""Calls whose events are known to go on; of one that is forgotten a new series begins."""


class NatsSink:
    """Writes to a pipe, while there is one; then and only then live calls are told of from their middle on.

    Attributes:
        unwritten: batches and calls that nobody took.
    """

    def __init__(self, selection: Selection) -> None:
        """Begin without a pipe."""
        self.options = SinkOptions("nats", block_ms=BLOCK_MS, patience_ms=PATIENCE_MS)
        self.unwritten = 0
        self._selection = selection
        self._lock = threading.Lock()
        self._pipe: BinaryIO | None = None
        self._has_ended = False
        self._calls: dict[int, CallInfo] = {}
        self._without_origin: dict[int, CallInfo] = {}
        self._left_out: set[int] = set()
        self._ended: OrderedDict[str, CallInfo] = OrderedDict()
        self._series: OrderedDict[str, tuple[CallInfo, int]] = OrderedDict()
        self._last_origin_ns = 0

    def connect(self, pipe: BinaryIO | None) -> None:
        """Write to this from now on; None: to nobody."""
        with self._lock:
            self._drop_pipe()
            self._pipe = pipe
            if self._has_ended:
                self._drop_pipe()
                return
            for call in self._calls.values() if pipe is not None else ():
                self._write(Begun(replace(call)))

    def end(self, last: Item) -> None:
        """Write a last item, and end the pipe; and every other one that comes."""
        with self._lock:
            self._has_ended = True
            self._write(last)
            self._drop_pipe()

    def call_of(self, call_id: str) -> CallInfo | None:
        """Return a live call, or one that ended not long ago; never waits, for the reader of reports asks."""
        live = (call for call in list(self._calls.values()) if call.call_id == call_id)
        return next(live, None) or self._ended.get(call_id)

    def call_started(self, call: CallInfo) -> None:
        """Tell of a call, if it is wanted."""
        if not self._selection.wants(call.call_id):
            self._left_out.add(call.index)
            return
        with self._lock:
            self._calls[call.index] = self._without_origin[call.index] = call
            self._write(Begun(replace(call)))

    def receive(self, batch: PcmBatch) -> None:
        """Hand on the blocks of calls that are wanted, and every tick of the clock."""
        if self._left_out and len(batch):
            batch = batch.take(~np.isin(batch.call, list(self._left_out)))
        with self._lock:
            for index, call in list(self._without_origin.items()):
                if call.origin_wall_ns:
                    del self._without_origin[index]
                    self._write(OriginKnown(index, call.origin_wall_ns))
            self._write(replace(batch, _pcm=None))

    def call_ended(self, call: CallInfo, report: CallReport) -> None:
        """Tell that it is over."""
        if call.index in self._left_out:
            self._left_out.discard(call.index)
            return
        with self._lock:
            self._without_origin.pop(call.index, None)
            if self._calls.pop(call.index, None) is not None:
                self._ended[call.call_id] = call
                while len(self._ended) > _REMEMBERED:
                    self._ended.popitem(last=False)
                self._write(Ended(call.index, report))

    def close(self) -> None:
        """Do nothing: events may follow, and the companion ends the pipe."""

    def snapshot(self) -> dict[str, int]:
        """Return counters."""
        return {"unwritten": self.unwritten}

    def tell(self, events: list[Told]) -> None:
        """Hand on events of calls that are wanted; in a thread that may wait."""
        for told in events:
            call = told.call
            if self._selection.wants(call.call_id):
                body = msgspec.json.encode(told.to_json())
                with self._lock:
                    self._write(EventTold(call.call_id, self._origin_ns(told), told.sequence, body))

    def _origin_ns(self, told: Told) -> int:
        """Return when this series of a call's events began.

        It is not the call's beginning: what is told of its recording later, by the next process perhaps, is told of
        a `CallInfo` made anew, which began then as well, and counts its events from 1.
        """
        call, origin_ns = self._series.pop(told.call.call_id, (None, 0))
        if call is not told.call:
            origin_ns = self._last_origin_ns = max(told.occurred_at_ns, self._last_origin_ns + 1)
        self._series[told.call.call_id] = told.call, origin_ns
        if len(self._series) > _MAX_SERIES:
            self._series.popitem(last=False)
        return origin_ns

    def _write(self, item: Item) -> None:
        if self._pipe is None:
            self.unwritten += 1
            return
        try:
            write(self._pipe, item)
        except OSError:  # who would read it has died
            self.unwritten += 1
            self._drop_pipe()

    def _drop_pipe(self) -> None:
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
