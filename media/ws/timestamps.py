"""Frame timestamps: believed only while they prove consistent with the audio, and in which unit.

No document says what ``media.timestamp`` counts. So it counts nothing until it has agreed with the audio on
`AGREEMENTS` consecutive pairs of neighbouring chunks in a row, as milliseconds or as samples. From then on it tells

* silence (DTX, hold): the next chunk, but a timestamp further ahead than the chunk before is long;
* how much time the chunks that are missing took.

Hysteresis: ten agreements in a row earn the trust, one contradiction (a timestamp that stands still, goes back,
or is ahead by less than half a chunk) loses it. A chunk that contradicts is placed as if it had no timestamp.
"""

from __future__ import annotations

AGREEMENTS = 10
"""Pairs of consecutive chunks in a row that earn the trust."""
MAX_SILENCE_SAMPLES = 1 << 30
"""Longest believable silence, 37 hours; RTP timestamps cannot express much more in one step."""
SAMPLES = 1
"""The scale of timestamps that count samples."""


class TimestampTrust:
    """Whether the timestamps of one track are believed.

    Attributes:
        scale: samples per unit of the timestamp: 0 not believed, 1 samples, 8 milliseconds (at 8 kHz).
        times_lost: how often the trust was lost.
    """

    __slots__ = ("_ms_agreements", "_sample_agreements", "_samples_per_ms", "scale", "times_lost")

    def __init__(self, sample_rate_hz: int) -> None:
        self.scale = 0
        self.times_lost = 0
        self._samples_per_ms = sample_rate_hz // 1000
        self._ms_agreements = 0
        self._sample_agreements = 0

    @property
    def unit(self) -> str:
        """``"samples"``, ``"ms"`` or ``""`` while not believed."""
        return "" if not self.scale else "samples" if self.scale == SAMPLES else "ms"

    def learn(self, elapsed: int, samples: int, usual_samples: int) -> int:
        """Judge two neighbouring chunks that came in order, and return the silence between them in samples.

        Args:
            elapsed: the later timestamp minus the earlier one, in the carrier's unit.
            samples: how long the earlier chunk is.
            usual_samples: how long chunks of this track usually are.
        """
        if not self.scale:
            self._gather(elapsed, samples)
            return 0
        if elapsed * self.scale == samples:
            return 0
        silence = self.silence_between(elapsed, samples, usual_samples)
        if silence is None:
            self.lose()
            return 0
        return silence

    def silence_between(self, elapsed: int, samples: int, usual_samples: int) -> int | None:
        """Return the silence between two neighbouring chunks in samples, None if they contradict each other."""
        excess = elapsed * self.scale - samples
        if abs(excess) <= self._tolerance_samples(self.scale):
            return 0
        if 2 * excess >= usual_samples and excess <= MAX_SILENCE_SAMPLES:
            return excess
        return None

    def lose(self) -> None:
        """Stop believing."""
        self.scale = self._ms_agreements = self._sample_agreements = 0
        self.times_lost += 1

    def _gather(self, elapsed: int, samples: int) -> None:
        in_ms = elapsed > 0 and self._agrees(elapsed, samples, self._samples_per_ms)
        in_samples = elapsed > 0 and self._agrees(elapsed, samples, SAMPLES)
        self._ms_agreements = self._ms_agreements + 1 if in_ms else 0
        self._sample_agreements = self._sample_agreements + 1 if in_samples else 0
        if self._sample_agreements >= AGREEMENTS:
            self.scale = SAMPLES
        elif self._ms_agreements >= AGREEMENTS:
            self.scale = self._samples_per_ms

    def _agrees(self, elapsed: int, samples: int, scale: int) -> bool:
        return abs(elapsed * scale - samples) <= self._tolerance_samples(scale)

    @staticmethod
    def _tolerance_samples(scale: int) -> int:
        """Milliseconds are rounded, so two of them may be one off; samples are exact."""
        return 0 if scale == SAMPLES else scale
