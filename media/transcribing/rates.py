"""From a call's rate to that of an engine.

A model for 16 kHz has never heard what a telephone cuts off at 3.4 kHz. Where the rate is a multiple, samples are
repeated: that leaves images above 4 kHz, and speech is understood better with them than with the nothing that a good
resampler leaves there (`strep bench transcribe` has both).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from media.transcribing.contract import Pcm


class Converter:
    """Converts one track; `finish` ends a stretch of speech, and the next begins anew."""

    def __init__(self, call_rate_hz: int, engine_rate_hz: int) -> None:
        self._call_hz, self._engine_hz = call_rate_hz, engine_rate_hz
        self._times = engine_rate_hz // call_rate_hz if engine_rate_hz % call_rate_hz == 0 else 0
        self._stream: Any = None

    def convert(self, pcm: Pcm) -> Pcm:
        """Return (m,) int16 of what is converted so far; m may be 0."""
        if self._times:
            return pcm if self._times == 1 else np.repeat(pcm, self._times)
        if self._stream is None:
            import soxr

            self._stream = soxr.ResampleStream(self._call_hz, self._engine_hz, 1, "int16", "HQ")
        return self._converted(pcm, last=False)

    def finish(self) -> Pcm:
        """Return what is left."""
        if self._stream is None:
            return np.empty(0, np.int16)
        left = self._converted(np.empty(0, np.int16), last=True)
        self._stream = None
        return left

    def _converted(self, pcm: Pcm, *, last: bool) -> Pcm:
        converted: Pcm = self._stream.resample_chunk(pcm, last=last)
        return converted
