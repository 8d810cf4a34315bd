"""The express lane: media frames that are exactly what their tracks expect next, which is nearly all of them.

After a frame that a dialect's parser has read, the next one of its track is known before it comes, but for its audio
(header prediction, Van Jacobson 1990; see `strep.express` for the same of RTP). What sockets have brought since they
were read last (`media.ws.drain`) is taken apart here for all of them together: frames found, unmasked, compared with
the last one of their track, and read in columns. Nothing of a frame that is as expected passes through Python by
itself; what follows from it for its stream's `ChunkSequencer` is made up for by `Seat.settle` when somebody wants to
know.

From the first frame of a connection on that is not as expected, what has come of it goes the normal way, in order.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from media.ws.chunks import Expectation
from media.ws.express.layout import HEAD_BYTES, MAX_TEXT_BYTES, Layout
from media.ws.express.reading import Bytes, Int64, Mask, Reader, fits, unmask, words
from media.ws.express.splitting import CLOSED, Pieces, split
from strep.frames import FrameBatch

logger = logging.getLogger(__name__)

_CHUNK, _TIMESTAMP, _STEP, _NUMBER, _START, _GENERATION, _SLOT, _SAMPLES = range(8)
_COUNT, _LAST, _HIGHEST, _LAYOUT, _SIZE, _HEAD = range(8, 14)
_FIELDS = 14
"""`Expectation`, then slot and length of the chunk in samples; then how many frames have come that `Seat.settle` has
not told of, with the last and the greatest of their sequence numbers; then the layout, the size of the whole frame in
bytes, and its first four bytes as a number, `CLOSED` while nothing is expected."""
_TEXT_OF_TWO_BYTES = bytes((0x81, 0xFE))
"""RFC 6455 section 5.2: a final frame of text, masked, whose length is in the next two bytes."""


class Passenger(Protocol):
    """A connection; none of these raises, whatever goes wrong."""

    def take_bytes(self, data: bytes, now_ns: int) -> None:
        """Take what has come the normal way."""

    def take_control(self, data: bytes) -> None:
        """Take a whole ping or pong that stood between media frames."""


class ExpressLane:
    """Two rows per connection, one per direction; see the module.

    Attributes:
        failures: batches of frames that failed by an exception of ours.
    """

    def __init__(self, deliver: Callable[[FrameBatch], None]) -> None:
        """Start empty; `deliver` takes the frames that were as expected."""
        self.failures = 0
        self._deliver = deliver
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
        self._state[2 * pair : 2 * pair + 2, _HEAD] = CLOSED
        return 2 * pair

    def alight(self, row: int) -> None:
        """Give the rows back."""
        self._forget_layout(row)
        self._forget_layout(row + 1)
        self._state[row : row + 2] = 0
        self._state[row : row + 2, _HEAD] = CLOSED
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
        self._state[row, _LAYOUT:] = number, layout.frame_bytes, CLOSED

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
        state = self._state[row]
        state[:_SAMPLES] = *expected, slot
        text_bytes = int(state[_SIZE]) - HEAD_BYTES
        state[_HEAD] = int.from_bytes(_TEXT_OF_TWO_BYTES + text_bytes.to_bytes(2, "big"), sys.byteorder)

    def close(self, row: int) -> None:
        """Expect nothing for `row` any more."""
        self._state[row, _HEAD] = CLOSED

    def step_units(self, row: int) -> int:
        """Return what the row was opened with."""
        return int(self._state[row, _STEP])

    def count(self, row: int) -> int:
        """Return how many frames have come since `settle`."""
        return int(self._state[row, _COUNT])

    def settle(self, row: int) -> tuple[int, int, int]:
        """Return count, last and greatest sequence number of the frames since the last call."""
        count, last, highest = self._state[row, _COUNT:_LAYOUT].tolist()
        if count:
            self._state[row, _COUNT:_LAYOUT] = 0
        return count, last, highest

    # -- frames ----------------------------------------------------------------------------------------

    def take(
        self,
        data: Bytes,
        rows: Int64,
        starts: Int64,
        stops: Int64,
        now_ns: int,
        span_ns: int,
        rests: dict[int, bytes],
    ) -> None:
        """Take what has come of some connections; a failure costs none of them anything but time.

        Args:
            data: bytes of all of them; `MAX_TEXT_BYTES` behind the last one may be read.
            rows: (n,) of each connection the first.
            starts, stops: (n,) where in `data`.
            now_ns: when.
            span_ns: since when at the latest.
            rests: what is the beginning of a frame is put there, by row, before any connection is told anything.
        """
        try:
            pieces = split(data, rows, starts, stops, self._state[:, _HEAD], self._state[:, _SIZE])
            frames = self._match(data, starts, pieces, now_ns, span_ns)
        except Exception as error:
            self._say_failed(error, "express lane failed; its frames go the normal way")
            frames, pieces = None, Pieces(rows[:0], rows[:0], rows[:0], starts, [], [])
        rests |= {int(rows[i]): bytes(data[begin : stops[i]]) for i, begin in pieces.rests if begin < pieces.odd[i]}
        try:
            if frames is not None:
                self._deliver(frames)
        except Exception as error:
            self._say_failed(error, "the host failed to take frames in columns")
        self._hand_on(data, rows, stops, pieces, now_ns)

    def _say_failed(self, error: Exception, what: str) -> None:
        self.failures += 1
        if self.failures.bit_count() == 1:  # the 1st, 2nd, 4th, 8th ...: not 25 tracebacks a second
            logger.error("%s (%d times)", what, self.failures, exc_info=error)

    def _hand_on(self, data: Bytes, rows: Int64, stops: Int64, pieces: Pieces, now_ns: int) -> None:
        """Let connections have what is not for the columns."""
        for i, begin, end in pieces.controls:
            passenger = self._passengers[int(rows[i]) >> 1]
            if passenger is not None and begin < pieces.odd[i]:
                passenger.take_control(bytes(data[begin:end]))
        for i in np.flatnonzero(pieces.odd < stops).tolist():
            passenger = self._passengers[int(rows[i]) >> 1]
            if passenger is not None:
                passenger.take_bytes(bytes(data[pieces.odd[i] : stops[i]]), now_ns)

    def _match(self, data: Bytes, starts: Int64, pieces: Pieces, now_ns: int, span_ns: int) -> FrameBatch | None:
        """Return the frames that were expected, with their rows moved on; note where connections are odd."""
        rows = pieces.rows
        if not len(rows):
            return None
        sizes = self._state[rows, _SIZE]
        numbers = np.zeros((len(rows), 3), np.int64)
        valid = np.ones(len(rows), np.bool_)
        samples = np.maximum(self._state[rows, _SAMPLES], self._state[rows ^ 1, _SAMPLES])  # see `_untwine`
        payloads = np.empty((len(rows), int(samples.max()) + 2), np.uint8)
        for size in set(sizes.tolist()):
            same = np.flatnonzero(sizes == size)
            texts = unmask(data, pieces.positions[same], size)
            rows[same] = self._untwine(rows[same], texts)
            self._read(rows[same], texts, same, valid, numbers, payloads)
        return self._advance(pieces, starts, numbers, valid, payloads, now_ns, span_ns)

    def _untwine(self, rows: Int64, texts: Bytes) -> Int64:
        """Return the rows of the texts, where both of a connection expect texts of this length."""
        twins = np.flatnonzero(self._state[rows ^ 1, _HEAD] == self._state[rows, _HEAD])
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
            which = np.flatnonzero(layouts == number)
            some = texts[which] if len(which) < len(texts) else texts
            templates = np.ndarray(
                len(self._templates), np.dtype((np.void, 8 * count)), self._templates, 0, self._templates.strides[:1]
            )[rows[which]].view(np.uint64)
            reader, here = self._reader(number), index[which]
            try:
                good = fits(some, reader.mask[:count], templates.reshape(-1, count))
                numbers[here], canonical = reader.numbers(some)
                audio, decodable = reader.payloads(some)
                payloads[here, : audio.shape[1]] = audio
                valid[here] &= good & canonical & decodable
            except Exception as error:
                valid[here] = False
                self._say_failed(error, "reading frames of one layout failed; they go the normal way")

    def _advance(
        self, pieces: Pieces, starts: Int64, numbers: Int64, valid: Mask, payloads: Bytes, now_ns: int, span_ns: int
    ) -> FrameBatch | None:
        rows = pieces.rows
        order = np.argsort(rows, kind="stable")
        firsts, counts = _runs(rows[order])
        rank = np.empty_like(rows)
        rank[order] = np.arange(len(rows)) - firsts.repeat(counts)
        # When each came nobody knows, but that it was within the span; so they are taken to have come evenly.
        arrival_ns = np.empty_like(rows)
        arrival_ns[order] = (span_ns // counts).repeat(counts)
        arrival_ns *= 1 + rank
        arrival_ns += now_ns - span_ns
        state = self._state[rows]
        valid &= numbers[:, 1] == state[:, _CHUNK] + rank
        valid &= numbers[:, 2] == state[:, _TIMESTAMP] + rank * state[:, _STEP]
        if not valid.all():
            is_odd = np.zeros(len(pieces.odd), np.bool_)
            is_odd[pieces.connections[~valid]] = True
            pieces.odd[is_odd] = starts[is_odd]
            valid = ~is_odd[pieces.connections]
            order = order[valid[order]]
        if not len(order):
            return None
        self._move(rows[order], numbers[order, 0])
        index = np.flatnonzero(valid)
        state, rank = state[index], rank[index]
        samples = state[:, _SAMPLES]
        return FrameBatch(
            slot=state[:, _SLOT].copy(),
            sequence_number=state[:, _NUMBER] + rank & 0xFFFF,
            timestamp=state[:, _START] + rank * samples & 0xFFFF_FFFF,
            ssrc=state[:, _GENERATION].copy(),
            arrival_ns=arrival_ns[index],
            is_audio=np.ones(len(index), np.bool_),
            table=payloads,
            row=index,
            offset=np.zeros(len(index), np.int64),
            length=samples.copy(),
        )

    def _move(self, rows: Int64, sequence_numbers: Int64) -> None:
        """Move sorted `rows` on by the frames that came for each."""
        firsts, count = _runs(rows)
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


def _runs(rows: Int64) -> tuple[NDArray[np.intp], Int64]:
    """Return where each distinct row begins in sorted `rows`, and how often it is there."""
    edges = np.flatnonzero(rows[1:] != rows[:-1])
    bounds = np.empty(len(edges) + 2, np.int64)
    bounds[0], bounds[-1] = 0, len(rows)
    bounds[1:-1] = edges + 1
    return bounds[:-1], bounds[1:] - bounds[:-1]
