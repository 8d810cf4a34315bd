"""One track at one rate: pieces of a call's audio in, pieces in the reader's time out, their positions exact."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from media.feed.wire import Flag, SampleFormat
from media.talk.contract import Pcm
from media.talk.resampler import Resampler
from strep.g711 import Codec, encode

Stretch = tuple[int, int]
"""Of positions: the first, and the one behind the last."""
_FULL_SCALE = np.float32(1 / 32768)


@dataclass(frozen=True, slots=True)
class Piece:
    """Audio of one track.

    Attributes:
        position_samples: of ``pcm[0]``, at the rate of `pcm`.
        pcm: (n,) int16, not to be written to.
        flags, lost_samples: see `media.feed.wire`.
        codes: (n,) uint8, the same in mu-law, where that is what the carrier sent.
    """

    position_samples: int
    pcm: Pcm
    flags: Flag = Flag.NONE
    lost_samples: int = 0
    codes: NDArray[np.uint8] | None = None

    def payload(self, form: SampleFormat) -> bytes:
        """Return the samples as they are sent."""
        if form is SampleFormat.INT16:
            return self.pcm.astype("<i2", copy=False).tobytes()
        if form is SampleFormat.FLOAT32:
            return (self.pcm * _FULL_SCALE).astype("<f4", copy=False).tobytes()
        return (encode(self.pcm, Codec.PCMU) if self.codes is None else self.codes).tobytes()


class Line:
    """One track at one rate.

    A sample at position p of the output is what was at p / `to_hz` seconds, to the exactness of the filter. After a
    gap the filter begins anew, so that nothing of before it is heard behind it; what it still held comes out first.

    Attributes:
        end_samples: position behind the last sample that came out; None before the first.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        """Begin; raises ValueError where `media.talk.resampler.Resampler` does."""
        divisor = math.gcd(from_hz, to_hz)
        self._up, self._down = to_hz // divisor, from_hz // divisor
        self._resampler = Resampler(from_hz, to_hz)
        self._taken_until: int | None = None
        self._skip = 0
        self._flags = Flag.NONE
        self._lost: list[Stretch] = []
        self.end_samples: int | None = None

    @property
    def is_native(self) -> bool:
        """Whether samples come out as they go in."""
        return self._up == self._down

    def take(self, piece: Piece, lost: Iterable[Stretch] = ()) -> list[Piece]:
        """Take what comes next and return what can be told by now.

        Args:
            piece: at the call's rate; its flags and its lost samples do not count.
            lost: stretches of it that stand for lost packets, as positions.
        """
        found = []
        if piece.position_samples != self._taken_until:
            found = self.finish()
            self._begin(piece.position_samples)
        self._taken_until = piece.position_samples + len(piece.pcm)
        self._lost += [(self._ceil(start), self._ceil(end)) for start, end in lost]
        if self.is_native:
            return [self._told(piece.pcm, piece.codes)]
        pcm = self._resampler.process(piece.pcm)
        skipped = min(self._skip, len(pcm))
        self._skip -= skipped
        if len(pcm) > skipped:
            found.append(self._told(pcm[skipped:]))
        return found

    def finish(self) -> list[Piece]:
        """Return what the filter still holds: nothing follows, or not at once."""
        rest = self._resampler.flush()[self._skip :]
        found = [self._told(rest)] if len(rest) else []
        self._lost.clear()
        return found

    def patch(self, piece: Piece) -> list[Piece]:
        """Return what came late, for its place, which is behind; only at the call's own rate can that be told."""
        if not self.is_native:
            return []
        return [Piece(piece.position_samples, piece.pcm, Flag.LATE, 0, piece.codes)]

    def _begin(self, position: int) -> None:
        """Let the next sample in be at `position`, which need not be a place of the output."""
        before = position % self._down
        self.end_samples = self._ceil(position)
        self._flags = Flag.GAP
        # Silence up to there puts the filter in step; what of the output lies in it is not told.
        told = self._resampler.process(np.zeros(before, np.int16))
        self._skip = self.end_samples - (position - before) // self._down * self._up - len(told)

    def _ceil(self, position: int) -> int:
        """Return the first place of the output at or behind `position` of the input."""
        return -(-position * self._up // self._down)

    def _told(self, pcm: Pcm, codes: NDArray[np.uint8] | None = None) -> Piece:
        assert self.end_samples is not None
        start, end = self.end_samples, self.end_samples + len(pcm)
        self.end_samples = end
        flags, lost_samples = self._flags, 0
        self._flags = Flag.NONE
        if self._lost:
            lost_samples = sum(max(0, min(stop, end) - max(begin, start)) for begin, stop in self._lost)
            self._lost = [stretch for stretch in self._lost if stretch[1] > end]
            flags |= Flag.LOST if lost_samples else Flag.NONE
        return Piece(start, pcm, flags, lost_samples, codes)
