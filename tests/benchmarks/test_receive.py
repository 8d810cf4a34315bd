"""The whole harness under a tiny load, and the command around it."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.command import bench
from benchmarks.contenders import CONTENDERS, missing
from benchmarks.course import Course
from benchmarks.load import PTIME_MS, Load
from benchmarks.report import Report

pytestmark = [
    pytest.mark.bench,
    pytest.mark.realtime,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="recvmmsg and /proc are Linux"),
]

ARGUMENTS = ["receive", "--seconds", "0.4", "--ramp", "50", "--repeats", "1", "--legs", "5"]


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    return Course(Load(legs=5, ramp_seconds=0.1, plateau_seconds=0.4), tmp_path_factory.mktemp("course"))


@pytest.fixture(scope="module", autouse=True)
def close(course: Course) -> object:
    yield
    course.close()


@pytest.mark.parametrize("contender", list(CONTENDERS))
def test_every_contender_passes_the_referee(course: Course, contender: str) -> None:
    if what := missing(contender):
        pytest.skip(what)
    run = course.run(contender, 1)
    assert run.complaints == []
    assert run.sent == run.received == 5 * 2 * 25
    assert run.received_per_s > 0
    assert run.whole_ns >= run.between_ns >= 0  # a kernel that counts in ticks may have seen none of so little
    assert run.cpu_ns >= 0


def test_contender_that_dies_does_not_count(course: Course) -> None:
    run = course.run("no-such-contender", 1)
    assert run.received == 0
    assert "KeyError: 'no-such-contender'" in run.complaints[0]


class TestLoad:
    @pytest.mark.parametrize("legs", [1, 5, 100, 1000])
    def test_packets_are_spread_evenly(self, legs: int) -> None:
        load = Load(legs, ramp_seconds=0.2, plateau_seconds=0.2)
        phases_ms = sorted(round(call * load._stagger_ms * 1000) % (PTIME_MS * 1000) for call in range(legs))
        assert phases_ms == [round(call * PTIME_MS * 1000 / legs) for call in range(legs)]

    def test_plateau_has_the_rate(self) -> None:
        load = Load(20, ramp_seconds=0.2, plateau_seconds=1.0)
        times_ns = load.plan().times_ns
        first_ns, last_ns = load.plateau_ns
        assert ((times_ns >= first_ns) & (times_ns < last_ns)).sum() == load.packets_per_second


class TestCommand:
    @pytest.fixture(autouse=True)
    def not_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Do not wait for a real benchmark that runs on this machine: figures do not matter here."""
        monkeypatch.setattr("benchmarks.command.alone", nullcontext)

    def test_tables_and_json(self, tmp_path: Path) -> None:
        path = tmp_path / "figures.json"
        only = ["--only", "floor", "--only", "recording", "--only", "asyncio"]
        outcome = CliRunner().invoke(bench, [*ARGUMENTS, *only, "--json", str(path), "--scratch", str(tmp_path)])
        assert outcome.exit_code == 0, outcome.output
        assert "3 runs checked, no complaint" in outcome.output
        figures = Report.from_json(path.read_bytes()).figures
        assert [row["contender"] for row in figures["rows"]] == ["floor", "recording", "asyncio"]
        assert [(ratio["over"], ratio["under"]) for ratio in figures["ratios"]] == [
            ("recording", "floor"),
            ("asyncio", "recording"),
        ]
        again = CliRunner().invoke(bench, ["receive", "--from-json", str(path)])
        assert "bare recvmmsg every 5 ms" in again.output

    def test_complaint_ends_with_1(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def complain(*_: object) -> list[str]:
            return ["a sample is altered"]

        monkeypatch.setattr("benchmarks.course.check_recordings", complain)
        outcome = CliRunner().invoke(bench, [*ARGUMENTS, "--only", "recording", "--scratch", str(tmp_path)])
        assert outcome.exit_code == 1
        assert "does not count" in outcome.output
        assert "REFEREE: recording, 5 legs, repeat 1: a sample is altered" in outcome.output
