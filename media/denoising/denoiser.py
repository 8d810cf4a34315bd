"""`Denoiser`: the blocks of calls through noise suppression, those tracks for which it is on. Sans-I/O.

A sample that comes out lies where it lay before; it comes a hop later (20 ms). A track that is switched on goes on
where it is, unfiltered until its noise is known; one that is switched off fades over into the audio as it is and
costs nothing any more. Where audio does not follow on what came before, the track begins anew, behind all that was
held of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from media.blocks import PcmBatch
from media.denoising.bank import LEAST_RATE_HZ, Bank
from media.denoising.spans import LostSpans
from media.denoising.switches import Switches
from media.events.filters import NoiseSuppression
from media.hearing.columns import Columns
from media.hearing.rows import CHANNELS
from media.sinks.contract import CallInfo
from strep.clock import NS_PER_MS
from strep.g711 import LINEAR
from strep.header import Direction

Int64 = NDArray[np.int64]

HELD_NS = 200 * NS_PER_MS
"""What is held of a track is handed on when nothing came for so long, with the next batch or tick."""
_LOOK_EVERY_NS = 100 * NS_PER_MS
_NEVER_NS = np.iinfo(np.int64).max
_TRACK = np.dtype(
    [
        ("slot", "i4"),  # in the bank of its rate, -1 while it is not filtered
        ("end", "i8"),  # where its next block is due
        ("told", "i8"),  # up to where it was handed on
        ("heard_ns", "i8"),  # when the last block came of which something is held
    ]
)

Tell = Callable[[CallInfo, Direction, bool, int], object]
"""A track of a call is filtered, or not any more, from a position on."""
Publish = Callable[[CallInfo, NoiseSuppression], object]


class _Patch(NamedTuple):
    """Samples that came too late for what is held of a track."""

    key: int
    position: int
    pcm: NDArray[np.int16]


class Denoiser:
    """Filters the calls of one sink, in its thread; only `switch` may be called from another."""

    def __init__(self, on: Collection[Direction] = (), tell: Tell = lambda *_: None) -> None:
        """Filter the directions `on` of every call from its start on; `tell` is called when that has changed."""
        self._switches = Switches(on)
        self._tell = tell
        self._calls: dict[int, CallInfo] = {}
        self._banks: dict[int, Bank] = {}  # by rate
        self._tracks = Columns(np.array([(-1, 0, 0, _NEVER_NS)], _TRACK))
        self._lost = LostSpans()
        self._late: list[_Patch] = []
        self._now_ns = self._next_look_ns = 0

    @property
    def filtered(self) -> int:
        """Tracks that are filtered now."""
        return sum(bank.used for bank in list(self._banks.values()))

    def switch(self, call: CallInfo, direction: Direction, *, on: bool) -> None:
        """Begin or cease to filter a track of a call that has not ended, with its next block; from any thread."""
        self._switches.set(call, direction, on=on)

    def begin(self, call: CallInfo) -> None:
        """A call begins."""
        self._calls[call.index] = call
        self._switches.begin(call)
        self._tracks.reach(call.index * CHANNELS + CHANNELS - 1)

    def receive(self, batch: PcmBatch) -> Iterator[PcmBatch]:
        """Yield what is ready, behind `batch`: as it came what is not filtered, the rest as PCM; a tick as it is.

        Patches of what has been handed on are yielded as they came. Those of what is held are put in place when
        it is handed on, so that a live sink gets them too, and never what a pause takes back (`media.pauses`).
        """
        self._switches.catch_up()
        self._now_ns = batch.now_ns
        if batch.late:
            yield from self._patches(batch)
            return
        yield from self._flush_silent(batch.now_ns)
        if not len(batch) or batch.sample_rate_hz < LEAST_RATE_HZ:
            yield batch
            return
        key = batch.call.astype(np.int64) * CHANNELS + batch.channel
        table, on = self._tracks.table, self._switches.on[key]
        if (leaving := ~on & (table["slot"][key] >= 0)).any():
            yield from self._leave(np.unique(key[leaving]), batch)
        if on.any():
            if not on.all():
                yield batch.take(~on)
                batch, key = batch.take(on), key[on]
            self._lost.add(batch, key)
            yield from self._filter(batch, key)
        else:
            yield batch

    def end(self, call: CallInfo) -> Iterator[PcmBatch]:
        """Yield the rest of a call that has ended."""
        key = np.arange(call.index * CHANNELS, (call.index + 1) * CHANNELS)
        inside = key[self._tracks.table["slot"][key] >= 0]
        yield from self._flush(inside, call.sample_rate_hz, self._now_ns)
        self._release(inside, call.sample_rate_hz)
        self._late = [patch for patch in self._late if patch.key not in key]
        self._tracks.reset(key)
        self._lost.forget(*key.tolist())
        self._switches.end(call)
        self._calls.pop(call.index, None)

    # -- blocks ----------------------------------------------------------------------------------------

    def _filter(self, batch: PcmBatch, key: Int64) -> Iterator[PcmBatch]:
        row = np.flatnonzero(batch.first < batch.last)
        while len(row):
            _, earliest = np.unique(key[row], return_index=True)
            if len(earliest) == len(row):
                earliest = np.arange(len(row))
            yield from self._filter_rows(batch, row[earliest], key[row[earliest]])
            row = np.delete(row, earliest)

    def _filter_rows(self, batch: PcmBatch, row: Int64, key: Int64) -> Iterator[PcmBatch]:
        """Filter one block of each of some tracks."""
        table, bank = self._tracks.table, self._bank(batch.sample_rate_hz)
        position = batch.positions[row]
        begin, end = position + batch.first[row], position + batch.last[row]
        new = table["slot"][key] < 0
        fresh = new | (table["end"][key] != begin)
        if fresh.any():
            broken = key[fresh & ~new]
            yield from self._flush(broken, batch.sample_rate_hz, batch.now_ns)
            bank.reset(table["slot"][broken])
            for track, place in zip(key[new].tolist(), begin[new].tolist(), strict=True):
                table["slot"][track] = bank.claim()
                self._say(track, place, on=True)
            table["told"][key[fresh]] = begin[fresh]
        start = np.where(fresh, 0, batch.first[row])  # whole hops lie as the block does
        slot = table["slot"][key].astype(np.int64)
        table["end"][key], table["heard_ns"][key] = end, batch.now_ns
        rest = bank.rest_samples(slot)
        for some in _alike(rest, start, batch.last[row]):
            n = some[0]
            first, last, held = int(start[n]), int(batch.last[row[n]]), bank.hop_samples + int(rest[n])
            audio = _rows(batch.pcm, row[some])[:, first:last]
            silent = np.flatnonzero(fresh[some] & (batch.first[row[some]] > 0))
            if len(silent):
                audio = audio.copy()
                audio[silent] *= np.arange(first, last) >= batch.first[row[some[silent]], None]
            made = bank.receive(slot[some], audio)
            yield from self._hand_on(batch, key[some], position[some] + first - held, made)

    def _hand_on(self, batch: PcmBatch, key: Int64, position: Int64, made: NDArray[np.float32]) -> Iterator[PcmBatch]:
        """Yield filtered audio from `position` on, without what was handed on before."""
        told, width = self._tracks.table["told"], made.shape[1]
        first = (told[key] - position).clip(min=0)
        kept = np.flatnonzero(first < width)
        if not len(kept):
            return
        if len(kept) < len(key):
            key, position, first, made = key[kept], position[kept], first[kept], made[kept]
        last = np.full(len(key), width, np.int32)
        told[key] = position + width
        encoded = np.rint(made).clip(-32768, 32767).astype(np.int16)
        if self._late:
            self._patch(key, position, encoded)
        yield PcmBatch(
            call=(key // CHANNELS).astype(np.int32),
            channel=(key % CHANNELS).astype(np.uint8),
            positions=position,
            first=first.astype(np.int32),
            last=last,
            codec=np.full(len(key), LINEAR, np.uint8),
            encoded=encoded,
            sample_rate_hz=batch.sample_rate_hz,
            now_ns=batch.now_ns,
            lost=self._lost.take(key, position, first, last.astype(np.int64)),
        )

    # -- what is held ----------------------------------------------------------------------------------

    def _flush(self, key: Int64, rate_hz: int, now_ns: int, *, dry: bool = False) -> Iterator[PcmBatch]:
        """Yield what is held of tracks of one rate, as blocks that are whole hops long."""
        if not len(key):
            return
        table, bank = self._tracks.table, self._banks[rate_hz]
        slot = table["slot"][key].astype(np.int64)
        rest = bank.rest_samples(slot)
        about = replace(PcmBatch.tick(now_ns), sample_rate_hz=rate_hz)
        for some in _alike(rest):
            made = bank.flush(slot[some], dry=dry)
            for rows in self._hand_on(about, key[some], table["end"][key[some]] - made.shape[1], made):
                surplus = -made.shape[1] % bank.hop_samples
                yield replace(rows, encoded=np.pad(rows.encoded, ((0, 0), (0, surplus)))) if surplus else rows
        table["heard_ns"][key] = _NEVER_NS

    def _flush_silent(self, now_ns: int) -> Iterator[PcmBatch]:
        """Yield what is held of tracks that have gone quiet: nobody knows when they go on."""
        if now_ns < self._next_look_ns:
            return
        self._next_look_ns = now_ns + _LOOK_EVERY_NS
        silent = np.flatnonzero(self._tracks.table["heard_ns"] < now_ns - HELD_NS)
        for rate_hz in self._banks if len(silent) else ():
            is_of_rate = [self._calls[key // CHANNELS].sample_rate_hz == rate_hz for key in silent.tolist()]
            yield from self._flush(silent[is_of_rate], rate_hz, now_ns)

    def _leave(self, key: Int64, batch: PcmBatch) -> Iterator[PcmBatch]:
        yield from self._flush(key, batch.sample_rate_hz, batch.now_ns, dry=True)
        for track, end in zip(key.tolist(), self._tracks.table["end"][key].tolist(), strict=True):
            self._say(track, end, on=False)
        self._release(key, batch.sample_rate_hz)

    def _release(self, key: Int64, rate_hz: int) -> None:
        slots = self._tracks.table["slot"]
        for track in key.tolist():
            self._banks[rate_hz].release(int(slots[track]))
            slots[track] = -1

    def _patches(self, batch: PcmBatch) -> Iterator[PcmBatch]:
        """Yield patches of what has been handed on; keep those of what is held."""
        key = batch.call.astype(np.int64) * CHANNELS + batch.channel
        track = self._tracks.table[key]
        there = np.where(track["slot"] >= 0, track["told"], np.iinfo(np.int64).max) - batch.positions
        for row in np.flatnonzero(batch.last > there).tolist():
            first, last = max(int(batch.first[row]), int(there[row])), int(batch.last[row])
            begin = int(batch.positions[row]) + first
            self._late.append(_Patch(int(key[row]), begin, batch.pcm[row, first:last].copy()))
        last_there = np.minimum(batch.last, there)
        kept = batch.first < last_there
        if kept.any():
            yield replace(batch.take(kept), last=last_there[kept].astype(np.int32))

    def _patch(self, key: Int64, position: Int64, encoded: NDArray[np.int16]) -> None:
        """Put patches into audio that is about to be handed on, from `position` on."""
        waiting, self._late = self._late, []
        for patch in waiting:
            for row in np.flatnonzero(key == patch.key).tolist():
                start, end = patch.position, patch.position + len(patch.pcm)
                place, until = int(position[row]), int(position[row]) + encoded.shape[1]
                first, last = max(start, place), max(min(end, until), start)
                if first < last:
                    encoded[row, first - place : last - place] = patch.pcm[first - start : last - start]
                patch = patch._replace(position=last, pcm=patch.pcm[last - start :])
            if len(patch.pcm):
                self._late.append(patch)

    def _bank(self, rate_hz: int) -> Bank:
        if rate_hz not in self._banks:
            self._banks[rate_hz] = Bank(rate_hz)
        return self._banks[rate_hz]

    def _say(self, key: int, position: int, *, on: bool) -> None:
        self._tell(self._calls[key // CHANNELS], Direction(key % CHANNELS), on, position)


def telling(publish: Publish, sink: str) -> Tell:
    """Return what publishes the events of the filter in front of the sink of that name."""

    def tell(call: CallInfo, direction: Direction, on: bool, position_samples: int) -> None:
        track, state = direction.name.lower(), "started" if on else "stopped"
        publish(call, NoiseSuppression(track=track, position_samples=position_samples, state=state, sink=sink))

    return tell


def _alike(*columns: NDArray[np.integer]) -> Iterator[Int64]:
    """Yield the rows that are equal in all columns; nearly always that is all of them at once."""
    if all((column == column[0]).all() for column in columns):
        yield np.arange(len(columns[0]))
        return
    _, group = np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)
    for number in range(int(group.max()) + 1):
        yield np.flatnonzero(group == number)


def _rows(pcm: NDArray[np.int16], row: Int64) -> NDArray[np.int16]:
    """Return rows, without a copy where they are all."""
    return pcm if len(row) == len(pcm) and bool((row == np.arange(len(row))).all()) else pcm[row]
