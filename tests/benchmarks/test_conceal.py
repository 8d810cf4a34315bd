"""The corpus of `strep bench conceal`, and what it answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import conceal
from benchmarks.conceal_corpus import PACKET_SAMPLES, Pcm, arrived, joined, losses
from benchmarks.hearing_corpus import as_mu_law
from benchmarks.opinion import BEST, scorer
from benchmarks.progress import Silent
from benchmarks.readme import section
from benchmarks.report import Report
from media.carrier.audio import CONVERSATION, load
from media.concealing.concealer import Concealer

needs_pesq = pytest.mark.skipif(scorer() is None, reason="no PESQ here: make peers")
SHORT = conceal.Settings(seconds=4, burst=(1.0,), seeds=1, tracks=(2,), cost=2, repeats=1)


@pytest.mark.bench
@needs_pesq
def test_ours_is_better_than_repetition_at_each_rate(tmp_path: Path) -> None:
    report = conceal.QUESTION.measure(SHORT, Silent(), tmp_path)
    assert report.complaints == []
    assert [cells[1] for cells in report.tables[0].cells] == ["1", "3", "5", "10"]
    assert Report.from_json(report.to_json()).tables == report.tables
    assert section(report)


@pytest.mark.bench
@needs_pesq
def test_what_is_no_better_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The referee is worth what it finds."""
    monkeypatch.setattr(Concealer, "receive", lambda self, batch: batch)
    report = conceal.QUESTION.measure(SHORT, Silent(), tmp_path)
    assert any("10 % lost" in text and "repetition" in text for text in report.complaints)


@pytest.mark.bench
def test_without_pesq_there_is_no_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(conceal, "scorer", lambda: None)
    report = conceal.QUESTION.measure(SHORT, Silent(), tmp_path)
    assert report.complaints == ["PESQ is not installed: make peers"]
    assert section(report)


@needs_pesq
def test_speech_that_is_not_changed_is_best() -> None:
    score = scorer()
    assert score is not None
    voice = speech()
    assert score(voice, voice) == pytest.approx(BEST, abs=0.01)


def speech() -> Pcm:
    side = load(CONVERSATION)[0]
    return as_mu_law(side[np.abs(side.astype(int)) > 0][:32_000].astype(np.float64))


@pytest.mark.parametrize("burst", [1.0, 2.5, 5.0])
def test_so_many_are_lost_in_a_row(burst: float) -> None:
    lost = losses(200_000, 0.05, burst, np.random.default_rng(1))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], lost, [False]])))
    assert lost.mean() == pytest.approx(0.05, rel=0.05)
    wanted = 1 / 0.95 if burst == 1 else burst
    assert (edges[1::2] - edges[::2]).mean() == pytest.approx(wanted, rel=0.05)


def test_what_is_not_lost_comes_out_of_the_timeline_as_it_was() -> None:
    voice = speech()
    tracks = np.array([voice[:16_000], voice[16_000:]])
    lost = np.array([losses(100, 0.2, 2, np.random.default_rng(seed)) for seed in (1, 2)])
    made = joined(arrived(tracks, lost), 2, 16_000)
    gone = np.repeat(lost, PACKET_SAMPLES, axis=1)
    assert (made[~gone] == tracks[~gone]).all()
    assert not made[gone].any()
