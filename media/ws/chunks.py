"""Chunks of a media stream as synthetic RTP: sequence numbers and timestamps for the one timeline.

A media frame has no RTP header. `ChunkSequencer` gives it one, so that reordering, duplicates, loss, deadline
and ledger are the same engine's work as for RTP:

* the sequence number is the chunk number modulo 2**16; `media.ws.numbering` on counters that are shared,
  restart or are absent;
* the timestamp is the sum of the payloads' durations in chunk order. A chunk that is missing counts as one of
  usual length. When it comes after all and is longer or shorter, the chunks behind it were placed wrongly by the
  difference: its placement says so in ``shift_samples``, and the sequencer's own state has moved already;
* the carrier's timestamps refine that only where they prove consistent (`media.ws.timestamps`).
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import msgspec

from media.ws.numbering import ChunkNumbering, CounterMode, NumberSource
from media.ws.owners import MAX_MISORDER
from media.ws.timestamps import MAX_SILENCE_SAMPLES, TimestampTrust
from strep.header import Direction
from strep.serial import SEQUENCE_MODULUS, TIMESTAMP_MODULUS

_WINDOW = 128
"""Chunks whose places are remembered per track; at least `MAX_MISORDER`, a power of two."""
_MASK = _WINDOW - 1
_NO_TIMESTAMP = -1
assert _WINDOW >= MAX_MISORDER
assert not _WINDOW & _MASK


class Placement(msgspec.Struct, frozen=True, gc=False):
    """Where a chunk belongs, in RTP's terms.

    Attributes:
        sequence_number: modulo 2**16.
        timestamp: modulo 2**32, in samples.
        shift_samples: by how much every chunk of this track with a later sequence number that has been
            placed before has to move now (negative: earlier); 0 nearly always.
        generation: to which counting of its track the chunk belongs: 0 is the first, one more with every restart.
            The other three compare within one generation only; a late chunk may be of an earlier one.
    """

    sequence_number: int
    timestamp: int
    shift_samples: int = 0
    generation: int = 0


@dataclass(frozen=True, slots=True)
class SequencerSnapshot:
    """What the sequencer has found out about a stream.

    Attributes:
        source: what orders the chunks: their chunk numbers, the frames' sequence numbers, or arrival.
        counter_mode: whether the tracks count each for itself.
        restarts: how often the counting began anew.
        misattributed: chunks that came late to a place where the other track's chunk was expected.
        timestamp_units: per `Direction`, "ms", "samples" or "" while the timestamps are not believed.
        trust_lost: per `Direction`, how often timestamps contradicted the audio after they had been believed.
    """

    source: NumberSource
    counter_mode: CounterMode
    restarts: int
    misattributed: int
    timestamp_units: tuple[str, str]
    trust_lost: tuple[int, int]


class ChunkSequencer:
    """Places the chunks of one stream; it lives as long as the stream, over any number of sockets."""

    __slots__ = ("_numbering", "_tapes")

    def __init__(self, sample_rate_hz: int = 8000) -> None:
        self._numbering = ChunkNumbering()
        self._tapes = [_Tape(TimestampTrust(sample_rate_hz)) for _ in Direction]

    def place(
        self,
        direction: Direction,
        chunk: int | None,
        sequence_number: int | None,
        timestamp: int | None,
        payload_samples: int,
        session: int | None = None,
    ) -> Placement:
        """Return where a chunk of `payload_samples` (at least 1) belongs; a duplicate gets its first place again.

        `session` is what `resume` returned for the chunk's socket; None is the newest.
        """
        numbering, tape = self._numbering, self._tapes[direction]
        number = numbering.number(direction, chunk, sequence_number, session)
        generation = numbering.generation
        if generation > tape.generation:
            tape = self._tapes[direction] = tape.successor(generation)
        elif generation < tape.generation and tape.earlier is not None:
            start, _ = tape.earlier.place(number, payload_samples, timestamp)  # nothing behind it waits any more
            return Placement(number % SEQUENCE_MODULUS, start % TIMESTAMP_MODULUS, 0, generation)
        start, shift = tape.place(number, payload_samples, timestamp)
        return Placement(number % SEQUENCE_MODULUS, start % TIMESTAMP_MODULUS, shift, generation)

    def skip(self, sequence_number: int | None) -> None:
        """Take note of a frame of the stream that is no media; it has used up a sequence number."""
        self._numbering.skip(sequence_number)

    def resume(self, sequence_number: int | None) -> int:
        """Take note of a start frame: of the first one, or of one after a reconnect, when counters may restart.

        Returns:
            The socket's session, for `place`: a socket that came before may go on with the earlier counting.
        """
        return self._numbering.resume(sequence_number)

    def snapshot(self) -> SequencerSnapshot:
        """Return a frozen copy of what is known."""
        numbering, (inbound, outbound) = self._numbering, self._tapes
        return SequencerSnapshot(
            source=numbering.source,
            counter_mode=numbering.mode,
            restarts=numbering.restarts,
            misattributed=numbering.misattributed,
            timestamp_units=(inbound.trust.unit, outbound.trust.unit),
            trust_lost=(inbound.trust.times_lost, outbound.trust.times_lost),
        )


class _Tape:
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
        self.earlier: _Tape | None = None
        self._starts = array("q", bytes(8 * _WINDOW))
        self._lengths = array("q", bytes(8 * _WINDOW))
        self._timestamps = array("q", bytes(8 * _WINDOW))
        self._first: int | None = None
        self._newest = 0
        self._end = 0
        self._last_samples = 0
        self._usual_samples = 0

    def successor(self, generation: int) -> _Tape:
        """Return the tape of the counting that follows; it begins where this one ends, with the same habits."""
        tape = _Tape(self.trust)
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
        return max(end, self._starts[earlier & _MASK] + (timestamp - before) * self.trust.scale)

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
