"""Each detector against audio whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from media.hearing.rows import CHANNELS, rows_of
from media.quality.echo import _REACH, _WINDOW, Echo, match
from media.quality.levels import Levels
from media.quality.meter import AudioMeter, Finding
from media.quality.one_way import Silent
from tests.hearing.audio import RATE_HZ, row_batch

BLOCK = 800
Audio = NDArray[np.float64]


def speech(seconds: float, level_dbfs: float, seed: int) -> Audio:
    """Return noise in syllables with pauses between them, at a level."""
    random = np.random.default_rng(seed)
    n, at = round(seconds * RATE_HZ), 0
    envelope = np.zeros(n)
    while at < n:
        length = int(random.uniform(0.05, 0.3) * RATE_HZ)
        if random.random() < 0.6:
            envelope[at : at + length] = (np.hanning(length) * random.uniform(0.3, 1))[: n - at]
        at += length
    audio = random.standard_normal(n) * envelope
    return np.asarray(audio * 10 ** (level_dbfs / 20) * 32768 / np.sqrt(np.mean(audio**2)))


def heard(meter: AudioMeter, *sides: Audio) -> list[Finding]:
    found: list[Finding] = []
    pcm = [np.clip(side, -32768, 32767).astype(np.int16) for side in sides]
    for at in range(0, len(pcm[0]), BLOCK):
        blocks = [side[at : at + BLOCK] for side in pcm]
        n = len(blocks)
        found += meter.receive(row_batch(blocks, [0] * n, [at] * n, channel=list(range(n))))
    return found


@pytest.mark.parametrize(("delay_ms", "loss_db"), [(0, 12), (60, 20), (200, 30), (470, 25)])
def test_echo_is_found_where_it_is_and_as_loud_as_it_is(delay_ms: int, loss_db: float) -> None:
    meter, far = AudioMeter(), speech(16, -20, 1)
    shift = delay_ms * RATE_HZ // 1000
    near = np.random.default_rng(2).normal(0, 5, len(far))
    near[shift:] += far[: len(far) - shift] * 10 ** (-loss_db / 20)
    (echo,) = heard(meter, far, near)
    assert isinstance(echo, Echo)
    assert echo.key == 1
    assert echo.delay_ms == pytest.approx(delay_ms, abs=5)
    assert echo.loss_db == pytest.approx(loss_db, abs=1.5)
    assert echo.correlation > 0.9
    told = meter.of(0)
    assert told is not None
    assert told["echo"] is None


def test_two_who_speak_at_once_are_no_echo() -> None:
    for seed in range(4):
        assert heard(AudioMeter(), speech(24, -20, 10 + seed), speech(24, -20, 30 + seed)) == []


def test_tones_are_no_echo_of_one_another() -> None:
    """Their envelopes are flat, and what is left of them is rounding."""
    time = np.arange(20 * RATE_HZ) / RATE_HZ
    for hz in (400, 1000):
        for amplitude in range(1000, 12_000, 1100):
            near = amplitude * np.sin(2 * np.pi * hz * time + 0.1)
            assert heard(AudioMeter(), 8000 * np.sin(2 * np.pi * 440 * time), near) == []


@given(st.integers(0, 2**32), st.floats(0, 30_000))
@settings(max_examples=30)
def test_a_correlation_is_one(seed: int, level: float) -> None:
    random = np.random.default_rng(seed)
    source = random.uniform(0, 8000, (4, _REACH)).astype(np.float32)
    follower = np.full((4, _WINDOW), level, np.float32)
    follower[2:] += random.normal(0, level / 100, (2, _WINDOW)).astype(np.float32)
    found = match(source, follower)
    assert (found.correlation[:2] == 0).all()
    assert (np.abs(found.correlation) <= 1).all()


def test_a_block_that_leaves_in_two_parts_hides_no_echo() -> None:
    far = speech(16, -20, 1)
    near = np.random.default_rng(2).normal(0, 5, len(far))
    near[480:] += far[: len(far) - 480] * 10 ** (-14 / 20)
    meter, found, sides = AudioMeter(), list[Finding](), [side.astype(np.int16) for side in (far, near)]
    for number, at in enumerate(range(0, len(far), BLOCK)):
        whole = row_batch([side[at : at + BLOCK] for side in sides], [0, 0], [at, at], channel=[0, 1])
        if number % 3:
            found += meter.receive(whole)
        else:
            middle = np.full(2, BLOCK // 2, np.int32)
            found += meter.receive(replace(whole, last=middle))
            found += meter.receive(replace(whole, first=middle))
    assert [type(one) for one in found] == [Echo]


def test_one_way_audio_begins_and_ends() -> None:
    meter, seconds = AudioMeter(), 40
    silent_one = np.zeros(seconds * RATE_HZ)
    silent_one[-2 * RATE_HZ :] = speech(2, -20, 5)
    begins, ends = [f for f in heard(meter, speech(seconds, -20, 3), silent_one) if isinstance(f, Silent)]
    assert (begins.key, begins.begins, begins.position_samples) == (1, True, 0)
    assert (ends.key, ends.begins) == (1, False)
    assert ends.position_samples == pytest.approx((seconds - 2) * RATE_HZ, abs=2 * BLOCK + RATE_HZ)
    told = meter.of(1)
    assert told is not None
    assert not told["one_way"]
    assert told["one_way_ms"] == ends.spoken_ms >= 15_000


def test_a_pause_of_both_and_a_track_that_never_came_are_no_one_way_audio() -> None:
    assert heard(AudioMeter(), np.zeros(40 * RATE_HZ), np.zeros(40 * RATE_HZ)) == []
    assert heard(AudioMeter(), speech(40, -20, 3)) == []


def test_levels_are_those_of_the_audio() -> None:
    meter, tone = AudioMeter(), np.sin(np.arange(8 * RATE_HZ) * 2 * np.pi * 440 / RATE_HZ) * 3276.8
    half = tone.copy()
    half[len(half) // 2 :] = np.random.default_rng(1).normal(0, 32768 * 10 ** (-65 / 20), len(half) // 2)
    heard(meter, tone, half)
    steady, broken = meter.of(0), meter.of(1)
    assert steady is not None
    assert broken is not None
    assert steady["level_dbfs"] == steady["active_level_dbfs"] == pytest.approx(-23.0, abs=0.1)
    assert (steady["active_percent"], steady["silent_percent"]) == (100, 0)
    assert broken["level_dbfs"] == pytest.approx(-26.0, abs=0.1)
    assert broken["active_level_dbfs"] == pytest.approx(-23.2, abs=0.3)
    assert broken["silent_percent"] == pytest.approx(50, abs=1)
    assert broken["noise_dbfs"] == pytest.approx(-65, abs=1.5)


def test_clipping_counts_samples_at_full_scale_in_a_row() -> None:
    meter, audio = AudioMeter(), np.sin(np.arange(RATE_HZ) * 2 * np.pi * 200 / RATE_HZ) * 60_000
    heard(meter, audio, audio / 2.1)
    clipped, clean = meter.of(0), meter.of(1)
    assert clipped is not None
    assert clean is not None
    assert clipped["clipped_samples"] == pytest.approx((np.abs(audio) >= 32_000).sum(), rel=0.05)
    assert clean["clipped_samples"] == 0


@pytest.mark.parametrize(("rate_hz", "hz"), [(8000, 200), (16_000, 300), (48_000, 440)])
def test_pcm_near_full_scale_is_not_clipped(rate_hz: int, hz: int) -> None:
    meter = Levels(rate_hz)
    meter.reach(0)
    tone = np.rint(32_767 * np.sin(2 * np.pi * hz * np.arange(rate_hz // 10) / rate_hz + 0.3)).astype(np.int16)
    for pcm, clipped in ((tone, 0), (np.clip(2 * tone.astype(int), -32_768, 32_767).astype(np.int16), 1)):
        (rows,) = rows_of(replace(row_batch([pcm], [0], [0]), sample_rate_hz=rate_hz))
        meter.receive(rows, np.square(rows.audio).sum(axis=2))
        assert (meter.of(0).clipped > 0.3) == clipped


def test_what_is_forgotten_is_not_known_of_the_next_call() -> None:
    meter = AudioMeter()
    heard(meter, speech(4, -20, 1), speech(4, -20, 2))
    meter.forget(0)
    assert [meter.of(key) for key in range(CHANNELS)] == [None, None]
    assert meter.of(10_000) is None
