"""`Recent`: the last seconds of all calls, for takes that look back.

What is kept are the batches that passed, which nobody has to copy: per live call ``2 * rate * seconds`` bytes of
G.711 (16 KB a second) and twice that of PCM. Nothing is done per call until a take wants its rows. What was paused is
silence in them, and what is taken back later is taken back by the patch that follows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from media.blocks import PcmBatch
from strep.clock import NS_PER_SECOND

LATE_S = 1.0
"""How much later than it was said audio may be handed out: what was said `seconds` ago has to be here still. Also
what a take needs that does not look back, for it begins up to a fraction of a second before the command."""


class Recent:
    """Batches of the last `seconds`, and a second more."""

    def __init__(self, seconds: float) -> None:
        """Keep that much."""
        self._keep_ns = round((seconds + LATE_S) * NS_PER_SECOND)
        self._batches: deque[tuple[int, PcmBatch]] = deque()
        self._count = self._size_bytes = 0
        self._since: dict[int, int] = {}

    @property
    def size_bytes(self) -> int:
        """Memory that is held."""
        return self._size_bytes

    def begin(self, index: int) -> None:
        """Take note that `index` is another call from now on."""
        self._since[index] = self._count

    def end(self, index: int) -> None:
        """Take note that the call of `index` has ended."""
        self._since.pop(index, None)

    def add(self, batch: PcmBatch) -> None:
        """Keep a batch, forget those that are too old; a tick makes forget, too."""
        if len(batch):
            self._batches.append((self._count, replace(batch, _pcm=None)))  # without what others have decoded
            self._count += 1
            self._size_bytes += int(batch.encoded.nbytes)
        while self._batches and self._batches[0][1].now_ns < batch.now_ns - self._keep_ns:
            self._size_bytes -= int(self._batches.popleft()[1].encoded.nbytes)

    def of(self, index: int) -> Iterator[PcmBatch]:
        """Yield what there is of the call of `index`, the oldest first."""
        since = self._since.get(index, self._count)
        for number, batch in self._batches:
            chosen = batch.call == index
            if number >= since and chosen.any():
                yield batch.take(np.asarray(chosen))
