"""Concealment: what must hold for every hole; how it sounds is measured, see `strep bench conceal`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from strep.concealment import EDGE_MS, MOST_MS, conceal, edge_samples, pitch_samples

Pcm = NDArray[np.int16]
RATES = (8000, 16000, 24000, 48000)
SIDES = st.binary(max_size=1600).map(lambda data: np.frombuffer(data[: len(data) // 2 * 2], np.int16))


def tone(rate: int, hz: float, start: int, length: int) -> Pcm:
    phase = 2 * np.pi * hz * np.arange(start, start + length) / rate
    pcm: Pcm = np.rint(8000 * np.sin(phase)).astype(np.int16)
    return pcm


def fill(holes: Sequence[tuple[Pcm, int, Pcm]], rate: int) -> Pcm:
    """Fill holes, each what is known before it, its length, and what is known behind it."""
    edge = edge_samples(rate)
    before, after = np.zeros((2, len(holes), edge), np.int16)
    known = []
    for row, (ahead, length, behind) in enumerate(holes):
        ahead, behind = ahead[-edge:], behind[:edge]
        before[row, edge - len(ahead) :], after[row, : len(behind)] = ahead, behind
        known.append((len(ahead), length, len(behind)))
    columns = np.array(known)
    return conceal(before, columns[:, 0], columns[:, 1], after, columns[:, 2], rate)


@given(SIDES, st.integers(0, 4000), SIDES, st.sampled_from(RATES))
def test_any_hole_is_filled_and_bounded(before: Pcm, length: int, after: Pcm, rate: int) -> None:
    [made] = fill([(before, length, after)], rate)
    assert made.dtype == np.int16
    assert made.shape == (length,)
    edge = edge_samples(rate)
    loudest = [np.abs(side.astype(int)).max(initial=0) for side in (before[-edge:], after[:edge])]
    assert np.abs(made.astype(int)).max(initial=0) <= max(loudest)


@given(st.lists(st.tuples(SIDES, st.integers(0, 1500), SIDES), min_size=2, max_size=12))
def test_many_at_once_are_filled_as_each_alone(holes: list[tuple[Pcm, int, Pcm]]) -> None:
    together = fill(holes, 8000)
    assert together.shape == (len(holes), max(length for _, length, _ in holes))
    for row, hole in zip(together, holes, strict=True):
        [alone] = fill([hole], 8000)
        # Sums of 32-bit floats are in another order where there are more rows.
        assert np.abs(row[: hole[1]].astype(int) - alone).max(initial=0) <= 1
        assert not row[hole[1] :].any()


def test_none_is_none() -> None:
    nothing = np.zeros(0, np.int64)
    edges = np.zeros((0, edge_samples(8000)), np.int16)
    assert conceal(edges, nothing, nothing, edges, nothing, 8000).shape == (0, 0)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("hz", [110, 180, 240])
@pytest.mark.parametrize("ms", [10, 20, 40])
def test_a_voice_goes_on_in_its_phase(rate: int, hz: float, ms: int) -> None:
    """The period divides the rate or nearly: what is made up is near what was lost, silence is far from it."""
    known, length = edge_samples(rate), rate * ms // 1000
    whole = tone(rate, hz, 0, 2 * known + length)
    [made] = fill([(whole[:known], length, whole[known + length :])], rate)
    lost = whole[known : known + length].astype(float)
    error = np.sqrt(np.mean((made - lost) ** 2) / np.mean(lost**2))
    assert error < 0.5


@pytest.mark.parametrize("rate", RATES)
def test_a_long_hole_is_silent_in_its_middle(rate: int) -> None:
    known, most = edge_samples(rate), rate * MOST_MS // 1000
    length = 4 * most
    [made] = fill([(tone(rate, 200, 0, known), length, tone(rate, 200, 0, known))], rate)
    assert made[:most].any()
    assert made[-most:].any()
    assert not made[most:-most].any()


def test_one_edge_is_enough_and_none_is_silence() -> None:
    edge = tone(8000, 200, 0, 400)
    assert fill([(edge, 160, edge[:0])], 8000).any()
    assert fill([(edge[:0], 160, edge)], 8000).any()
    assert not fill([(edge[:0], 160, edge[:0])], 8000).any()


def test_backwards_is_the_mirror_of_forwards() -> None:
    edge = tone(8000, 170, 3, edge_samples(8000))
    nothing = edge[:0]
    [forwards, backwards] = fill([(edge, 160, nothing), (nothing, 160, edge[::-1])], 8000)
    assert (backwards[::-1] == forwards).all()


@pytest.mark.parametrize("hz", [80, 100, 125, 200, 250, 400])
@pytest.mark.parametrize("known_ms", [25, EDGE_MS])
def test_pitch_is_found(hz: int, known_ms: int) -> None:
    edge, count = edge_samples(8000), 8 * known_ms
    known = np.zeros((1, edge), np.float32)
    known[0, edge - count :] = tone(8000, hz, 0, count)
    [cycle] = pitch_samples(known, np.array([count]), 8000).tolist()
    assert 8000 / cycle in {hz / times for times in range(1, 6)}
