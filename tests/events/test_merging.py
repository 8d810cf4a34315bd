"""One key, one event, whichever ways it came."""

from __future__ import annotations

import pytest

from media.calls import MAX_EVENTS
from media.events.kinds import DigitPressed, Source
from media.events.merging import MAX_KEYS, DigitMerger


def digit(name: str, source: Source, at_s: float | None = None, track: str = "inbound") -> DigitPressed:
    position = None if at_s is None else round(8000 * at_s)
    return DigitPressed(track=track, position_samples=position, digit=name, source=source)


def news(*digits: DigitPressed) -> list[bool]:
    merger = DigitMerger(8000)
    return [merger.is_news(one) for one in digits]


def test_the_same_key_by_another_way() -> None:
    assert news(digit("5", "inband", 1), digit("5", "ws", 1.3), digit("5", "rfc4733", 0.9)) == [True, False, False]


def test_the_same_key_again() -> None:
    """Twice by each way: two keys, however near."""
    both = [digit("5", "inband", 1), digit("5", "inband", 1.2), digit("5", "ws", 1.3), digit("5", "ws", 1.5)]
    assert news(*both) == [True, True, False, False]
    assert news(both[0], both[2], both[1], both[3]) == [True, False, True, False]


def test_other_keys_other_times_other_tracks() -> None:
    assert news(digit("5", "inband", 1), digit("6", "ws", 1)) == [True, True]
    assert news(digit("5", "inband", 1), digit("5", "ws", 9)) == [True, True]
    assert news(digit("5", "inband", 1, "inbound"), digit("5", "rfc4733", 1, "outbound")) == [True, True]


@pytest.mark.parametrize("track", ["inbound", ""])
def test_without_a_place_the_earliest(track: str) -> None:
    digits = [digit("5", "inband", 1), digit("5", "inband", 60), *[digit("5", "ws", None, track)] * 3]
    assert news(*digits) == [True, True, False, False, True]


def test_a_call_of_many_keys() -> None:
    """All in-band ones are told before the first of the carrier's is."""
    keys = [digit("0123456789"[i % 10], "inband", 2 * i) for i in range(150)]
    again = [digit("0123456789"[i % 10], "ws", 2 * i + 0.2) for i in range(150)]
    assert news(*keys, *again) == [True] * 150 + [False] * 150
    assert sum(news(*[digit("5", key.source, (key.position_samples or 0) / 8000) for key in keys + again])) == 150


def test_bounded() -> None:
    """The first of each source are remembered, whatever comes from another, and none behind them."""
    assert MAX_KEYS >= MAX_EVENTS
    merger = DigitMerger(8000)
    for i in range(MAX_KEYS + 2):
        assert merger.is_news(digit("5", "inband", 3 * i))
    told = [merger.is_news(digit("5", "ws", 3 * i)) for i in range(MAX_KEYS + 2)]
    assert told == [False] * MAX_KEYS + [True] * 2
