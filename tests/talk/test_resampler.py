"""The filter by measurement, its bookkeeping by properties, the result beside soxr's."""

from __future__ import annotations

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from media.talk.contract import Pcm
from media.talk.resampler import COEFFICIENT_STEP, MAX_TABLES, Resampler, _filters
from tests.codecs.speech import speech

FROM_HZ = (8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000)
TO_HZ = (8000, 16000, 24000, 48000)
PAIRS = [(from_hz, to_hz) for from_hz in FROM_HZ for to_hz in TO_HZ]
AMPLITUDE = 16_000
every_pair = pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)


def sine(frequency_hz: float, rate_hz: int, seconds: float = 1.0) -> NDArray[np.float64]:
    return AMPLITUDE * np.sin(2 * np.pi * frequency_hz * np.arange(int(rate_hz * seconds)) / rate_hz)


def resampled(pcm: NDArray[np.float64] | Pcm, from_hz: int, to_hz: int) -> Pcm:
    resampler = Resampler(from_hz, to_hz)
    return np.concatenate((resampler.process(np.rint(pcm).astype(np.int16)), resampler.flush()))


def level_db(difference: NDArray[np.float64]) -> float:
    """Return the level of the middle half beside a sine of AMPLITUDE: the ends ring, for the world begins there."""
    quarter = len(difference) // 4
    return float(20 * np.log10(np.sqrt(2 * np.mean(difference[quarter:-quarter] ** 2)) / AMPLITUDE + 1e-9))


@every_pair
def test_tones_of_the_pass_band_come_out_in_place_and_without_images(from_hz: int, to_hz: int) -> None:
    for share in (0.02, 0.3, 0.6, 0.85):
        tone_hz = share * min(from_hz, to_hz) / 2
        heard = resampled(sine(tone_hz, from_hz), from_hz, to_hz)
        assert level_db(heard - sine(tone_hz, to_hz)) < -60


@pytest.mark.parametrize(("from_hz", "to_hz"), [(8000, 47_951), (47_951, 8000), (22_050, 47_951), (48_000, 8001)])
def test_rates_with_nothing_in_common_sound_as_well_and_take_no_large_table(from_hz: int, to_hz: int) -> None:
    for share in (0.02, 0.3, 0.85):
        tone_hz = share * min(from_hz, to_hz) / 2
        heard = resampled(sine(tone_hz, from_hz), from_hz, to_hz)
        assert level_db(heard - sine(tone_hz, to_hz)) < -60
    assert Resampler(from_hz, to_hz)._filters.nbytes <= 1 << 20


def test_tables_are_kept_for_so_many_pairs_of_rates_and_no_more() -> None:
    _filters.cache_clear()
    for up in range(1, 2 * MAX_TABLES):
        _filters(up, 2 * MAX_TABLES)
    assert _filters.cache_info().currsize == MAX_TABLES


@pytest.mark.parametrize(("from_hz", "to_hz"), [pair for pair in PAIRS if pair[0] > pair[1]])
def test_what_does_not_fit_is_gone(from_hz: int, to_hz: int) -> None:
    for tone_hz in np.linspace(to_hz / 2, from_hz / 2, 12)[:-1]:
        assert level_db(resampled(sine(tone_hz, from_hz), from_hz, to_hz).astype(float)) < -60


