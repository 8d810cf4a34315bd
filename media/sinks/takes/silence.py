"""`SilenceWatch`: when a take has heard nothing for long enough, by a rule on levels.

A track sounds in 20 ms whose mean square is above a threshold, by default that of -45 dBm0: speech on a telephone is
at -15 to -30, the noise of a quiet line below -50. A tone, music and a loud fan are sounds, for it is a level and
nothing else. Positions are the call's; what is paused is no silence.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from media.hearing.verdict import POWER_0_DBM0
from media.pauses.spans import Pause

FRAME_MS = 20


class SilenceWatch:
    """What was heard of one take.

    Attributes:
        last_sound: position behind the last sound, of the beginning before the first.
        has_sounded: something was heard.
    """

    def __init__(self, start: int, sample_rate_hz: int, threshold_dbm0: float) -> None:
        """Begin at position `start`; what is below the threshold is silence."""
        self.last_sound, self.has_sounded = start, False
        self._frame = sample_rate_hz * FRAME_MS // 1000
        self._threshold = float(POWER_0_DBM0) * 10 ** (threshold_dbm0 / 10)

    def hear(self, position: int, pcm: NDArray[np.int16]) -> None:
        """Take (n,) samples of a track, at a position."""
        power = np.square(pcm.astype(np.float32))
        starts = np.arange(0, len(pcm), self._frame)
        lengths = np.diff(np.append(starts, len(pcm)))
        loud = np.flatnonzero(np.add.reduceat(power, starts) > self._threshold * lengths)
        if len(loud):
            end = position + int(starts[loud[-1]] + lengths[loud[-1]])
            self.last_sound, self.has_sounded = max(self.last_sound, end), True

    def skip(self, pauses: Iterable[Pause], until: int) -> None:
        """Let what was paused before `until` not count as silence."""
        for pause in pauses:
            if pause.start_samples < until and pause.end_samples > self.last_sound:
                self.last_sound = max(self.last_sound, min(pause.end_samples, until))
