"""Every question, asked under a tiny load: it is measured, judged and answered."""

from __future__ import annotations

import sys
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from benchmarks import (
    capacity,
    deliver,
    feed,
    floods,
    latency,
    memory,
    mp3,
    pieces,
    scale,
    soak,
    startup,
    symptoms,
    talk,
    transcribe,
    workers,
)
from benchmarks.progress import Silent
from benchmarks.question import Question
from benchmarks.readme import section
from benchmarks.report import Report

pytestmark = [
    pytest.mark.bench,
    pytest.mark.realtime,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="recvmmsg and /proc are Linux"),
]


def ask(question: Question, settings: Any, scratch: Path) -> Report:
    report = question.measure(settings, Silent(), scratch)
    assert report.question == question.name
    assert not list(scratch.glob("*/*.wav")), "recordings are left behind"
    assert Report.from_json(report.to_json()).tables == report.tables
    assert section(report)
    return report


def test_scale(tmp_path: Path) -> None:
    settings = scale.Settings(legs=(2, 10), ramp=100, seconds=0.4, idle=0.2, repeats=1)
    report = ask(scale.QUESTION, settings, tmp_path)
    assert report.complaints == []
    assert [cells[0] for cells in report.tables[0].cells] == ["2", "10"]
    assert "an idle server takes" in report.answers[1]
    assert report.runs == 5


def test_latency(tmp_path: Path) -> None:
    report = ask(latency.QUESTION, latency.Settings(calls=(4,), ramp=100, seconds=1, repeats=1), tmp_path)
    assert report.complaints == []
    [measured] = report.figures
    assert measured["latency"]["blocks"] == pytest.approx(4 * 2 * 10, abs=8)
    assert 0 < measured["latency"]["p50_ms"] <= measured["latency"]["p99_ms"] <= measured["latency"]["max_ms"]


def test_capacity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (capacity, symptoms):  # three calls leave nothing behind
        monkeypatch.setattr(module, "SETTLE_SECONDS", 0)
    settings = capacity.Settings(start=2, most=3, seconds=1.5, hold=2, ramp=100, latency=10_000)
    report = ask(capacity.QUESTION, settings, tmp_path)
    assert report.complaints == []
    assert report.answers[0].startswith("this machine carries 3 recorded two-direction calls for 2 s")
    assert report.answers[1] == "nothing gave way up to 3 calls; try more with --most 6"


def test_memory(tmp_path: Path) -> None:
    settings = memory.Settings(few=2, many=6, seconds=1, ramp=100, gone=2, all_gone=4, repeats=1)
    report = ask(memory.QUESTION, settings, tmp_path)
    assert report.complaints == []
    assert report.figures["stays"][0]["weights"][1][1]["rss_kib"] > 1000
    assert "a call weighs" in report.answers[0]


def test_workers(tmp_path: Path) -> None:
    report = ask(workers.QUESTION, workers.Settings(legs=8, ramp=100, seconds=1, repeats=1), tmp_path)
    assert report.complaints == []
    found = report.figures[0]["shared"]["workers"]
    assert sum(worker["calls_started"] for worker in found) == 8
    assert all(worker["tracks"] == 2 * worker["calls"] > 0 for worker in found)
    assert report.answers[1] == "both directions of every leg met in one worker: yes"


def test_soak(tmp_path: Path) -> None:
    """Tens of seconds: the balance is exact and nothing is missing; whether it is flat takes an hour."""
    settings = soak.Settings(minutes=0.1, calls=14, shortest=2, longest=4, look=1)
    report = ask(soak.QUESTION, settings, tmp_path)
    assert report.complaints == []
    assert "0 files missing" in report.answers[0]
    assert "left the carrier =" in report.answers[1]
    assert len(report.charts) == 4


