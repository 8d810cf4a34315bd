"""`DigitMerger`: the digits of one call from several sources, each key reported once.

A carrier that tells of a key leaves its tones in the audio as often as not. So a digit that comes from one source is
the same key as an equal one from another source that is near; each stands for one key only, in order.
"""

from __future__ import annotations

from dataclasses import dataclass

from media.events.kinds import DigitPressed

NEAR_MS = 1000
"""Between the beginnings of one key, as two sources have it; frames of media streams take their time."""
MAX_PENDING = 100
"""Digits that are remembered for those that may come."""


@dataclass(slots=True)
class _Known:
    digit: DigitPressed
    sources: set[str]


class DigitMerger:
    """The digits of one call so far."""

    def __init__(self) -> None:
        self._known: list[_Known] = []

    def is_news(self, digit: DigitPressed) -> bool:
        """Take a digit; return whether it is a key that was not reported yet.

        One without a place is the earliest equal one that its source has not told of yet.
        """
        for known in self._known:
            if digit.source not in known.sources and _is_same(digit, known.digit):
                known.sources.add(digit.source)
                return False
        self._known.append(_Known(digit, {digit.source}))
        del self._known[:-MAX_PENDING]
        return True


def _is_same(one: DigitPressed, other: DigitPressed) -> bool:
    if one.digit != other.digit or (one.track and other.track and one.track != other.track):
        return False
    if one.position_samples is None or other.position_samples is None:
        return True
    return abs(one.position_samples - other.position_samples) <= NEAR_MS * one.sample_rate_hz / 1000
