"""Tracks that move to the timeline of another process, whole: nothing is flushed, given up or counted anew.

What waits behind a hole still waits there, a young epoch is still young, and the next packet finds what it would have
found here. Times are monotonic, so both processes have to live on one machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from strep.ledger import Kind, Ledger
from strep.table import HeldFrame, Mapping, TrackTable
from strep.tracks import COLUMNS
from strep.window import WINDOW_PACKETS

Int64 = NDArray[np.int64]


@dataclass(slots=True)
class MovedLedger:
    """A gap ledger: spans as (start, length, kind), and samples by kind."""

    spans: list[tuple[int, int, str]]
    totals: dict[str, int]
    truncated: bool


@dataclass(slots=True)
class MovedFrame:
    """A `HeldFrame`, its payload as bytes."""

    sequence_number: int
    timestamp: int
    ssrc: int
    arrival_ns: int
    is_audio: bool
    payload: bytes


@dataclass(slots=True)
class MovedTracks:
    """n tracks, as plain values.

    Attributes:
        columns: by name, n values of the dtype that `strep.tracks.COLUMNS` says.
        window: by name, n rings of `WINDOW_PACKETS` entries.
        tapes: of each track the samples from `released` on; behind them its tape is silent.
        ledgers: of each track.
        previous, held, lost: as in `TrackTable`, by number of the track.
    """

    columns: dict[str, bytes]
    window: dict[str, bytes]
    tapes: list[bytes]
    ledgers: list[MovedLedger]
    previous: dict[int, Mapping] = field(default_factory=dict)
    held: dict[int, MovedFrame] = field(default_factory=dict)
    lost: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    def column(self, name: str) -> NDArray[np.generic]:
        """Return one column, (n,).

        Raises:
            ValueError: there is none, or it has another length.
        """
        if name not in self.columns:
            raise ValueError(f"tracks without {name}: they come from another version")
        column = np.frombuffer(self.columns[name], COLUMNS[name][0])
        if len(column) != len(self.tapes):
            raise ValueError(f"{len(column)} values of {name} for {len(self.tapes)} tracks")
        return column


def copy_out(table: TrackTable, slot: Int64) -> MovedTracks:
    """Return all that is known of the distinct `slot`s; their blocks and patches have been taken."""
    tape, slots = table.tape, slot.tolist()
    return MovedTracks(
        columns={name: getattr(table.tracks, name)[slot].tobytes() for name in COLUMNS},
        window={name: column[slot].tobytes() for name, column in vars(table.window).items()},
        tapes=[
            _without_silence(table, s, tape.read_one(s, int(table.tracks.released[s]), tape.ring_samples))
            for s in slots
        ],
        ledgers=[_moved_ledger(table.ledgers[s]) for s in slots],
        previous={i: table.previous[s] for i, s in enumerate(slots) if s in table.previous},
        held={i: _moved_frame(table.held[s]) for i, s in enumerate(slots) if s in table.held},
        lost={i: list(table.lost[s]) for i, s in enumerate(slots) if s in table.lost},
    )


def put_in(table: TrackTable, slot: Int64, moved: MovedTracks) -> None:
    """Let `slot`, new ones whose tapes are of the right codec, be what `moved` says.

    Raises:
        ValueError: it comes from another version, or what waits is too long for the tapes here.
    """
    columns = {name: moved.column(name) for name in COLUMNS}
    longest = max((len(data) for data in moved.tapes), default=0) // table.tape.dtype.itemsize
    if longest > table.tape.ring_samples:
        raise ValueError(f"{longest} samples wait and {table.tape.ring_samples} have room: reorder_wait is too short")
    for name, column in columns.items():
        getattr(table.tracks, name)[slot] = column
    for name, ring in vars(table.window).items():
        ring[slot] = np.frombuffer(moved.window[name], ring.dtype).reshape(len(slot), WINDOW_PACKETS)
    for i, s in enumerate(slot.tolist()):
        table.tape.write_one(s, int(table.tracks.released[s]), np.frombuffer(moved.tapes[i], table.tape.dtype))
        table.ledgers[s] = _ledger(moved.ledgers[i], Ledger(s, table.changed))
        if i in moved.previous:
            table.previous[s] = moved.previous[i]
        if i in moved.held:
            table.held[s] = _frame(moved.held[i], table)
        if i in moved.lost:
            table.lost[s] = [(start, end) for start, end in moved.lost[i]]


def _without_silence(table: TrackTable, slot: int, samples: NDArray[np.generic]) -> bytes:
    """Return the samples without the silence at their end."""
    size = samples.dtype.itemsize
    silence = int(table.tape.silence[slot]) if size == 1 else 0
    data = samples.tobytes().rstrip(bytes([silence]))
    return data + bytes(-len(data) % size)


def _moved_ledger(ledger: Ledger) -> MovedLedger:
    spans = [(start, length, kind.value) for start, length, kind in ledger.spans]
    return MovedLedger(spans, {kind.value: n for kind, n in ledger.totals.items()}, ledger.truncated)


def _ledger(moved: MovedLedger, ledger: Ledger) -> Ledger:
    ledger.spans = [(start, length, Kind(kind)) for start, length, kind in moved.spans]
    ledger.totals |= {Kind(kind): n for kind, n in moved.totals.items()}
    ledger.truncated = moved.truncated
    return ledger


def _moved_frame(frame: HeldFrame) -> MovedFrame:
    about = frame.sequence_number, frame.timestamp, frame.ssrc, frame.arrival_ns, frame.is_audio
    return MovedFrame(*about, frame.payload.tobytes())


def _frame(moved: MovedFrame, table: TrackTable) -> HeldFrame:
    about = moved.sequence_number, moved.timestamp, moved.ssrc, moved.arrival_ns, moved.is_audio
    return HeldFrame(*about, np.frombuffer(moved.payload, table.tape.dtype))
