"""The corpus of `strep bench hearing`, and what its referee says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import hearing
from benchmarks.hearing_corpus import Keys, Line, Press, key_line, music, signals
from benchmarks.hearing_score import Score, score
from benchmarks.progress import Silent
from benchmarks.readme import section
from benchmarks.report import Report
from media.hearing.verdict import Digit


@pytest.mark.bench
def test_the_question(tmp_path: Path) -> None:
    settings = hearing.Settings(keys=40, speech=0, music=0.01, tracks=(20,), seconds=0.2, repeats=1)
    report = hearing.QUESTION.measure(settings, Silent(), tmp_path)
    assert report.complaints == []
    assert report.answers[0].startswith("of 240 keys 0 are missed, 0 doubled, 0 invented")
    assert [cells[0] for cells in report.tables[2].cells] == list(hearing._LISTENING)
    assert Report.from_json(report.to_json()).tables == report.tables
    assert section(report)


def digit(name: str, start: int, length: int = 320) -> Digit:
    return Digit(0, name, start, length, -10.0, 0.0, 0)


def test_score() -> None:
    presses = [Press("1", 1000, 320, 320), Press("2", 1640, 320, 320), Press("3", 2280, 320, 60)]
    line = Line(np.zeros(3000, np.int16), np.zeros(3000, np.bool_), presses)
    heard = [digit("1", 990), digit("1", 1100), digit("5", 1640), digit("9", 9000)]
    assert score(heard, [line]) == Score(pressed=3, undecidable=1, missed=1, doubled=1, invented=2)


def test_equal_keys_whose_pause_is_lost_cannot_be_told_apart() -> None:
    presses = [Press("1", 1000, 320, 320), Press("1", 1640, 320, 320)]
    line = Line(np.zeros(3000, np.int16), np.zeros(3000, np.bool_), presses)
    assert score([digit("1", 1000)], [line]).missed == 1
    line.lost[1300:1660] = True
    assert score([digit("1", 1000)], [line]) == Score(pressed=2, undecidable=1)


def test_keys_are_what_they_say_and_seeded() -> None:
    one, same = (key_line(Keys(), 5, np.random.default_rng(1), 0.1) for _ in range(2))
    assert np.array_equal(one.pcm, same.pcm)
    assert one.presses == same.presses
    assert not one.pcm[one.lost].any()
    assert [press.heard for press in one.presses] != [320] * 5
    clean = key_line(Keys(snr_db=None), 3, np.random.default_rng(1))
    for press in clean.presses:
        assert np.count_nonzero(clean.pcm[press.start : press.start + press.length]) > 300
        assert not clean.pcm[press.start + press.length :][:320].any()


@pytest.mark.parametrize("source", [music, signals])
def test_what_is_no_key_is_loud(source) -> None:  # type: ignore[no-untyped-def]
    [piece] = source(60, np.random.default_rng(1))
    assert len(piece) == 60 * 8000
    assert 500 < np.abs(piece.astype(float)).mean() < 12_000
