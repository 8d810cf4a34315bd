"""`DigitMerger`: the digits of one call from several sources, each key reported once.

A carrier that tells of a key leaves its tones in the audio as often as not. So a digit that comes from one source is
the same key as an equal one from another source that is near; each stands for one key only, in order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

from media.events.kinds import DigitPressed, Source

NEAR_MS = 1000
"""Between the beginnings of one key, as two sources have it; frames of media streams take their time."""
MAX_KEYS = 10_000
"""Keys of each source that are remembered, the first ones: as many as a call keeps of the carrier's
(`media.calls.MAX_EVENTS`). Those behind them are not merged with anything; forgetting the oldest instead would make
news of their other halves, which then would push out the next."""

_Place = int | None
"""In units of `NEAR_MS`."""


@dataclass(slots=True)
class ToldSoFar:
    """What was told of one call, for `media.events.bus` alone, and by whom it is written down.

    Attributes:
        digits: its keys.
        events: how many there were.
        is_on_record: its call record is made, and what is told of it now came too late; of `media.cdr`.
        client_state: what was given to the call to be told with each of them, base64; None: nothing.
    """

    digits: DigitMerger
    events: int = 0
    client_state: str | None = None
    is_on_record: bool = False


class DigitMerger:
    """The digits of one call so far.

    Attributes:
        pressed: keys that were news.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        """Start without a digit of a call of this rate."""
        self.pressed = 0
        self._near_samples = NEAR_MS * sample_rate_hz // 1000
        # What each source may still tell of a digit, by place: keys that others have told, in order.
        self._awaited: dict[tuple[Source, str], dict[_Place, list[DigitPressed]]] = {}
        self._remembered: Counter[Source] = Counter()

    def is_news(self, digit: DigitPressed) -> bool:
        """Take a digit; return whether it is a key that was not reported yet.

        One without a place is the earliest equal one that its source has not told of yet.
        """
        awaited = self._awaited.get((digit.source, digit.digit), {})
        for place in self._places(digit, awaited):
            for number, known in enumerate(awaited[place]):
                if self._is_same(digit, known):
                    del awaited[place][number]
                    if not awaited[place]:
                        del awaited[place]
                    return False
        self._remember(digit)
        self.pressed += 1
        return True

    def _remember(self, digit: DigitPressed) -> None:
        if self._remembered[digit.source] >= MAX_KEYS:
            return
        self._remembered[digit.source] += 1
        for other in get_args(Source):
            if other != digit.source:
                by_place = self._awaited.setdefault((other, digit.digit), {})
                by_place.setdefault(self._place(digit), []).append(digit)

    def _place(self, digit: DigitPressed) -> _Place:
        return None if digit.position_samples is None else digit.position_samples // self._near_samples

    def _places(self, digit: DigitPressed, awaited: dict[_Place, list[DigitPressed]]) -> Iterator[_Place]:
        """Yield where, among what is awaited, the same key may be, the earliest first."""
        place = self._place(digit)
        if place is None:
            yield from awaited
            return
        for near in (None, place - 1, place, place + 1):
            if near in awaited:
                yield near

    def _is_same(self, one: DigitPressed, other: DigitPressed) -> bool:
        if one.track and other.track and one.track != other.track:
            return False
        if one.position_samples is None or other.position_samples is None:
            return True
        return abs(one.position_samples - other.position_samples) <= self._near_samples
