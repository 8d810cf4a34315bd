"""`AudioMeter`: all that is told of the audio of the calls of one sample rate, from blocks in columns. Sans-I/O."""

from __future__ import annotations

from typing import Any

import numpy as np

from media.blocks import PcmBatch
from media.hearing.rows import CHANNELS, rows_of
from media.quality.echo import Echo, Echoes
from media.quality.levels import Levels
from media.quality.one_way import OneWay, Silent

Finding = Silent | Echo


class AudioMeter:
    """Listens to tracks, which are told apart by call and channel and live until `forget`."""

    def __init__(self, sample_rate_hz: int = 8000) -> None:
        """Listen to batches of one rate, which is a multiple of 200 Hz."""
        self.sample_rate_hz = sample_rate_hz
        self._levels, self._one_way, self._echoes = Levels(sample_rate_hz), OneWay(), Echoes()

    def receive(self, batch: PcmBatch) -> list[Finding]:
        """Take the blocks of a tick; return what begins or ends with them. Late ones are not heard.

        Raises:
            ValueError: blocks that are no whole number of 20 ms.
        """
        found: list[Finding] = []
        if batch.late or not len(batch):
            return found
        last = int(batch.call.max()) * CHANNELS + CHANNELS - 1
        for part in (self._levels, self._one_way, self._echoes):
            part.reach(last)
        for rows in rows_of(batch):
            energy = np.einsum("nkh,nkh->nk", rows.audio, rows.audio)
            self._levels.receive(rows, energy)
            found += self._one_way.receive(rows, self._levels.bins)
            self._echoes.receive(rows, energy)
        return found + self._echoes.look()

    def forget(self, call: int) -> None:
        """Forget a call that is over: its number may be another's next."""
        key = np.arange(call * CHANNELS, (call + 1) * CHANNELS)
        for part in (self._levels, self._one_way, self._echoes):
            part.reach(int(key[-1]))
            part.reset(key)

    def of(self, key: int) -> dict[str, Any] | None:
        """Return what is known of a track, JSON values; None if nothing was heard of it. From any thread."""
        try:
            loudness, (is_one_way, one_way_ms) = self._levels.of(key), self._one_way.of(key)
            echo = self._echoes.of(key)
        except IndexError:  # of its call no block has come
            return None
        if not loudness.heard_ms:
            return None
        return {
            "heard_ms": loudness.heard_ms,
            "level_dbfs": _rounded(loudness.level_dbfs),
            "active_level_dbfs": _rounded(loudness.active_level_dbfs),
            "active_percent": round(100 * loudness.active, 1),
            "noise_dbfs": _rounded(loudness.noise_dbfs),
            "silent_percent": round(100 * loudness.silent, 1),
            "clipped_samples": loudness.clipped_samples,
            "clipped_percent": round(100 * loudness.clipped, 3),
            "one_way": is_one_way,
            "one_way_ms": one_way_ms,
            "echo": echo.as_dict() if echo is not None else None,
        }


def _rounded(level_dbfs: float | None) -> float | None:
    return None if level_dbfs is None else round(level_dbfs, 1)
