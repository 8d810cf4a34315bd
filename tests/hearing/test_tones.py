"""Tones of fax machines (ITU-T T.30, 4.1 and 4.2) and of answering machines."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from media.hearing.ear import Ear
from media.hearing.tones import Tone
from tests.hearing.audio import RATE_HZ, hear, line, silence, tones


def heard(*pieces: NDArray[np.float64], noise: float = 10.0) -> list[Tone]:
    found = hear(Ear({"tones"}), [line(silence(1), *pieces, silence(1), noise=noise)])
    return [tone for tone in found if isinstance(tone, Tone)]


@pytest.mark.parametrize("hz", [1062, 1100, 1138])
@pytest.mark.parametrize("seconds", [0.425, 0.5, 0.575])
def test_cng(hz: float, seconds: float) -> None:
    [first, second] = heard(tones(seconds, hz), silence(3), tones(seconds, hz), noise=30)
    assert (first.kind, second.kind) == ("cng", "cng")
    assert first.frequency_hz == pytest.approx(hz, abs=3)
    assert first.position_samples == pytest.approx(RATE_HZ, abs=160)
    assert first.length_samples == pytest.approx(seconds * RATE_HZ, abs=320)
    assert second.position_samples == pytest.approx((4 + seconds) * RATE_HZ, abs=162)


def test_ced() -> None:
    [tone] = heard(tones(3.2, 2100))
    assert tone.kind == "ced"
    assert tone.frequency_hz == pytest.approx(2100, abs=2)


def test_ced_with_phase_reversals() -> None:
    """ANSam, V.8 section 6: every 450 ms."""
    pieces = [tones(0.45, 2100) * (-1) ** i for i in range(7)]
    [tone] = heard(np.concatenate(pieces))
    assert tone.kind == "ced"
    assert tone.length_samples == pytest.approx(3.15 * RATE_HZ, abs=320)


@pytest.mark.parametrize("hz", [600, 850, 1000, 1400, 2000])
def test_beep(hz: float) -> None:
    [tone] = heard(tones(0.3, hz))
    assert tone.kind == "beep"
    assert tone.frequency_hz == pytest.approx(hz, abs=3)


def test_frequency_and_length_in_noise() -> None:
    """24 dB below the tone."""
    [tone] = heard(tones(0.5, 1100), noise=3000 / 2**0.5 / 16)
    assert tone.kind == "cng"
    assert tone.frequency_hz == pytest.approx(1100, abs=6)


@pytest.mark.parametrize("hz", [(350, 440), (440, 480), (480, 620), (425,), (697, 1209), (1004, 2100)])
def test_call_progress_and_chords_are_none(hz: tuple[float, ...]) -> None:
    assert heard(tones(0.5, *hz), silence(0.5), tones(2, *hz)) == []


def test_a_siren_is_none() -> None:
    t = np.arange(2 * RATE_HZ) / RATE_HZ
    assert heard(3000 * np.sin(2 * np.pi * (800 * t + 600 * t**2))) == []


def test_a_lost_packet_does_not_part_it() -> None:
    one = line(silence(1), tones(0.5, 1100), silence(1))
    one.lost[9600:9760] = True
    one.pcm[one.lost] = 0
    [tone] = hear(Ear({"tones"}), [one])
    assert isinstance(tone, Tone)
    assert tone.kind == "cng"
    assert tone.length_samples == pytest.approx(4000, abs=320)


@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_other_rates(rate_hz: int) -> None:
    audio = np.concatenate([np.zeros(rate_hz), tones(0.5, 1100, rate_hz=rate_hz), np.zeros(rate_hz)])
    [tone] = hear(Ear({"tones"}, rate_hz), [line(audio)])
    assert isinstance(tone, Tone)
    assert tone.kind == "cng"
    assert tone.frequency_hz == pytest.approx(1100, abs=2)
