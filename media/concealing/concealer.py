"""`Concealer`: the blocks of calls with their holes filled, as they come and no later. Sans-I/O.

What comes out is what came in - the same rows, code bytes where there were code bytes, `PcmBatch.lost` as it was -
but for what is lost in it. A row without a loss is not looked at. What a block's last hole is filled with rests on
what is known behind the block (`strep.table.Beyond`); where the hole goes on there, so does what was made up, in the
next one.

A hole that touches a pause stays silent for a sink that is sensitive: nothing of a pause may be heard, not even a
guess that rests on it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from media.blocks import PcmBatch
from media.concealing.history import History, pcm_of
from media.hearing.rows import CHANNELS
from media.sinks.contract import CallInfo
from strep.concealment import MOST_MS, conceal, edge_samples
from strep.frames import Samples
from strep.g711 import LINEAR, Codec, encode
from strep.header import Direction
from strep.table import Beyond

Int16 = NDArray[np.int16]
Int64 = NDArray[np.int64]
_NOTHING = Beyond(0, np.empty(0, np.uint8))


@dataclass(slots=True)
class Concealed:
    """What was made up of a track: holes, and samples in them that are no silence by rule."""

    holes: int = 0
    samples: int = 0


class _Hole(NamedTuple):
    """A hole that begins in a row of a batch, and what is known around it."""

    row: int
    first: int
    last: int
    length: int
    before: Int16
    after: Int16


class _Rest(NamedTuple):
    """What was made up for a row that has not come yet."""

    position: int
    pcm: Int16


class Concealer:
    """Fills the holes of the calls of one sink, in its thread."""

    def __init__(self, *, is_sensitive: bool) -> None:
        """Begin without a call; `is_sensitive` is that of the sink."""
        self._is_sensitive = is_sensitive
        self._calls: dict[int, CallInfo] = {}
        self._history = History()
        self._rest: dict[int, _Rest] = {}
        self._made: dict[int, Concealed] = {}

    def begin(self, call: CallInfo) -> None:
        """A call begins."""
        self._calls[call.index] = call
        self._history.reach(call.index * CHANNELS + CHANNELS - 1)
        self._history.forget(_keys(call))

    def end(self, call: CallInfo) -> list[Concealed]:
        """Forget a call that has ended; return what was made up of it, by direction."""
        self._calls.pop(call.index, None)
        for key in _keys(call).tolist():
            self._rest.pop(key, None)
        return [self._made.pop(key, Concealed()) for key in _keys(call).tolist()]

    def receive(self, batch: PcmBatch) -> PcmBatch:
        """Return the batch, filled; what came late, and a tick, is as it is."""
        if batch.late or not len(batch):
            return batch
        key = batch.call.astype(np.int64) * CHANNELS + batch.channel
        before = self._history.before(key)
        if len(batch.lost):
            batch = self._fill(batch, key, before)
        self._history.keep(replace(batch, _pcm=None), key, before)
        return batch

    def _fill(self, batch: PcmBatch, key: Int64, before: Int64) -> PcmBatch:
        """Return a batch filled, round by round: a hole goes on from what the one before it in its row became."""
        filled = replace(batch, encoded=batch.encoded.copy(), beyond={}, _pcm=None)
        lost = batch.lost[np.lexsort((batch.lost[:, 1], batch.lost[:, 0]))]
        row = lost[:, 0]
        rank = np.arange(len(row)) - np.searchsorted(row, row)
        limit = np.append(lost[1:, 1], 0)  # where the next hole of the row begins
        is_last = np.append(row[1:] != row[:-1], True)
        limit[is_last] = batch.last[row[is_last]]
        for number in range(int(rank.max()) + 1):
            holes = []
            for i in np.flatnonzero(rank == number).tolist():
                r, first, last = lost[i].tolist()
                beyond = batch.beyond.get(r, _NOTHING) if is_last[i] else _NOTHING
                length = last - first + (beyond.lost_samples if last == batch.last[r] else 0)
                if not self._is_kept_silent(batch, r, first, length) and not self._go_on(
                    filled, int(key[r]), r, first, last
                ):
                    edges = self._edges(filled, r, (first, last, int(limit[i])), int(before[r]), beyond)
                    holes.append(_Hole(r, first, last, length, *edges))
            if holes:
                self._make(filled, key, holes)
        return filled

    def _is_kept_silent(self, batch: PcmBatch, row: int, first: int, length: int) -> bool:
        call = self._calls.get(int(batch.call[row]))
        if not self._is_sensitive or call is None or not call.pauses:
            return False
        reach, position = edge_samples(batch.sample_rate_hz), int(batch.positions[row]) + first
        track = Direction(int(batch.channel[row])).name.lower()
        return call.is_paused_at(position - reach, length + 2 * reach, track)

    def _go_on(self, batch: PcmBatch, key: int, row: int, first: int, last: int) -> bool:
        """Fill a hole that began in the row before, if it did."""
        rest, position = self._rest.pop(key, None), int(batch.positions[row]) + first
        if rest is None or rest.position != position:
            return False
        count = last - first
        _write(batch, row, first, rest.pcm[:count])
        if len(rest.pcm) > count:
            self._rest[key] = _Rest(position + count, rest.pcm[count:])
        return True

    def _edges(
        self, batch: PcmBatch, row: int, hole: tuple[int, int, int], before: int, beyond: Beyond
    ) -> tuple[Int16, Int16]:
        """Return what is known before a hole and behind it, as far as it matters.

        Args:
            batch: filled up to the hole.
            row: of the hole.
            hole: its first column, its end, and up to where the row is known behind it.
            before: where the row before is.
            beyond: what is known behind the row's end.
        """
        (first, last, limit), codec = hole, int(batch.codec[row])
        most, start = edge_samples(batch.sample_rate_hz), int(batch.first[row])
        here = pcm_of(batch.encoded[row, max(start, first - most) : first], codec)
        position = int(batch.positions[row]) + start
        earlier = self._history.samples(before, position, most - len(here))
        behind = [batch.encoded[row, last : min(limit, last + most)]]
        if limit == batch.last[row]:
            behind.append(beyond.encoded[: most - len(behind[0])])
        after = np.concatenate([pcm_of(piece, codec) for piece in behind if len(piece)] or [here[:0]])
        return np.concatenate([earlier, here]) if len(earlier) else here, after

    def _make(self, batch: PcmBatch, key: Int64, holes: list[_Hole]) -> None:
        edge, most = edge_samples(batch.sample_rate_hz), batch.sample_rate_hz * MOST_MS // 1000
        before, after = np.zeros((2, len(holes), edge), np.int16)
        for i, hole in enumerate(holes):
            before[i, edge - len(hole.before) :] = hole.before
            after[i, : len(hole.after)] = hole.after
        known = np.array([(len(hole.before), len(hole.after), hole.length) for hole in holes])
        made = conceal(before, known[:, 0], known[:, 2], after, known[:, 1], batch.sample_rate_hz)
        for hole, pcm in zip(holes, made, strict=True):
            track, count = int(key[hole.row]), hole.last - hole.first
            _write(batch, hole.row, hole.first, pcm[:count])
            if hole.length > count:
                position = int(batch.positions[hole.row]) + hole.last
                self._rest[track] = _Rest(position, pcm[count : hole.length].copy())
            done = self._made.setdefault(track, Concealed())
            done.holes += 1
            done.samples += min(hole.length, 2 * most)


def _keys(call: CallInfo) -> Int64:
    return np.arange(call.index * CHANNELS, (call.index + 1) * CHANNELS)


def _write(batch: PcmBatch, row: int, first: int, pcm: Int16) -> None:
    codec = int(batch.codec[row])
    samples: Samples = pcm if codec == LINEAR else encode(pcm, Codec(codec))
    batch.encoded[row, first : first + len(pcm)] = samples
