"""Engine time and the call's timeline, against a list that says of each sample where it lies."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from media.transcribing.places import Places

STRETCHES = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 40)), min_size=1, max_size=8)
"""Silence before, and samples."""


def fed(stretches: list[tuple[int, int]], engine_times: int) -> tuple[Places, list[int]]:
    places, lies, position = Places(8000, 8000 * engine_times), list[int](), 0
    for silence, length in stretches:
        position += silence
        places.give(position, length)
        lies += range(position, position + length)
        position += length
    return places, lies


@given(stretches=STRETCHES, times=st.integers(1, 6))
def test_every_sample_is_where_it_was(stretches: list[tuple[int, int]], times: int) -> None:
    places, lies = fed(stretches, times)
    assert places.given_samples == len(lies)
    assert places.end_samples == lies[-1] + 1
    for number, position in enumerate(lies):
        assert places.begin_of(number * times) == position
        assert places.end_of((number + 1) * times) == position + 1


@given(stretches=STRETCHES, beyond=st.integers(0, 1000))
def test_what_was_never_given_lies_at_the_end(stretches: list[tuple[int, int]], beyond: int) -> None:
    places, lies = fed(stretches, 2)
    assert places.end_of(2 * len(lies) + beyond) == lies[-1] + 1
    assert places.begin_of(-beyond) == lies[0]


@given(stretches=STRETCHES, data=st.data())
def test_forgetting_changes_nothing_behind(stretches: list[tuple[int, int]], data: st.DataObject) -> None:
    places, lies = fed(stretches, 2)
    kept = data.draw(st.integers(0, len(lies) - 1))
    places.forget_before(2 * kept)
    for number in range(kept, len(lies)):
        assert places.begin_of(2 * number) == lies[number]
        assert places.end_of(2 * number + 2) == lies[number] + 1


def test_rates_that_are_no_multiples() -> None:
    places = Places(44_100, 16_000)
    places.give(1000, 44_100)
    assert places.begin_of(8000) == 1000 + 22_050
    assert places.end_of(16_000) == 1000 + 44_100


def test_nothing_was_given() -> None:
    assert Places(8000, 16_000).begin_of(5) == Places(8000, 16_000).end_of(5) == 0
