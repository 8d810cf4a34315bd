"""How loud blocks are, in pieces of 50 ms: what a waveform is drawn from. A few column operations for any number."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from media.blocks import PcmBatch

BUCKET_MS = 50
FLAG_LATE = 1
"""A patch: it came when silence had been told in its place."""
SILENT = 255
FULL_SCALE = 32768.0

#        name, dtype, what
FIELDS = (
    ("call", "<u4", "the call's number, see `begun`"),
    ("position_ms", "<u4", "where it begins on the call's timeline"),
    ("track", "u1", "0 inbound, 1 outbound"),
    ("flags", "u1", "1: a patch, of packets that came too late; it replaces what was told of there"),
    ("length_ms", "u1", "how long it is; 50 but at edges"),
    ("lost", "u1", "share of it that was lost, 255 for all"),
    ("peak", "u1", "half decibels below full scale, of the largest sample; 255 is silence"),
    ("rms", "u1", "the same of the mean power"),
    ("reserved", "<u2", "0"),
)
LEVEL = np.dtype([(name, code) for name, code, _ in FIELDS])
"""One record of a message of levels, 16 bytes; ``docs/page.md`` is made of it."""


def levels_of(batch: PcmBatch) -> NDArray[Any]:
    """Return (k,) `LEVEL` of all rows of a batch, in the order of rows; what is no audio of them is left out."""
    n, width = batch.encoded.shape
    if not n or not width:
        return np.empty(0, LEVEL)
    edges = _edges(width, batch.sample_rate_hz)
    columns = np.arange(width)
    valid = (columns >= batch.first[:, None]) & (columns < batch.last[:, None])
    pcm = np.where(valid, batch.pcm, 0).astype(np.float32)
    lost = np.zeros((n, width), np.int64)
    for row, start, end in batch.lost.tolist():
        lost[row, start:end] = 1
    count = np.add.reduceat(valid.astype(np.int64), edges, axis=1)
    told = count > 0
    rows, buckets = np.nonzero(told)
    samples = count[told]
    first = np.maximum(edges[buckets], batch.first[rows])
    found = np.zeros(len(rows), LEVEL)
    found["call"], found["track"] = batch.call[rows], batch.channel[rows]
    to_ms = 1000 / batch.sample_rate_hz
    found["position_ms"] = np.maximum(np.rint((batch.positions[rows] + first) * to_ms), 0)
    found["length_ms"] = np.clip(np.rint(samples * to_ms), 1, 255)
    found["flags"] = FLAG_LATE if batch.late else 0
    found["lost"] = np.add.reduceat(lost * valid, edges, axis=1)[told] * 255 // samples
    found["peak"] = half_db(np.maximum.reduceat(np.abs(pcm), edges, axis=1)[told])
    found["rms"] = half_db(np.sqrt(np.add.reduceat(pcm * pcm, edges, axis=1)[told] / samples))
    return found


def half_db(amplitude: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Return amplitudes, of int16, as half decibels below full scale; `SILENT` where there is nothing."""
    with np.errstate(divide="ignore"):
        told = np.rint(-40 * np.log10(amplitude / FULL_SCALE))
    quiet: NDArray[np.uint8] = np.clip(told, 0, SILENT).astype(np.uint8)
    return quiet


def _edges(width: int, sample_rate_hz: int) -> NDArray[np.int64]:
    """Return where the pieces of a row begin: as even as they can be, none longer than `BUCKET_MS`."""
    pieces = -(-width * 1000 // (sample_rate_hz * BUCKET_MS))
    return np.arange(pieces) * width // pieces
