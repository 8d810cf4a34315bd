"""PCM that waits to be read: pieces in, any number of samples out."""

from __future__ import annotations

from collections import deque

import numpy as np

from media.talk.contract import Pcm

NOTHING: Pcm = np.zeros(0, np.int16)


class PcmBuffer:
    """First in, first out. It does not bound itself: who fills it looks at `samples` first."""

    def __init__(self) -> None:
        self._pieces: deque[Pcm] = deque()
        self.samples = 0

    def append(self, pcm: Pcm) -> None:
        """Add (n,) int16, which is not copied."""
        if len(pcm):
            self._pieces.append(pcm)
            self.samples += len(pcm)

    def take(self, samples: int) -> Pcm:
        """Remove and return the oldest, (n,) int16, n <= `samples`."""
        taken: list[Pcm] = []
        wanted = min(samples, self.samples)
        self.samples -= max(0, wanted)
        while wanted > 0:
            piece = self._pieces.popleft()
            if len(piece) > wanted:
                self._pieces.appendleft(piece[wanted:])
                piece = piece[:wanted]
            taken.append(piece)
            wanted -= len(piece)
        return taken[0].copy() if len(taken) == 1 else np.concatenate([NOTHING, *taken])

    def clear(self) -> None:
        """Throw away everything."""
        self._pieces.clear()
        self.samples = 0
