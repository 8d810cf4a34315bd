"""The question about NATS: an answer with two calls, with real programs on loopback."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import nats
from tests.benchmarks.test_questions import ask
from tests.nats.nats_server import needs_nats

pytestmark = [pytest.mark.bench, *needs_nats]


def test_nats(tmp_path: Path) -> None:
    report = ask(nats.QUESTION, nats.Settings(calls=(2,), seconds=1, repeats=1), tmp_path)
    assert report.complaints == []
    assert report.runs == 2
    assert [cells[1] for cells in report.tables[1].cells] == [*nats._PARTS.values(), "all"]
