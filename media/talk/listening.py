"""What applications hear: a sink like any other, which hands the rows of the calls that somebody listens to over to
the event loop, once per batch. A call that nobody listens to costs it one look-up in a set.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from media.blocks import PcmBatch
from media.sinks.contract import CallInfo, CallReport, SinkOptions
from media.talk.contract import Pcm
from media.talk.mailbox import Mailbox
from strep.header import Direction

MAX_WAITING_SECONDS = 10
"""Audio that may wait for one listener; what is older is dropped, and `Mailbox.dropped` counts its blocks."""


@dataclass(frozen=True, slots=True)
class Block:
    """Audio of one track.

    Attributes:
        position_samples: where ``pcm[0]`` lies on the call's timeline.
        pcm: (n,) int16, not to be written to.
        sample_rate_hz: of it.
    """

    position_samples: int
    pcm: Pcm
    sample_rate_hz: int


class Ear:
    """One listener to one track: cuts what comes into blocks of one length."""

    def __init__(self, index: int, direction: Direction, block_ms: int) -> None:
        self.index, self.direction = index, direction
        self.mailbox: Mailbox[Block] = Mailbox(max(MAX_WAITING_SECONDS * 1000 // block_ms, 1))
        self._block_ms = block_ms
        self._rest: Block | None = None

    def hear(self, block: Block) -> None:
        """Take audio that follows, or lies behind a pause."""
        rest, rate_hz = self._rest, block.sample_rate_hz
        if rest is not None and rest.position_samples + len(rest.pcm) == block.position_samples:
            block = Block(rest.position_samples, np.concatenate([rest.pcm, block.pcm]), rate_hz)
        elif rest is not None:
            self.mailbox.put(rest)
        n = self._block_ms * rate_hz // 1000
        whole = len(block.pcm) - len(block.pcm) % n
        for start in range(0, whole, n):
            self.mailbox.put(Block(block.position_samples + start, block.pcm[start : start + n], rate_hz))
        rest = Block(block.position_samples + whole, block.pcm[whole:], rate_hz)
        self._rest = rest if len(rest.pcm) else None

    def end(self) -> None:
        """Nothing more will come."""
        if self._rest is not None:
            self.mailbox.put(self._rest)
            self._rest = None
        self.mailbox.close()


class ListenSink:
    """Hands audio to ears; they are added and removed in the event loop, and fed there."""

    def __init__(self, call_soon: Callable[[Callable[[], None]], object], block_ms: int = 20) -> None:
        """Prepare; `call_soon` calls a function in the event loop, from any thread."""
        self.options = SinkOptions("applications", block_ms=block_ms, max_queue_seconds=MAX_WAITING_SECONDS)
        self._call_soon = call_soon
        self._lock = threading.Lock()
        self._ears: dict[int, list[Ear]] = {}

    def add(self, ear: Ear) -> None:
        """Listen from now on."""
        with self._lock:
            self._ears[ear.index] = [*self._ears.get(ear.index, []), ear]

    def remove(self, ear: Ear) -> None:
        """Listen no more."""
        with self._lock:
            left = [other for other in self._ears.pop(ear.index, []) if other is not ear]
            if left:
                self._ears[ear.index] = left
        ear.end()

    def call_started(self, call: CallInfo) -> None:
        """Do nothing: whoever wants to listen says so."""

    def receive(self, batch: PcmBatch) -> None:
        """Hand over the rows that somebody listens to."""
        with self._lock:
            ears = dict(self._ears)
        if not ears or batch.late or not len(batch):
            return
        heard = np.isin(batch.call, np.fromiter(ears, np.int32, len(ears)))
        if not heard.any():
            return
        rows = batch.take(heard)
        said: list[tuple[Ear, Block]] = []
        for row, (index, channel) in enumerate(zip(rows.call.tolist(), rows.channel.tolist(), strict=True)):
            first, last = int(rows.first[row]), int(rows.last[row])
            if first < last:
                block = Block(int(rows.positions[row]) + first, rows.pcm[row, first:last], rows.sample_rate_hz)
                said += [(ear, block) for ear in ears[index] if ear.direction == channel]
        if said:
            self._call_soon(lambda: _hand_over(said))

    def call_ended(self, call: CallInfo, report: CallReport) -> None:
        """End the ears of the call, behind the last of its audio."""
        with self._lock:
            ears = self._ears.pop(call.index, [])
        if ears:
            self._call_soon(lambda: _end(ears))

    def close(self) -> None:
        """Do nothing: the calls have ended."""


def _hand_over(said: list[tuple[Ear, Block]]) -> None:
    for ear, block in said:
        ear.hear(block)


def _end(ears: list[Ear]) -> None:
    for ear in ears:
        ear.end()