def test_floods(tmp_path: Path) -> None:
    settings = floods.Settings(calls=4, seconds=4, legs=2000, rates=(2000,), sockets=20, readers=3)
    report = ask(floods.QUESTION, settings, tmp_path)
    assert report.complaints == []
    assert [flood["sent"] - flood["received"] for flood in report.figures] == [0] * 6
    assert "6 floods: 0 of" in report.answers[0]
    assert all(4 <= flood["calls_most"] <= 8 for flood in report.figures[:3]), "--max-calls is 8"


def test_startup(tmp_path: Path) -> None:
    report = ask(startup.QUESTION, startup.Settings(repeats=1), tmp_path)
    assert report.complaints == []
    assert [cells[0] for cells in report.tables[0].cells][-1] == "strep serve, to its line `ready`"


def test_feed(tmp_path: Path) -> None:
    report = ask(feed.QUESTION, feed.Settings(tracks=4, seconds=0.3, readers=2, repeats=1), tmp_path)
    assert report.complaints == []
    assert [cells[0] for cells in report.tables[0].cells] == list(feed.WISHES)
    assert "us to write to each WebSocket" in report.answers[0]


def test_mp3(tmp_path: Path) -> None:
    report = ask(mp3.QUESTION, mp3.Settings(repeats=1, lengths=(1,)), tmp_path)
    assert report.complaints == []
    assert [cells[0] for cells in report.tables[0].cells][:2] == ["strep, Mp3PieceEncoder", mp3._LABELS["bare"]]
    assert report.answers[0].startswith("an MP3 of 1 s takes ")


def test_pieces(tmp_path: Path) -> None:
    report = ask(pieces.QUESTION, pieces.Settings(calls=(3,), ramp=100, seconds=4, repeats=1), tmp_path)
    assert report.complaints == []
    [measured] = report.figures
    assert 3 * 2 <= measured["pieces"] <= 3 * 4
    assert 0 < measured["first_ms"]["p50"] <= measured["first_ms"]["max"]
    assert report.answers[0].startswith("3 calls: ")
    assert [cells[0] for cells in report.tables[0].cells] == ["3"]


def test_talk(tmp_path: Path) -> None:
    report = ask(
        talk.QUESTION,
        talk.Settings(calls=(2,), both_ways=(2,), ramp=100, seconds=2.5, press=0.8, repeats=1),
        tmp_path,
    )
    assert report.complaints == []
    assert [measured["load"] for measured in report.figures] == [
        {"calls": 2, "both_ways": False},
        {"calls": 2, "both_ways": True},
    ]
    for measured in report.figures:
        assert measured["clears"] >= 2
        assert measured["messages"] >= 2 * 25 * 2 * 0.9, "a look-ahead goes out in one"
        assert 0 <= measured["lateness_ms"]["p50"] <= measured["lateness_ms"]["max"]
        assert 0 < measured["silence_ms"]["max"] <= measured["answer_ms"]["max"]
    assert [[row[0] for row in table.cells] for table in report.tables] == [["2", "2 both ways"]] * 2


def test_deliver(tmp_path: Path) -> None:
    settings = deliver.Settings(minutes=0.1, calls=4, ramp=100, seconds=1, repeats=1)
    report = ask(deliver.QUESTION, settings, tmp_path)
    assert report.complaints == []
    assert [one["format"] for one in report.figures["costs"]] == ["flac", "mp3", "opus"]
    assert all(one["cpu_s_per_hour"] > 0 for one in report.figures["costs"])
    assert [one["share"] > 0 for one in report.figures["runs"]] == [False, True, True, True]


@pytest.mark.peer
@pytest.mark.skipif(which("flite") is None, reason="flite is not installed: make peers")
def test_transcribe(tmp_path: Path) -> None:
    pytest.importorskip("pocketsphinx", reason="pip install strep[transcribe]")
    report = ask(transcribe.QUESTION, transcribe.QUESTION.quick, tmp_path)
    assert report.complaints == []
    assert [row[0] for row in report.tables[0].cells] == ["sentences, rms", "digits, rms"]
    assert "of a core while somebody speaks" in report.answers[0]
