"""The express lane: media frames that are exactly what their tracks expect next, which is nearly all of them.

After a frame that a dialect's parser has read, the next one of its track is known before it comes, but for its audio
(header prediction, Van Jacobson 1990; see `strep.express` for the same of RTP). So frames of an expected length wait
until the beat as they came from the socket. Then those of all connections are unmasked, compared with the last one
of their track, and read in columns. Nothing of a frame that is as expected passes through Python by itself; what
follows from it for its stream's `ChunkSequencer` is made up for by `Seat.settle` when somebody wants to know.

If one frame of a connection is not as expected, all that wait of this connection go the normal way, in order.
"""

from __future__ import annotations

import logging
from array import array
from collections.abc import Callable
from operator import itemgetter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from media.ws.chunks import Expectation
from media.ws.express.layout import MAX_TEXT_BYTES, Layout
from media.ws.express.reading import Bytes, Int64, Mask, Reader, fits, unmask, words
from strep.frames import FrameBatch

logger = logging.getLogger(__name__)

_ROWS_AT_ONCE = 512
"""So many frames of 20 ms, as texts and templates, stay in a processor's cache."""
_NOBODY = 0
"""The row of frames that have been taken back; it and the next are nobody's."""
_CHUNK, _TIMESTAMP, _STEP, _NUMBER, _START, _GENERATION, _SLOT, _SAMPLES, _IS_OPEN = range(9)
_COUNT, _LAST, _HIGHEST, _LAYOUT, _LENGTH = range(9, 14)
_FIELDS = 14
"""`Expectation`, then slot and length of the chunk in samples and whether the row is open; then how many frames have
come that `Seat.settle` has not told of, with the last and the greatest of their sequence numbers; then the layout and
the length of the whole frame in bytes."""


class Passenger(Protocol):
    """A connection."""

    def take_frame(self, data: bytes, now_ns: int) -> None:
        """Take a whole frame, which came at `now_ns`, the normal way."""


