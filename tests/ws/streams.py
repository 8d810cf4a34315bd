"""Streams of chunks as a carrier may send them, the disorder they arrive in, and the tape a timeline would keep."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st

from media.ws.chunks import ChunkSequencer, Placement
from strep.header import Direction
from strep.serial import signed_difference_16, signed_difference_32

IN, OUT = Direction.INBOUND, Direction.OUTBOUND


@dataclass(frozen=True)
class Sent:
    """One frame; `start_samples` is the truth about its place on its track."""

    direction: Direction
    chunk: int | None
    sequence_number: int | None
    samples: int
    start_samples: int
    timestamp: int | None = None

    def place(self, sequencer: ChunkSequencer) -> Placement:
        return sequencer.place(self.direction, self.chunk, self.sequence_number, self.timestamp, self.samples)


@dataclass
class Tape:
    """What a timeline does with placements: unwraps the counters and moves what has to move."""

    starts: dict[int, int] = field(default_factory=dict)
    _newest: int | None = None
    _last_start: int = 0

    def number_of(self, placement: Placement) -> int:
        if self._newest is None:
            return placement.sequence_number
        return self._newest + signed_difference_16(placement.sequence_number, self._newest & 0xFFFF)

    def take(self, placement: Placement) -> int:
        number = self.number_of(placement)
        start = self._last_start + signed_difference_32(placement.timestamp, self._last_start & 0xFFFFFFFF)
        self._newest = number if self._newest is None else max(number, self._newest)
        self._last_start = start
        for later in self.starts:
            if later > number:
                self.starts[later] += placement.shift_samples
        self.starts[number] = start
        return number

    @property
    def lost(self) -> int:
        return max(self.starts) - min(self.starts) + 1 - len(self.starts)


def track(
    lengths: list[int],
    *,
    first_chunk: int = 1,
    first_sequence_number: int = 2,
    direction: Direction = IN,
    silences: list[int] | None = None,
    unit_samples: int = 0,
    first_timestamp: int = 0,
) -> list[Sent]:
    """Return one track's chunks; `silences[i]` samples lie before chunk i, a unit of 0 is no timestamp."""
    sent, start = [], 0
    for i, samples in enumerate(lengths):
        start += silences[i] if silences else 0
        timestamp = first_timestamp + start // unit_samples if unit_samples else None
        sent.append(Sent(direction, first_chunk + i, first_sequence_number + i, samples, start, timestamp))
        start += samples
    return sent


def two_tracks(owners: list[Direction], *, is_shared: bool, first_chunk: int = 1) -> list[Sent]:
    """Return both tracks' chunks of 160 samples in the order of `owners`; sequence numbers from 2 on."""
    counts = dict.fromkeys(Direction, 0)
    sent = []
    for i, direction in enumerate(owners):
        chunk = first_chunk + (i if is_shared else counts[direction])
        sent.append(Sent(direction, chunk, 2 + i, 160, 160 * counts[direction]))
        counts[direction] += 1
    return sent


@st.composite
def arrivals(draw: st.DrawFn, sent: list[Sent], *, window: int, in_order: int = 0, loss: bool = False) -> list[Sent]:
    """Return `sent` as it arrives: each at most `window` places late, some lost; the first `in_order` untouched."""
    head, tail = sent[:in_order], sent[in_order:]
    delays = draw(st.lists(st.integers(0, window), min_size=len(tail), max_size=len(tail)))
    kept = draw(st.lists(st.integers(0, 5), min_size=len(tail), max_size=len(tail))) if loss else [1] * len(tail)
    order = sorted((i for i in range(len(tail)) if kept[i]), key=lambda i: (i + delays[i], i))
    return head + [tail[i] for i in order]


def play(sent: list[Sent], sequencer: ChunkSequencer | None = None) -> dict[Direction, Tape]:
    sequencer = sequencer or ChunkSequencer()
    tapes = {direction: Tape() for direction in Direction}
    for frame in sent:
        tapes[frame.direction].take(frame.place(sequencer))
    return tapes


def relative(starts: list[int]) -> list[int]:
    return [start - starts[0] for start in starts]


def assert_true_positions(tape: Tape, received: list[Sent]) -> None:
    truth = [frame.start_samples for frame in sorted(received, key=lambda frame: frame.chunk or 0)]
    assert relative([tape.starts[number] for number in sorted(tape.starts)]) == relative(truth)
