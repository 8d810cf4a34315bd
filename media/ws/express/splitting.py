"""Where the frames are in what sockets have brought, of all sockets together: round by round, a frame each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from media.ws.express.reading import Bytes, Int64, heads

CLOSED = -1
"""The head of a frame while none is expected."""
_FINAL_PING, _FINAL_PONG, _MASKED = 0x89, 0x8A, 0x80
_LONGEST_CONTROL = 125
_CONTROL_HEAD_BYTES = 6
_HEAD_BYTES = 4


@dataclass
class Pieces:
    """What was found.

    Attributes:
        rows: (n,) int64, of each frame the first row of its connection that expects frames with this head.
        positions: (n,) int64, where the frame begins.
        connections: (n,) int64, index of its connection.
        odd: (connections,) int64, where something else begins, or other frames; the end of all bytes if nothing does.
        controls: connection, first byte and end of pings and pongs.
        rests: connection and first byte of a frame that is not whole yet.
    """

    rows: Int64
    positions: Int64
    connections: Int64
    odd: Int64
    controls: list[tuple[int, int, int]]
    rests: list[tuple[int, int]]


def split(data: Bytes, rows: Int64, starts: Int64, stops: Int64, head: Int64, size: Int64) -> Pieces:
    """Find the frames of connections that expect, in `rows` and the rows behind them, frames of `head` and `size`.

    Args:
        data: all bytes.
        rows: (n,) int64, of each connection.
        starts, stops: (n,) int64, where its bytes are.
        head: (all rows,) int64, four bytes as a number, see `media.ws.express.reading.heads`; or `CLOSED`.
        size: (all rows,) int64, of a whole frame in bytes.
    """
    position, found = starts.copy(), list[tuple[Int64, Int64, Int64]]()
    is_closed = (head[rows] == CLOSED) & (head[rows + 1] == CLOSED)
    pieces = Pieces(rows[:0], rows[:0], rows[:0], np.where(is_closed, starts, stops), [], [])
    alive = np.flatnonzero(~is_closed)
    while len(alive):
        at = position[alive]
        first = heads(data, at)
        row = rows[alive]
        row += head[row] != first
        stop = at + size[row]
        is_whole = (head[row] == first) & (stop <= stops[alive])
        found.append((row[is_whole], at[is_whole], alive[is_whole]))
        others = alive[~is_whole].tolist()
        position[alive[is_whole]] = stop[is_whole]
        goes_on = is_whole
        for i, is_expected in zip(others, (head[row] == first)[~is_whole].tolist(), strict=True):
            goes_on[np.searchsorted(alive, i)] = _look(data, i, position, int(stops[i]), is_expected, pieces)
        alive = alive[goes_on]
        alive = alive[position[alive] < stops[alive]]
    if found:
        pieces.rows, pieces.positions, pieces.connections = (np.concatenate(c) for c in zip(*found, strict=True))
    return pieces


def _look(data: Bytes, i: int, position: Int64, stop: int, is_expected: bool, pieces: Pieces) -> bool:
    """See what connection `i` has instead of a whole expected frame; return whether one may be behind it.

    Pings and pongs in a row are taken at once, for a round costs all connections as much as many of them.
    """
    begin = int(position[i])
    while not is_expected and stop - begin >= _HEAD_BYTES:
        length = int(data[begin + 1]) ^ _MASKED
        if data[begin] not in (_FINAL_PING, _FINAL_PONG) or length > _LONGEST_CONTROL:
            if begin > position[i]:
                position[i] = begin
                return True
            pieces.odd[i] = begin
            return False
        end = begin + _CONTROL_HEAD_BYTES + length
        if end > stop:
            break
        pieces.controls.append((i, begin, end))
        begin = end
    if begin < stop:
        pieces.rests.append((i, begin))
    return False
