"""Letting audio go: resolved tape leaves in whole blocks, or in part where a track is interrupted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from strep.frames import Samples
from strep.table import Beyond, TrackBlocks, TrackTable

Int64 = NDArray[np.int64]


def release_blocks(table: TrackTable, slot: Int64 | None = None) -> None:
    """Hand out every block that is resolved to its end, of all tracks or of the distinct `slot`s."""
    tracks, size = table.tracks, table.settings.block_samples
    chosen: Int64 | slice = slice(tracks.count) if slot is None else slot
    ready = tracks.resolved_end[chosen] // size - tracks.released[chosen] // size
    due = np.flatnonzero(ready > 0)
    ready, due = ready[due], due if slot is None else slot[due]
    kept = ~tracks.starting[due]
    ready, due = ready[kept], due[kept]
    while len(due):
        _take(table, due, np.full(len(due), size))
        ready -= 1
        ready, due = ready[ready > 0], due[ready > 0]


def flush(table: TrackTable, slot: Int64) -> None:
    """Hand out all that is resolved of the distinct `slot`s, their last blocks in part."""
    tracks, size = table.tracks, table.settings.block_samples
    while True:
        due = slot[tracks.released[slot] < tracks.resolved_end[slot]]
        if not len(due):
            return
        block_start = tracks.released[due] // size * size
        _take(table, due, np.minimum(tracks.resolved_end[due] - block_start, size))


def _take(table: TrackTable, slot: Int64, last: Int64) -> None:
    tracks, size = table.tracks, table.settings.block_samples
    released = tracks.released[slot]
    block = released // size
    position = block * size
    encoded = table.tape.take_blocks(slot, block)
    blocks = TrackBlocks(slot, position, released - position, last, encoded)
    if table.lost:
        blocks.lost, blocks.beyond = _take_lost(table, slot, position, position + last)
    table.blocks.append(blocks)
    tracks.released[slot] = position + last


def _take_lost(table: TrackTable, slot: Int64, position: Int64, end: Int64) -> tuple[Int64, dict[int, Beyond]]:
    """Return `TrackBlocks.lost` and `TrackBlocks.beyond` of what was lost from `position` to `end`, and forget it."""
    taken: list[tuple[int, int, int]] = []
    beyond: dict[int, Beyond] = {}
    most = table.settings.sample_rate_hz * table.settings.beyond_ms // 1000
    for row in np.flatnonzero(np.isin(slot, list(table.lost))).tolist():
        s, block_start, block_end = int(slot[row]), int(position[row]), int(end[row])
        spans = table.lost.pop(s)
        taken += [
            (row, max(a, block_start) - block_start, min(b, block_end) - block_start)
            for a, b in spans
            if a < block_end and b > block_start
        ]
        rest = [(a, b) for a, b in spans if b > block_end]
        if rest:
            table.lost[s] = rest
        if most:
            last_end = max((b for a, b in spans if a < block_end), default=0)
            if last_end + most > block_end:
                beyond[row] = _beyond(table, s, block_end, max(last_end, block_end), most)
    return np.array(taken, np.int64).reshape(-1, 3), beyond


def _beyond(table: TrackTable, slot: int, block_end: int, start: int, most: int) -> Beyond:
    """Return what is known of a tape from `start` on."""
    resolved = int(table.tracks.resolved_end[slot])
    end = min([resolved, start + most, *(a for a, _ in table.lost.get(slot, ()) if a >= start)])
    return Beyond(start - block_end, table.tape.read_one(slot, start, max(end - start, 0)))


def forget_loss(table: TrackTable, slot: int, start: int, end: int) -> None:
    """Take note that what is on the tape from `start` to `end` is no longer lost."""
    spans = table.lost.pop(slot, [])
    left = [piece for a, b in spans for piece in ((a, min(b, start)), (max(a, end), b)) if piece[0] < piece[1]]
    if left:
        table.lost[slot] = left


def skip_to(table: TrackTable, slot: Int64, position: Int64) -> None:
    """Continue the tapes of the distinct `slot`s at `position`, without writing what lies between.

    All that was received must be resolved. The gap is the ledger's business; a sink sees it as a jump in
    positions, so that hours of silence cost nothing.
    """
    flush(table, slot)
    table.tracks.released[slot] = table.tracks.resolved_end[slot] = position


def patch(table: TrackTable, slot: int, position: int, payload: Samples) -> None:
    """Hand out one packet that came after its block was released, and put it into the ledger."""
    size = table.settings.block_samples
    for start in range(0, len(payload), size):
        piece = payload[start : start + size]
        row = np.full((1, size), table.tape.silence[slot], table.tape.dtype)
        row[0, : len(piece)] = piece
        columns = [np.array([value]) for value in (slot, position + start, 0, len(piece))]
        table.patches.append(TrackBlocks(columns[0], columns[1], columns[2], columns[3], row))
