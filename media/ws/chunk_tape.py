"""Where the last chunks of a track lie, and where the next one belongs; see `media.ws.chunks`."""

from __future__ import annotations

from array import array

from media.ws.owners import MAX_MISORDER
from media.ws.timestamps import MAX_SILENCE_SAMPLES, TimestampTrust

_WINDOW = 128
"""Chunks whose places are remembered per track; at least `MAX_MISORDER`, a power of two."""
_MASK = _WINDOW - 1
_NO_TIMESTAMP = -1
assert _WINDOW >= MAX_MISORDER
assert not _WINDOW & _MASK


class ChunkTape:
    """Where the last chunks of one counting of a track begin, in samples since the track's first chunk.

    Three rings, indexed by number modulo `_WINDOW`, hold the numbers from ``newest - _WINDOW + 1`` on; a
    length of 0 marks a chunk that is missing, whose start is then an estimate.
    """

    __slots__ = (
        "_end", "_first", "_last_samples", "_lengths", "_newest", "_starts", "_timestamps", "_usual_samples",
        "earlier", "generation", "trust",
    )  # fmt: skip

    def __init__(self, trust: TimestampTrust) -> None:
        self.trust = trust
        self.generation = 0
        self.earlier: ChunkTape | None = None
        self._starts = array("q", bytes(8 * _WINDOW))
        self._lengths = array("q", bytes(8 * _WINDOW))
        self._timestamps = array("q", bytes(8 * _WINDOW))
        self._first: int | None = None
        self._newest = 0
        self._end = 0
        self._last_samples = 0
        self._usual_samples = 0

    def successor(self, generation: int) -> ChunkTape:
        """Return the tape of the counting that follows; it begins where this one ends, with the same habits."""
        tape = ChunkTape(self.trust)
        tape.generation, tape.earlier = generation, self
        tape._end, tape._usual_samples, tape._last_samples = self._end, self._usual_samples, self._last_samples
        self.earlier = None  # one is enough to remember
        return tape

    def place(self, number: int, samples: int, timestamp: int | None) -> tuple[int, int]:
        """Return where chunk `number` starts and by how much the chunks behind it must move, in samples.

        `number` is more than ``newest - MAX_MISORDER``, as `ChunkNumbering` has it.
        """
        # One odd length (the last chunk of a playback) is no new habit; two equal ones in a row are.
        if samples != self._usual_samples and (samples == self._last_samples or not self._usual_samples):
            self._usual_samples = samples
        self._last_samples = samples
        step = number - self._newest
        if self._first is None:
            self._first = number
        elif step <= 0:
            return self._place_late(number, samples, timestamp)
        elif step > 1:
            self._pass_over(step - 1, timestamp)
        elif timestamp is not None:
            before = self._timestamps[self._newest & _MASK]
            if before != _NO_TIMESTAMP:
                elapsed, length = timestamp - before, self._lengths[self._newest & _MASK]
                self._end += self.trust.learn(elapsed, length, self._usual_samples)
        start = self._end
        self._write(number, start, samples, timestamp)
        self._newest = number
        self._end = start + samples
        return start, 0

    def step_units(self, samples: int, *, has_timestamp: bool) -> int | None:
        """Return by how much the next timestamps grow if nothing is to be learned from chunks of `samples`.

        None if there is something: another length than usual, timestamps that are not believed (yet). It is 0 where
        there are no timestamps.
        """
        slot, scale = self._newest & _MASK, self.trust.scale
        if self._first is None or samples != self._usual_samples or samples != self._lengths[slot]:
            return None
        if not has_timestamp:
            return 0
        if self._timestamps[slot] == _NO_TIMESTAMP or not scale or samples % scale:
            return None
        return samples // scale

    def next(self) -> tuple[int, int, int]:
        """Return number, start and last timestamp before the chunk that is expected next."""
        return self._newest + 1, self._end, self._timestamps[self._newest & _MASK]

    def advance(self, count: int, samples: int, step_units: int) -> None:
        """Take note of `count` chunks, each of which was what `step_units` had foretold."""
        number, start, timestamp = self.next()
        for i in range(max(count - _WINDOW, 0), count):
            told = timestamp + (i + 1) * step_units if step_units else None
            self._write(number + i, start + i * samples, samples, told)
        self._newest, self._end = number + count - 1, start + count * samples
        self._last_samples = samples

    def _write(self, number: int, start: int, samples: int, timestamp: int | None) -> None:
        slot = number & _MASK
        self._starts[slot] = start
        self._lengths[slot] = samples
        self._timestamps[slot] = _NO_TIMESTAMP if timestamp is None else timestamp

    def _pass_over(self, missing: int, timestamp: int | None) -> None:
        """Leave room for `missing` chunks before the one with `timestamp`."""
        span = missing * self._usual_samples
        before = self._timestamps[self._newest & _MASK]
        if self.trust.scale and timestamp is not None and before != _NO_TIMESTAMP:
            elapsed = (timestamp - before) * self.trust.scale
            told = elapsed - self._lengths[self._newest & _MASK]
            if 0 <= told <= MAX_SILENCE_SAMPLES:
                span = told
            else:
                self.trust.lose()
        for i in range(max(0, missing - _WINDOW), missing):
            self._write(self._newest + 1 + i, self._end + span * i // missing, 0, None)
        self._end += span

    def _place_late(self, number: int, samples: int, timestamp: int | None) -> tuple[int, int]:
        if self._first is not None and number < self._first:
            self._begin_earlier(number, self._first)
        slot = number & _MASK
        if self._lengths[slot]:
            return self._starts[slot], 0
        start = self._late_start(number, timestamp)
        self._write(number, start, samples, timestamp)
        shift = self._late_shift(number, start + samples)
        if shift:
            for later in range(number + 1, self._newest + 1):
                self._starts[later & _MASK] += shift
            self._end += shift
        return start, shift

    def _begin_earlier(self, number: int, first: int) -> None:
        """Make room in front of the chunk that came first but was overtaking others."""
        start = self._starts[first & _MASK]
        for missing in range(number, first):
            self._write(missing, start - (first - missing) * self._usual_samples, 0, None)
        self._first = number

    def _late_start(self, number: int, timestamp: int | None) -> int:
        """Return where the late chunk starts: behind the last one before it, told by timestamp if need be."""
        estimate = self._starts[number & _MASK]
        earlier = self._known_before(number)
        if earlier is None:
            return estimate
        end = self._starts[earlier & _MASK] + self._lengths[earlier & _MASK]
        if earlier == number - 1:
            return end + self._silence(earlier, timestamp)
        before = self._timestamps[earlier & _MASK]
        if not self.trust.scale or timestamp is None or before == _NO_TIMESTAMP:
            return estimate
        told = self._starts[earlier & _MASK] + (timestamp - before) * self.trust.scale
        return max(end, told) if told - end <= MAX_SILENCE_SAMPLES else estimate

    def _known_before(self, number: int) -> int | None:
        oldest = max(self._newest - _MASK, self._first or 0) if self._first is not None else number
        return next((n for n in range(number - 1, oldest - 1, -1) if self._lengths[n & _MASK]), None)

    def _late_shift(self, number: int, end: int) -> int:
        """Return by how much what lies behind the late chunk, which ends at `end`, was misplaced."""
        following = number + 1 & _MASK
        if self._lengths[following]:
            after = self._timestamps[following]
            end += self._silence(number, None if after == _NO_TIMESTAMP else after)
        elif self.trust.scale and self._timestamps[number & _MASK] != _NO_TIMESTAMP:
            return 0  # what lies behind was placed by its own timestamps
        return end - self._starts[following]

    def _silence(self, earlier: int, timestamp: int | None) -> int:
        """Return the silence between `earlier` and its neighbour with `timestamp`, 0 if nothing tells."""
        before = self._timestamps[earlier & _MASK]
        if not self.trust.scale or timestamp is None or before == _NO_TIMESTAMP:
            return 0
        length = self._lengths[earlier & _MASK]
        return self.trust.silence_between(timestamp - before, length, self._usual_samples) or 0
