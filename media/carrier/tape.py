"""What somebody hears: PCM on a line of positions, with silence wherever nothing was put."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.int16]


class Tape:
    """Audio that is put at rising positions, cut off behind a position, and taken away from the front.

    Attributes:
        end: the first position behind everything that was put.
        start: the first position that was not taken yet.
    """

    def __init__(self) -> None:
        self.start = self.end = 0
        self._pieces: deque[tuple[int, Pcm]] = deque()

    def put(self, position: int, pcm: Pcm) -> None:
        """Put (n,) int16 at `position`, which is `end` or more; it is kept as it is, not copied."""
        self._pieces.append((position, pcm))
        self.end = position + len(pcm)

    def cut(self, position: int) -> int:
        """Forget what lies from `position` on; return how many samples of audio that was."""
        lost = 0
        while self._pieces and self._pieces[-1][0] >= position:
            lost += len(self._pieces.pop()[1])
        if self._pieces and self.end > position:
            begin, pcm = self._pieces[-1]
            keep = min(position - begin, len(pcm))
            lost += len(pcm) - keep
            self._pieces[-1] = (begin, pcm[:keep])
        self.end = min(self.end, max(position, self.start))
        return lost

    def take(self, position: int) -> Pcm:
        """Return (position - start,) int16, and forget it: everything from `start` to `position`."""
        heard = np.zeros(max(0, position - self.start), np.int16)
        while self._pieces and self._pieces[0][0] < position:
            begin, pcm = self._pieces.popleft()
            if begin + len(pcm) > position:
                self._pieces.appendleft((position, pcm[position - begin :]))
                pcm = pcm[: position - begin]
            heard[begin - self.start : begin - self.start + len(pcm)] = pcm
        self.start = max(self.start, position)
        self.end = max(self.end, self.start)
        return heard

    def forget(self, position: int) -> None:
        """Like `take`, for whole pieces, and without looking at them."""
        while self._pieces and self._pieces[0][0] + len(self._pieces[0][1]) <= position:
            self._pieces.popleft()
        self.start = max(self.start, min(position, self._pieces[0][0] if self._pieces else position))
        self.end = max(self.end, self.start)
