"""Calls that are answered by everything that answers, and what is made of that."""

from __future__ import annotations

from pathlib import Path
from shutil import which

import numpy as np
import pytest

from benchmarks import machines
from benchmarks.machine_corpus import KINDS, answers
from benchmarks.progress import Silent
from benchmarks.readme import section
from benchmarks.report import Report
from media.hearing.machine import MachineRules

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(which("espeak-ng") is None, reason="no espeak-ng here: make peers"),
]


@pytest.mark.bench
def test_the_question(tmp_path: Path) -> None:
    report = machines.QUESTION.measure(machines.Settings(calls=4), Silent(), tmp_path)
    assert report.complaints == []
    assert report.answers[0].startswith("4 of 4 people who say hello are people")
    assert report.answers[2] == "12 of 12 faxes and silences are what they are"
    assert [cells[0] for cells in report.tables[0].cells] == list(KINDS)
    assert Report.from_json(report.to_json()).tables == report.tables
    assert section(report)


@pytest.mark.bench
def test_the_same_calls_have_the_same_verdicts() -> None:
    one, same = (answers(2, np.random.default_rng(5)) for _ in range(2))
    assert all(np.array_equal(a.pcm, b.pcm) for a, b in zip(one, same, strict=True))
    assert machines.judge(one, MachineRules())[0] == machines.judge(same, MachineRules())[0]
