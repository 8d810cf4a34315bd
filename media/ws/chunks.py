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

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from media.ws.chunk_tape import ChunkTape
from media.ws.numbering import ChunkNumbering, CounterMode, NumberSource
from media.ws.timestamps import TimestampTrust
from strep.header import Direction
from strep.serial import SEQUENCE_MODULUS, TIMESTAMP_MODULUS


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


class Expectation(NamedTuple):
    """The chunk that is expected next; with each one after it chunk, number and start go on as they do.

    Attributes:
        chunk: as the carrier counts.
        timestamp: in the carrier's unit; 0 without timestamps.
        step_units: by how much timestamps grow; 0 without.
        number, start: of its `Placement`, not modulo anything.
        generation: likewise.
    """

    chunk: int
    timestamp: int
    step_units: int
    number: int
    start: int
    generation: int


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
    """Places the chunks of one stream; it lives as long as the stream, over any number of sockets.

    Attributes:
        leave: whoever relies on what `expect` said, and has perhaps not told `advance` yet, is called here before
            anything else happens: to tell it, and to rely on it no more.
    """

    __slots__ = ("_numbering", "_tapes", "leave")

    def __init__(self, sample_rate_hz: int = 8000) -> None:
        self.leave: Callable[[], None] | None = None
        self._numbering = ChunkNumbering()
        self._tapes = [ChunkTape(TimestampTrust(sample_rate_hz)) for _ in Direction]

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
        if self.leave is not None:
            self.leave()
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

    def expect(self, direction: Direction, samples: int, session: int, *, has_timestamp: bool) -> Expectation | None:
        """Return what the next chunk of a track is if it is as usual and nothing is learned from it; else None."""
        if self.leave is not None:
            self.leave()
        counter, tape = self._numbering.expects(direction, session), self._tapes[direction]
        if counter is None or counter.generation != tape.generation:
            return None
        step = tape.step_units(samples, has_timestamp=has_timestamp)
        number, start, timestamp = tape.next()
        if step is None or number != counter.number + 1:
            return None
        return Expectation(counter.value + 1, timestamp + step if step else 0, step, number, start, tape.generation)

    def advance(
        self,
        direction: Direction,
        count: int,
        samples: int,
        step_units: int,
        sequence_number: int | None,
        highest: int,
        session: int,
    ) -> None:
        """Take note of `count` chunks that came as `expect` had foretold.

        The last of their sequence numbers is `sequence_number`, the greatest is `highest`.
        """
        self._numbering.advance(direction, count, sequence_number, highest, session)
        self._tapes[direction].advance(count, samples, step_units)

    def skip(self, sequence_number: int | None) -> None:
        """Take note of a frame of the stream that is no media; it has used up a sequence number."""
        if self.leave is not None:
            self.leave()
        self._numbering.skip(sequence_number)

    def resume(self, sequence_number: int | None) -> int:
        """Take note of a start frame: of the first one, or of one after a reconnect, when counters may restart.

        Returns:
            The socket's session, for `place`: a socket that came before may go on with the earlier counting.
        """
        if self.leave is not None:
            self.leave()
        return self._numbering.resume(sequence_number)

    def snapshot(self) -> SequencerSnapshot:
        """Return a frozen copy of what is known."""
        if self.leave is not None:
            self.leave()
        numbering, (inbound, outbound) = self._numbering, self._tapes
        return SequencerSnapshot(
            source=numbering.source,
            counter_mode=numbering.mode,
            restarts=numbering.restarts,
            misattributed=numbering.misattributed,
            timestamp_units=(inbound.trust.unit, outbound.trust.unit),
            trust_lost=(inbound.trust.times_lost, outbound.trust.times_lost),
        )
