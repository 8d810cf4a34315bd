"""Frame timestamps: believed only while they prove consistent with the audio, and in which unit.

No document says what ``media.timestamp`` counts. So it counts nothing until it has agreed with the audio on
`AGREEMENTS` consecutive pairs of neighbouring chunks in a row, as milliseconds or as samples. From then on it tells

* silence (DTX, hold): the next chunk, but a timestamp further ahead than the chunk before is long;
* how much time the chunks that are missing took.

Silence between neighbouring chunks that came before the trust was earned is made up for at the moment it is.

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

    def __init__(self, sample_rate_hz: int) -> None:
        self.scale = 0
        self.times_lost = 0
        self._samples_per_ms = sample_rate_hz // 1000
        self._ms = _Evidence(self._samples_per_ms)
        self._samples = _Evidence(SAMPLES)

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
            return self._gather(elapsed, samples, usual_samples)
        if elapsed * self.scale == samples:
            return 0
        silence = self.silence_between(elapsed, samples, usual_samples)
        if silence is None:
            self.lose()
            return 0
        return silence

    def silence_between(self, elapsed: int, samples: int, usual_samples: int) -> int | None:
        """Return the silence between two neighbouring chunks in samples, None if they contradict each other."""
        return _silence(elapsed, samples, usual_samples, self.scale)

    def lose(self) -> None:
        """Stop believing."""
        self.scale = 0
        self.times_lost += 1

    def _gather(self, elapsed: int, samples: int, usual_samples: int) -> int:
        missed_samples = 0
        for evidence in (self._samples, self._ms):
            evidence.add(elapsed, samples, usual_samples)
            if evidence.agreements >= AGREEMENTS and not self.scale:
                self.scale, missed_samples = evidence.scale, evidence.missed_samples
        if self.scale:
            self._ms, self._samples = _Evidence(self._samples_per_ms), _Evidence(SAMPLES)
        return missed_samples


class _Evidence:
    """What speaks for one unit: agreements in a row, and silence since the last contradiction."""

    __slots__ = ("agreements", "missed_samples", "scale")

    def __init__(self, scale: int) -> None:
        self.scale = scale
        self.agreements = self.missed_samples = 0

    def add(self, elapsed: int, samples: int, usual_samples: int) -> None:
        silence = _silence(elapsed, samples, usual_samples, self.scale)
        self.agreements = self.agreements + 1 if silence == 0 < elapsed else 0
        self.missed_samples = 0 if silence is None else self.missed_samples + silence


def _silence(elapsed: int, samples: int, usual_samples: int, scale: int) -> int | None:
    """Return by how much `elapsed` units of `scale` exceed `samples`: 0 if they agree, None if that is no silence."""
    excess = elapsed * scale - samples
    tolerance = 0 if scale == SAMPLES else scale  # milliseconds are rounded, two of them may be one off
    if abs(excess) <= tolerance:
        return 0
    return excess if 2 * excess >= usual_samples and excess <= MAX_SILENCE_SAMPLES else None