class ExpressLane:
    """Two rows per connection, one per direction, and the frames that wait; see the module."""

    def __init__(self, wake: Callable[[], None], deliver: Callable[[FrameBatch], None]) -> None:
        """Start empty; `wake` is called when frames begin to wait, `deliver` takes those that were as expected."""
        self._wake, self._deliver = wake, deliver
        self._rows, self._arrivals = array("q"), array("q")
        self._data: list[bytes] = []
        self._passengers: list[Passenger | None] = [None]
        self._free: list[int] = []
        self._readers: list[Reader | None] = [None]
        self._layouts: dict[Layout, int] = {}
        self._uses = [0]  # rows per layout; number 0 is of rows without one
        self._state = np.zeros((2, _FIELDS), np.int64)
        self._templates = np.zeros((2, words(MAX_TEXT_BYTES)), np.uint64)

    # -- rows ------------------------------------------------------------------------------------------

    def board(self, passenger: Passenger) -> int:
        """Return the first of two rows for `passenger`, closed."""
        pair = self._free.pop() if self._free else len(self._passengers)
        if pair == len(self._passengers):
            self._passengers.append(None)
            if 2 * pair >= len(self._state):
                self._state = np.concatenate([self._state, np.zeros_like(self._state)])
                self._templates = np.concatenate([self._templates, np.zeros_like(self._templates)])
        self._passengers[pair] = passenger
        return 2 * pair

    def alight(self, row: int) -> None:
        """Give the rows back; nothing of theirs may wait."""
        self._forget_layout(row)
        self._forget_layout(row + 1)
        self._state[row : row + 2] = 0
        self._passengers[row // 2] = None
        self._free.append(row // 2)

    def learn(self, row: int, text: bytes, layout: Layout) -> None:
        """Let texts of `row` be like `text`."""
        self._forget_layout(row)
        number = self._layouts.get(layout) or self._add_layout(layout)
        self._uses[number] += 1
        template = self._templates[row]
        template.view(np.uint8)[: len(text)] = np.frombuffer(text, np.uint8)
        template &= self._reader(number).mask
        self._state[row, _SAMPLES] = layout.samples
        self._state[row, _LAYOUT:] = number, layout.frame_bytes

    def _reader(self, number: int) -> Reader:
        reader = self._readers[number]
        assert reader is not None
        return reader

    def _add_layout(self, layout: Layout) -> int:
        unused = (number for number, reader in enumerate(self._readers) if number and reader is None)
        number = next(unused, len(self._readers))
        if number == len(self._readers):
            self._readers.append(None)
            self._uses.append(0)
        self._layouts[layout], self._readers[number] = number, Reader(layout)
        return number

    def _forget_layout(self, row: int) -> None:
        number = int(self._state[row, _LAYOUT])
        self._uses[number] -= 1
        if number and not self._uses[number]:
            del self._layouts[self._reader(number).layout]
            self._readers[number] = None

    def open(self, row: int, slot: int, expected: Expectation) -> None:
        """Expect frames for `row`."""
        self._state[row, :_SAMPLES] = *expected, slot
        self._state[row, _IS_OPEN] = True

    def close(self, row: int) -> None:
        """Expect nothing for `row` any more."""
        self._state[row, _IS_OPEN] = False

    def step_units(self, row: int) -> int:
        """Return what the row was opened with."""
        return int(self._state[row, _STEP])

    def settle(self, row: int) -> tuple[int, int, int]:
        """Return count, last and greatest sequence number of the frames since the last call."""
        count, last, highest = self._state[row, _COUNT:_LAYOUT].tolist()
        if count:
            self._state[row, _COUNT:_LAYOUT] = 0
        return count, last, highest

    # -- frames ----------------------------------------------------------------------------------------

    def wait(self, row: int, data: bytes, now_ns: int) -> None:
        """Keep bytes that are as long as a frame of an open `row`."""
        if not self._data:
            self._wake()
        self._rows.append(row)
        self._data.append(data)
        self._arrivals.append(now_ns)

    def take_back(self, row: int) -> list[tuple[bytes, int]]:
        """Return what waits of the two rows from `row` on, with its times, and forget it."""
        if not self._data:
            return []
        found = np.flatnonzero(np.frombuffer(self._rows, np.int64) >> 1 == row >> 1).tolist()
        taken = [(self._data[i], self._arrivals[i]) for i in found]
        for i in found:
            self._rows[i] = _NOBODY
        return taken

    def deliver(self) -> int:
        """Hand on all that waits; return how many frames."""
        if not self._data:
            return 0
        rows, arrivals, data = np.array(self._rows), np.array(self._arrivals), self._data.copy()
        del self._rows[:], self._arrivals[:]
        self._data.clear()
        try:
            frames, taken = self._match(rows, data, arrivals)
        except Exception:
            logger.exception("express lane failed; its frames go the normal way")
            frames, taken = None, np.zeros(len(rows), np.bool_)
        try:
            if frames is not None:
                self._deliver(frames)
        finally:
            if not taken.all():
                self._hand_back(rows, data, arrivals, taken)
        return len(data)

    def _hand_back(self, rows: Int64, data: list[bytes], arrivals: Int64, taken: Mask) -> None:
        for i in np.flatnonzero(~taken & (rows >> 1 != _NOBODY)).tolist():
            passenger = self._passengers[int(rows[i]) >> 1]
            if passenger is not None:
                passenger.take_frame(data[i], int(arrivals[i]))

    def _match(self, rows: Int64, data: list[bytes], arrivals: Int64) -> tuple[FrameBatch | None, Mask]:
        """Return the frames that were expected, with their rows moved on, and which these were."""
        lengths = self._state[rows, _LENGTH]
        numbers = np.zeros((len(rows), 3), np.int64)
        valid = np.zeros(len(rows), np.bool_)
        payloads = np.empty((len(rows), int(self._state[rows, _SAMPLES].max()) + 2), np.uint8)
        rows = rows.copy()
        for length in set(lengths.tolist()):
            same = np.flatnonzero(lengths == length)
            for first in range(0, len(same) if length else 0, _ROWS_AT_ONCE):
                part = same[first : first + _ROWS_AT_ONCE]
                joined = b"".join(itemgetter(*part.tolist())(data) if len(part) > 1 else [data[part[0]]])
                texts, valid[part] = unmask(joined, length)
                rows[part] = self._untwine(rows[part], texts)
                self._read(rows[part], texts, part, valid, numbers, payloads)
        return self._advance(rows, numbers, valid, payloads, arrivals)

    def _untwine(self, rows: Int64, texts: Bytes) -> Int64:
        """Return the rows of the texts, where both of a connection expect texts of this length."""
        twins = np.flatnonzero(self._state[rows ^ 1, _LENGTH] == self._state[rows, _LENGTH])
        if len(twins):
            count, mine = texts.shape[1] // 8, rows[twins]
            masks = np.stack([self._reader(number).mask[:count] for number in self._state[mine, _LAYOUT].tolist()])
            mine ^= ~fits(texts[twins], masks, self._templates[mine, :count])
            rows = rows.copy()
            rows[twins] = mine
        return rows

    def _read(
        self, rows: Int64, texts: Bytes, index: NDArray[np.intp], valid: Mask, numbers: Int64, payloads: Bytes
    ) -> None:
        """Fill the rows `index` of the last three."""
        layouts, count = self._state[rows, _LAYOUT], texts.shape[1] // 8
        for number in set(layouts.tolist()):
            reader = self._reader(number)
            which = np.flatnonzero(layouts == number)
            some = texts[which] if len(which) < len(texts) else texts
            templates = np.ndarray(
                len(self._templates), np.dtype((np.void, 8 * count)), self._templates, 0, self._templates.strides[:1]
            )[rows[which]].view(np.uint64)
            good = fits(some, reader.mask[:count], templates.reshape(-1, count))
            here = index[which]
            numbers[here], canonical = reader.numbers(some)
            audio, decodable = reader.payloads(some)
            payloads[here, : audio.shape[1]] = audio
            good &= canonical
            good &= decodable
            valid[here] &= good

    def _advance(
        self, rows: Int64, numbers: Int64, valid: Mask, payloads: Bytes, arrivals: Int64
    ) -> tuple[FrameBatch | None, Mask]:
        order = np.argsort(rows, kind="stable")
        firsts = _firsts(rows[order])
        rank = np.empty_like(rows)
        rank[order] = np.arange(len(rows)) - np.repeat(firsts, np.diff(firsts, append=len(rows)))
        state = self._state[rows]
        valid &= state[:, _IS_OPEN] > 0
        valid &= numbers[:, 1] == state[:, _CHUNK] + rank
        valid &= numbers[:, 2] == state[:, _TIMESTAMP] + rank * state[:, _STEP]
        taken = valid
        if not valid.all():
            is_bad = np.zeros(len(self._passengers), np.bool_)
            is_bad[rows[~valid] >> 1] = True
            taken = ~is_bad[rows >> 1]
            order = order[taken[order]]
        if not len(order):
            return None, taken
        self._move(rows[order], numbers[order, 0])
        index = np.flatnonzero(taken)
        state, rank = state[index], rank[index]
        samples = state[:, _SAMPLES]
        frames = FrameBatch(
            slot=state[:, _SLOT].copy(),
            sequence_number=state[:, _NUMBER] + rank & 0xFFFF,
            timestamp=state[:, _START] + rank * samples & 0xFFFF_FFFF,
            ssrc=state[:, _GENERATION].copy(),
            arrival_ns=arrivals[index],
            is_audio=np.ones(len(index), np.bool_),
            table=payloads,
            row=index,
            offset=np.zeros(len(index), np.int64),
            length=samples.copy(),
        )
        return frames, taken

    def _move(self, rows: Int64, sequence_numbers: Int64) -> None:
        """Move sorted `rows` on by the frames that came for each."""
        firsts = _firsts(rows)
        count = np.diff(firsts, append=len(rows))
        which = rows[firsts]
        state = self._state[which]
        state[:, _CHUNK] += count
        state[:, _TIMESTAMP] += count * state[:, _STEP]
        state[:, _NUMBER] += count
        state[:, _START] += count * state[:, _SAMPLES]
        state[:, _COUNT] += count
        state[:, _LAST] = sequence_numbers[firsts + count - 1]
        highest = np.maximum.reduceat(sequence_numbers, firsts)
        state[:, _HIGHEST] = np.maximum(state[:, _HIGHEST], highest)
        self._state[which] = state


def _firsts(rows: Int64) -> NDArray[np.intp]:
    """Return where each distinct row begins in sorted `rows`."""
    return np.flatnonzero(np.concatenate(([True], rows[1:] != rows[:-1])))
