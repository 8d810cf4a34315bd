"""Noise suppression of what is played: a `PcmSource` in front of another one."""

from __future__ import annotations

import numpy as np

from media.denoising.bank import Bank
from media.denoising.gains import Float32
from media.talk.contract import Pcm, PcmSource, PlaybackError
from media.talk.sources.buffer import PcmBuffer

AHEAD_HOPS = 5
"""Filtered at a time: so many frames at once are less work than one by one, and hold up no other call."""


class DenoisedSource:
    """See `PcmSource`. Each sample is where it was, and there are as many of them.

    It reads a tenth of a second ahead and filters that in the event loop.
    """

    def __init__(self, source: PcmSource, sample_rate_hz: int) -> None:
        """Filter `source`, which has `sample_rate_hz`, 8,000 at least."""
        self._source, self._bank = source, Bank(sample_rate_hz)
        self._slot = np.array([self._bank.claim()])
        self._buffer = PcmBuffer()
        self._begin()

    @property
    def has_ended(self) -> bool:
        """See `PcmSource.has_ended`."""
        return self._is_flushed and not self._buffer.samples

    @property
    def error(self) -> PlaybackError | None:
        """See `PcmSource.error`."""
        return self._source.error

    @property
    def length_samples(self) -> int | None:
        """See `PcmSource.length_samples`."""
        return self._source.length_samples

    def read(self, samples: int) -> Pcm:
        """See `PcmSource.read`."""
        while self._buffer.samples < samples and not self._is_flushed:
            wanted = max(samples - self._buffer.samples, AHEAD_HOPS * self._bank.hop_samples)
            pcm = self._source.read(wanted)
            if len(pcm):
                self._take(self._bank.receive(self._slot, pcm[None]))
            elif self._source.has_ended:
                self._flush()
            else:
                break
        if not self._is_flushed and self._source.has_ended:
            self._flush()
        return self._buffer.take(samples)

    def rewind(self) -> bool:
        """See `PcmSource.rewind`; its noise is known from the first time."""
        if not self._source.rewind():
            return False
        self._buffer.clear()
        self._bank.flush(self._slot)
        self._begin()
        return True

    def close(self) -> None:
        """See `PcmSource.close`."""
        self._source.close()
        self._buffer.clear()
        self._is_flushed = True

    def _begin(self) -> None:
        self._before, self._is_flushed = self._bank.hop_samples, False

    def _flush(self) -> None:
        self._is_flushed = True
        self._take(self._bank.flush(self._slot))

    def _take(self, made: Float32) -> None:
        """Put filtered audio into the buffer, without what lies before the first sample."""
        skipped = min(self._before, made.shape[1])
        self._before -= skipped
        self._buffer.append(np.rint(made[0, skipped:]).clip(-32768, 32767).astype(np.int16))
