"""How old is audio when a sink gets it? A sink that looks at the clock, and a tap in front of the STREP door.

The tap notes of the packets of some calls what the kernel's stamp says; the sink notes when it was handed which
block. After the run the two are brought together: a block is as old as the last packet that it needed, that is the
latest arrival among the packets of its track up to the one that fills its last sample. What a track hands over at
its end, when nothing follows any more, is left out: that waits for the call's end, not for audio.

Which packet fills which sample is worked out from RTP timestamps alone; nothing of the timeline is used but what
it reports of a track, where that begins.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from media.blocks import PcmBatch
from media.doors.strep import StrepDoor
from media.sinks.contract import CallInfo, CallReport, SinkOptions
from strep.datagrams import DatagramBatch

_HEADERS = np.dtype(
    {
        "names": ["direction", "leg", "timestamp"],
        "formats": ["u1", "V16", ">u4"],
        "offsets": [0, 8, 28],
        "itemsize": 36,
    }
)
_LEG_BYTE = 11
"""Counts up from call to call in the simulated carrier's identifiers, by two."""

Int64 = NDArray[np.int64]


class Tap:
    """Notes arrivals of the packets of every `one_in`-th call."""

    def __init__(self, one_in: int) -> None:
        """Observe a power of two, at most 128."""
        self._mask = np.uint8(2 * (one_in - 1))
        self._headers: list[NDArray[Any]] = []
        self._arrivals_ns: list[Int64] = []
        self._ends: list[Int64] = []

    def listen(self, door: StrepDoor) -> None:
        """Be in front of the door from now on."""
        receive: Callable[[DatagramBatch, int], None] = door.receive

        def note_and_receive(batch: DatagramBatch, now_ns: int) -> None:
            self.note(batch)
            receive(batch, now_ns)

        door.receive = note_and_receive  # type: ignore[method-assign]

    def note(self, batch: DatagramBatch) -> None:
        """Keep headers and stamps of the packets of the observed calls."""
        rows = batch.table[: len(batch)]
        chosen = np.flatnonzero(rows[:, _LEG_BYTE] & self._mask == 0)
        self._headers.append(rows[chosen, : _HEADERS.itemsize])
        self._arrivals_ns.append(batch.arrival_ns[chosen])
        self._ends.append(batch.length[chosen] - _HEADERS.itemsize)

    def tracks(self) -> dict[tuple[str, int], tuple[Int64, Int64]]:
        """Return, per call_leg_id and direction, where packets end on the track and when all up to there had come."""
        if not self._headers:
            return {}
        headers = np.concatenate(self._headers).view(_HEADERS)[:, 0]
        arrivals_ns, lengths = np.concatenate(self._arrivals_ns), np.concatenate(self._ends)
        rows_of: dict[tuple[bytes, int], list[int]] = {}
        keys = zip(headers["leg"].tolist(), (headers["direction"] & 1).tolist(), strict=True)
        for row, key in enumerate(keys):
            rows_of.setdefault(key, []).append(row)
        return {
            (str(UUID(bytes=leg)), direction): _track(headers["timestamp"][rows], lengths[rows], arrivals_ns[rows])
            for (leg, direction), rows in rows_of.items()
        }


def _track(timestamps: NDArray[Any], lengths: Int64, arrivals_ns: Int64) -> tuple[Int64, Int64]:
    start = timestamps.astype(np.int64)
    start = (start - start[0] + 2**31) % 2**32 - 2**31  # signed distance to the first arrival, modulo 2**32
    ends = start - start.min() + lengths
    order = np.argsort(ends, kind="stable")
    return ends[order], np.maximum.accumulate(arrivals_ns[order])


class Probe:
    """Notes when it was handed which block."""

    def __init__(self, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        """Look at `clock_ns`, which must be the scale of the arrivals."""
        self.options = SinkOptions("latency-probe")
        self._clock_ns = clock_ns
        self._batches: list[tuple[NDArray[np.int32], NDArray[np.uint8], Int64, int]] = []
        self._names: dict[int, str] = {}
        self._tracks: dict[tuple[str, int], tuple[int, int]] = {}

    def call_started(self, call: CallInfo) -> None:
        """Remember the name; an index is not used again in a run, whose calls all end together."""
        self._names[call.index] = call.call_id

    def receive(self, batch: PcmBatch) -> None:
        """Look at the clock."""
        now_ns = self._clock_ns()
        if len(batch) and not batch.late:
            self._batches.append((batch.call, batch.channel, batch.positions + batch.last, now_ns))

    def call_ended(self, call: CallInfo, report: CallReport) -> None:
        """Remember where the tracks lie."""
        for track in report.tracks:
            self._tracks[call.call_id, int(track.direction)] = track.start_samples, track.length_samples

    def close(self) -> None:
        """Do nothing."""

    def ages(self, tap: Tap) -> tuple[Int64, Int64]:
        """Return of every observed block when it was handed over, and how old it was then, in ns."""
        if not self._batches:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        call, channel, end = (np.concatenate(column) for column in list(zip(*self._batches, strict=True))[:3])
        counts = [len(batch[0]) for batch in self._batches]
        handed_ns = np.repeat(np.array([batch[3] for batch in self._batches], np.int64), counts)
        indexes = {name: index for index, name in self._names.items()}
        moments, ages = [], []
        for (name, direction), (ends, arrived_ns) in tap.tracks().items():
            start, length = self._tracks.get((name, direction), (0, 0))
            mine = np.flatnonzero((call == indexes.get(name, -1)) & (channel == direction) & (end - start < length))
            needed = np.searchsorted(ends, end[mine] - start)
            moments.append(handed_ns[mine])
            ages.append(handed_ns[mine] - arrived_ns[needed])
        return np.concatenate([np.empty(0, np.int64), *moments]), np.concatenate([np.empty(0, np.int64), *ages])


def save(probe: Probe, tap: Tap, path: Path) -> None:
    """Write `Probe.ages` as (2, n) int64."""
    np.save(path, np.stack(probe.ages(tap)))
