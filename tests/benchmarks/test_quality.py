"""Opinions against loss patterns that are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.progress import Silent
from benchmarks.quality import QUESTION, Settings, complaints_of, late_complaints_of, through
from benchmarks.readme import section
from media.carrier.network import NetworkModel


@pytest.mark.parametrize("burst", [0.0, 3.0])
@pytest.mark.parametrize("loss", [0.01, 0.05, 0.2])
def test_what_is_measured_is_what_the_network_did(loss: float, burst: float) -> None:
    found = through(NetworkModel(loss=loss, burst_loss=burst), Settings(tracks=3, seconds=20), seed=1)
    assert [text for one in found for text in complaints_of(one)] == []
    assert sum(one.truth.lost for one in found) > 0


def test_jitter_costs_shallow_buffers_only() -> None:
    (one,) = through(NetworkModel(jitter_ms=90, max_delay_ms=90), Settings(tracks=1, seconds=20), seed=1)
    opinions = [buffered.concealed.mos for buffered in one.quality.buffers]
    assert opinions == sorted(opinions)
    assert opinions[0] < 2
    assert opinions[-1] == pytest.approx(4.41, abs=0.01)
    assert [buffered.late for buffered in one.quality.buffers][-2:] == [0, 0]


def test_the_earliest_is_of_late_even_where_nothing_comes_in_order() -> None:
    found = through(NetworkModel(jitter_ms=250, max_delay_ms=250), Settings(tracks=8, seconds=45), seed=3)
    assert [text for one in found for text in late_complaints_of(one)] == []


def test_the_question_is_answered(tmp_path: Path) -> None:
    report = QUESTION.measure(Settings(tracks=1, seconds=10), Silent(), tmp_path)
    assert report.complaints == []
    assert section(report)
