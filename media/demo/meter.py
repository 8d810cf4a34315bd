"""`Meter`: a column sink that keeps the last loudnesses of every track, and how each call ended."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from media.blocks import PcmBatch
from media.sinks.contract import CallInfo, CallReport, SinkOptions
from strep.header import Direction

TrackKey = tuple[str, str]
"""call_id and "inbound" or "outbound"."""

HISTORY = 24
"""Blocks that the miniature waveform shows."""
_QUIETEST_DB, _LOUDEST_DB = -50.0, -8.0
FULL_SCALE = 32_768
BLOCK_SAMPLES = 800
"""What a loudness is measured of: 100 ms."""


class Meter:
    """What the live table shows besides the engine's counters.

    It is read from another thread than it is fed by, so what is in the dictionaries is replaced, never changed.

    Attributes:
        levels: per track, the last loudnesses, 0 (silent) to 1.
        final: per track of a call that has ended, its statistics.
    """

    def __init__(self) -> None:
        self.options = SinkOptions("meter", block_ms=100)
        self.levels: dict[TrackKey, tuple[float, ...]] = {}
        self.final: dict[TrackKey, dict[str, Any]] = {}
        self._names: dict[int, str] = {}

    def call_started(self, call: CallInfo) -> None:
        """Remember the call's name."""
        self._names[call.index] = call.call_id

    def receive(self, batch: PcmBatch) -> None:
        """Measure the blocks."""
        if batch.late or not len(batch):
            return
        measured = loudness(batch)
        for call, channel, level in zip(batch.call.tolist(), batch.channel.tolist(), measured.tolist(), strict=True):
            if call in self._names:
                key = self._names[call], Direction(channel).name.lower()
                self.levels[key] = (*self.levels.get(key, ()), level)[-HISTORY:]

    def call_ended(self, call: CallInfo, report: CallReport) -> None:
        """Keep the figures."""
        self._names.pop(call.index, None)
        for track in report.tracks:
            self.final[call.call_id, track.direction.name.lower()] = track.statistics

    def close(self) -> None:
        """Do nothing."""


def loudness(batch: PcmBatch) -> NDArray[np.float64]:
    """Return (n,) float64, the `level` of each row."""
    columns = np.arange(batch.pcm.shape[1])
    is_valid = (columns >= batch.first[:, np.newaxis]) & (columns < batch.last[:, np.newaxis])
    power = np.square(batch.pcm / FULL_SCALE).sum(axis=1, where=is_valid) / np.maximum(is_valid.sum(axis=1), 1)
    return level(power)


def level(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how long a bar stands for a mean square: 0 is -50 dB of full scale and less, 1 is -8 dB and more."""
    decibels = 10 * np.log10(np.maximum(power, 1e-10))
    lengths: NDArray[np.float64] = np.clip((decibels - _QUIETEST_DB) / (_LOUDEST_DB - _QUIETEST_DB), 0, 1)
    return lengths