@every_pair
def test_a_constant_stays_what_it_is(from_hz: int, to_hz: int) -> None:
    heard = resampled(np.full(from_hz // 5, 12_345, np.int16), from_hz, to_hz)
    assert set(heard[len(heard) // 4 : -len(heard) // 4].tolist()) <= {12_344, 12_345, 12_346}


@every_pair
@settings(max_examples=25)
@given(pieces=st.lists(st.integers(0, 900), max_size=12), seed=st.integers(0, 99))
def test_pieces_change_nothing_and_nothing_is_held_back(
    from_hz: int, to_hz: int, pieces: list[int], seed: int
) -> None:
    total = sum(pieces)
    noise = np.random.default_rng(seed).integers(-32768, 32768, total).astype(np.int16)
    resampler, given_so_far, taken, heard = Resampler(from_hz, to_hz), 0, 0, []
    for samples in pieces:
        heard.append(resampler.process(noise[taken : taken + samples]))
        taken += samples
        given_so_far += len(heard[-1])
        assert abs(given_so_far - max(0, taken - resampler.lag_samples) * to_hz / from_hz) <= to_hz / from_hz + 1
    heard.append(resampler.flush())
    assert np.array_equal(np.concatenate(heard), resampled(noise, from_hz, to_hz))
    assert abs(sum(map(len, heard)) - total * to_hz / from_hz) <= 0.5


@every_pair
def test_delayed_gives_for_each_frame_a_frame(from_hz: int, to_hz: int) -> None:
    resampler = Resampler(from_hz, to_hz, delayed=True)
    frame = from_hz // 25
    pcm = sine(440, from_hz).astype(np.int16)
    heard = [resampler.process(pcm[begin : begin + frame]) for begin in range(0, 10 * frame, frame)]
    assert {len(piece) for piece in heard} == {to_hz // 25}
    ahead = resampled(pcm, from_hz, to_hz)
    late = round(resampler.lag_samples * to_hz / from_hz)
    if resampler.lag_samples * to_hz % from_hz == 0:
        both = np.concatenate(heard)[late:]
        assert np.array_equal(both, ahead[: len(both)])


@every_pair
def test_sums_are_exact_whoever_adds_them(from_hz: int, to_hz: int) -> None:
    """In whole numbers there is no order of adding: what comes out is what integers say."""
    filters = _filters(Resampler(from_hz, to_hz)._up, Resampler(from_hz, to_hz)._down)
    whole = filters.astype(np.float64) / COEFFICIENT_STEP
    assert np.array_equal(whole, np.rint(whole))
    if from_hz != to_hz:
        assert set(whole.sum(1)) == {1 / COEFFICIENT_STEP}
    noise = np.random.default_rng(1).integers(-32768, 32768, 3000).astype(np.int16)
    resampler = Resampler(from_hz, to_hz)
    heard = resampler.process(noise)
    padded = np.concatenate((np.zeros(-resampler._offset, np.int64), noise.astype(np.int64)))
    for output in range(0, len(heard), 97):
        place = output * resampler._down
        window = padded[place // resampler._up :][: filters.shape[1]]
        exact = int((window * whole[place % resampler._up].astype(np.int64)).sum()) * COEFFICIENT_STEP
        assert heard[output] == (noise[output] if from_hz == to_hz else np.clip(np.rint(exact), -32768, 32767))


def test_beside_soxr() -> None:
    """Speech, from 8 kHz up and from 24 kHz down: what differs is what soxr keeps above our pass band."""
    for from_hz, to_hz in ((8000, 16000), (24000, 8000)):
        said = speech(from_hz)
        ours = resampled(said, from_hz, to_hz).astype(float)
        theirs = soxr.resample(said, from_hz, to_hz).astype(float)
        assert len(ours) == len(theirs)
        assert 20 * np.log10((ours - theirs).std() / theirs.std()) < -28


def test_full_scale_is_clipped_and_does_not_wrap() -> None:
    square = np.where(np.arange(4000) % 40 < 20, 32767, -32768).astype(np.int16)
    heard = resampled(square, 8000, 48000).astype(int)
    inside = heard[60:100], heard[180:220]
    assert inside[0].min() > 25_000
    assert inside[1].max() < -25_000


def test_streams_do_not_know_one_another() -> None:
    one, other = Resampler(8000, 16000), Resampler(8000, 16000)
    said = speech(8000)
    heard = []
    for begin in range(0, 1600, 160):
        heard.append(one.process(said[begin : begin + 160]))
        other.process(-said[begin : begin + 160])
    assert np.array_equal(np.concatenate([*heard, one.flush()]), resampled(said[:1600], 8000, 16000))


def test_after_flush_and_reset_it_is_new() -> None:
    resampler = Resampler(44100, 8000)
    said = speech(44100)[:9000]
    first = np.concatenate((resampler.process(said), resampler.flush()))
    resampler.process(-said)
    resampler.reset()
    assert np.array_equal(np.concatenate((resampler.process(said), resampler.flush())), first)


@pytest.mark.parametrize(("from_hz", "to_hz"), [(0, 8000), (8000, -1), (8000, 10**7)])
def test_rates_out_of_range(from_hz: int, to_hz: int) -> None:
    with pytest.raises(ValueError, match="out of range: 4000 to 192000 Hz"):
        Resampler(from_hz, to_hz)
