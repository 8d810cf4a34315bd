"""The corpus of `strep bench denoise`, and what it answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import denoise
from benchmarks.denoise_corpus import LEVEL, NOISES, noisy, pauses, voices
from benchmarks.progress import Silent
from benchmarks.readme import section
from benchmarks.report import Report


@pytest.mark.bench
def test_the_question(tmp_path: Path) -> None:
    settings = denoise.Settings(seconds=8, snr=(5,), keys=20, tracks=(1, 3), cost=0.1, repeats=1)
    report = denoise.QUESTION.measure(settings, Silent(), tmp_path)
    assert report.complaints == []
    assert "of 80 keys 0 are missed" in report.answers[1]
    assert [cells[1] for cells in report.tables[0].cells][:4] == list(NOISES)
    assert [cells[0] for cells in report.tables[3].cells] == ["1", "3"]
    assert Report.from_json(report.to_json()).tables == report.tables
    assert section(report)


@pytest.mark.bench
def test_noise_that_stays_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The referee is worth what it finds."""
    monkeypatch.setattr(denoise, "denoise", lambda tracks: tracks)
    settings = denoise.Settings(seconds=4, snr=(5,), keys=20, tracks=(1,), cost=0.1, repeats=1)
    report = denoise.QUESTION.measure(settings, Silent(), tmp_path)
    assert any("white at 5 dB: turned down by 0.0 dB only" in text for text in report.complaints)


@pytest.mark.parametrize("kind", NOISES)
def test_noise_is_as_loud_as_it_says(kind: str) -> None:
    [voice, _] = voices(10, np.random.default_rng(1))["conversation"]
    noise = NOISES[kind](len(voice), np.random.default_rng(2))
    both, alone = noisy(voice, noise, 10)
    np.testing.assert_allclose(both - alone, voice, atol=1e-6)
    assert 20 * np.log10(LEVEL / alone.std()) == pytest.approx(10, abs=0.2)
    assert np.array_equal(noise, NOISES[kind](len(voice), np.random.default_rng(2)))


def test_voices_begin_at_once_and_pause() -> None:
    for voice in voices(10, np.random.default_rng(1))["conversation"]:
        assert np.abs(voice[:80]).max() > 100
        quiet = pauses(voice)
        assert 0.02 < quiet.mean() < 0.9
        assert np.abs(voice[quiet]).max() <= 30
