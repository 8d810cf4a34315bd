"""Frame timestamps: believed only while they prove consistent with the audio, and in which unit.

No document says what ``media.timestamp`` counts. So it counts nothing until it has agreed with the audio on
`AGREEMENTS` consecutive pairs of neighbouring chunks in a row, as milliseconds or as samples. From then on it tells

* silence (DTX, hold): the next chunk, but a timestamp further ahead than the chunk before is long;
* how much time the chunks that are missing took.

Silence that came before the trust was earned is made up for at the moment it is: from there on positions are right.

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
        self._ms_agreements = 0
        self._sample_agreements = 0
        self._anchor: tuple[int, int] | None = None  # start and timestamp since when nothing contradicted

    @property
    def unit(self) -> str:
        """``"samples"``, ``"ms"`` or ``""`` while not believed."""
        return "" if not self.scale else "samples" if self.scale == SAMPLES else "ms"

    def learn(self, elapsed: int, samples: int, usual_samples: int, start: int, timestamp: int) -> int:
        """Judge two neighbouring chunks that came in order, and return the silence between them in samples.

        Args:
            elapsed: the later timestamp minus the earlier one, in the carrier's unit.
            samples: how long the earlier chunk is.
            usual_samples: how long chunks of this track usually are.
            start: where the later chunk would begin without silence, in samples.
            timestamp: of the later chunk.
        """
        if not self.scale:
            return self._gather(elapsed, samples, usual_samples, start, timestamp)
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

    def shift(self, after: int, shift_samples: int) -> None:
        """Take note that chunks which start later than `after` have moved."""
        if self._anchor is not None and self._anchor[0] > after:
            self._anchor = (self._anchor[0] + shift_samples, self._anchor[1])

    def restart(self) -> None:
        """Take note that the counting began anew: earlier timestamps say nothing about later ones."""
        self._anchor = None

    def lose(self) -> None:
        """Stop believing."""
        self.scale = self._ms_agreements = self._sample_agreements = 0
        self.times_lost += 1
        self._anchor = None

    def _gather(self, elapsed: int, samples: int, usual_samples: int, start: int, timestamp: int) -> int:
        in_ms = _silence(elapsed, samples, usual_samples, self._samples_per_ms)
        in_samples = _silence(elapsed, samples, usual_samples, SAMPLES)
        self._ms_agreements = self._ms_agreements + 1 if in_ms == 0 < elapsed else 0
        self._sample_agreements = self._sample_agreements + 1 if in_samples == 0 < elapsed else 0
        if in_ms is None and in_samples is None:
            self._anchor = None
        elif self._anchor is None:
            self._anchor = (start - samples, timestamp - elapsed)
        if self._sample_agreements >= AGREEMENTS:
            self.scale = SAMPLES
        elif self._ms_agreements >= AGREEMENTS:
            self.scale = self._samples_per_ms
        return self._missed(usual_samples, start, timestamp) if self.scale else 0

    def _missed(self, usual_samples: int, start: int, timestamp: int) -> int:
        """Return the silence that went unrecognised since the anchor."""
        if self._anchor is None:
            return 0
        anchor_start, anchor_timestamp = self._anchor
        return _silence(timestamp - anchor_timestamp, start - anchor_start, usual_samples, self.scale) or 0


def _silence(elapsed: int, samples: int, usual_samples: int, scale: int) -> int | None:
    """Return by how much `elapsed` units of `scale` exceed `samples`: 0 if they agree, None if that is no silence."""
    excess = elapsed * scale - samples
    tolerance = 0 if scale == SAMPLES else scale  # milliseconds are rounded, two of them may be one off
    if abs(excess) <= tolerance:
        return 0
    return excess if 2 * excess >= usual_samples and excess <= MAX_SILENCE_SAMPLES else None
