"""What docs/timeline.md says is so: its pictures are drawn, its figures are those of the runs, its commands run."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from docs.pictures import scenes, terminal
from docs.pictures.run import SAMPLES_PER_MS, Run, play
from strep.table import TimelineSettings
from tests.media.serving import ENVIRONMENT, serving
from tests.patience import PATIENCE_S

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGE = (DOCS / "timeline.md").read_text(encoding="utf-8")
WAIT_MS = TimelineSettings().reorder_wait_ms
SHOWN = re.findall(r"!\[[^\]]+\]\(pictures/(\w+)\.svg\)", PAGE)


def ledger(run: Run) -> list[tuple[str, float, float, str]]:
    """Return track, begin, length in ms and kind of everything that was not plainly received."""
    assert run.report is not None
    return [
        (track.direction.name.lower(), begin / SAMPLES_PER_MS, length / SAMPLES_PER_MS, kind)
        for track in run.report.tracks
        for begin, length, kind in track.ledger
    ]


def test_pictures_are_there() -> None:
    pytest.importorskip("matplotlib")
    from docs.pictures.draw import PICTURES

    assert list(PICTURES) == SHOWN
    assert {path.stem for path in DOCS.glob("pictures/*.svg")} == {*PICTURES, *terminal.NAMES}


@pytest.mark.parametrize("name", [name for name in SHOWN if name != "skew"])
def test_a_picture_is_drawn_alike_each_time(name: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from docs.pictures.draw import draw

    first = draw(name, tmp_path).read_bytes()
    assert first.startswith(b"<?xml")
    assert draw(name, tmp_path).read_bytes() == first


def test_order_does_not_matter_and_nothing_is_missing() -> None:
    run = play(scenes.places())
    assert ledger(run) == []
    assert run.report is not None
    statistics = run.report.tracks[0].statistics
    assert (statistics["reordered"], statistics["duplicate"]) == (1, 1)


def test_a_hole_is_given_up_by_the_clock() -> None:
    packets = scenes.waiting()
    run, first = play(packets, beat_ms=1), packets[0].number
    assert ledger(run) == [("inbound", 80, 20, "lost"), ("inbound", 240, 20, "late-patched")]
    late = next(packet for packet in packets if packet.number == first + 12)
    behind = min(packet.arrival_ms for packet in packets if packet.number > late.number)
    given_up = next(now for now, settled in run.resolved if settled > 260)
    assert given_up == pytest.approx(behind + WAIT_MS, abs=1)
    [patch] = [block for block in run.blocks if block.late]
    assert f"comes {5 * round((late.arrival_ms - given_up) / 5)} ms after it was given up" in PAGE
    assert (patch.begin_ms, patch.end_ms) == (240, 260)


def test_silence_is_told_from_loss() -> None:
    assert ledger(play(scenes.silence())) == [("inbound", 100, 80, "silence"), ("inbound", 280, 40, "lost")]


def test_a_restart_is_measured() -> None:
    [(_, begin, length, kind)] = ledger(play(scenes.epochs()))
    assert (begin, kind) == (600, "restart")
    assert f"here {length:.0f} ms, measured" in PAGE


def test_the_ledger_of_the_call() -> None:
    run = play(scenes.call())
    rows = [f"| {track} | {begin:.7g} | {length:g} | {kind} |" for track, begin, length, kind in ledger(run)]
    assert "\n".join(rows) in PAGE
    assert run.report is not None
    for track in run.report.tracks:
        assert sum(track.totals.values()) == track.length_samples


def test_clocks_run_apart_and_nothing_is_made_up() -> None:
    run = play(scenes.skew(minutes=2), beat_ms=1000)
    assert ledger(run) == []
    for course, sign in zip(run.lags, (1, -1), strict=True):
        assert course[0][1] - course[-1][1] == pytest.approx(sign * 120 / 5, abs=5)


@pytest.mark.realtime
def test_its_commands(tmp_path: Path) -> None:
    [block] = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    served, called, shown = (line.removeprefix("$ ").removeprefix(".venv/bin/") for line in block.splitlines())
    served = served.removeprefix("strep serve ").replace(":9000", ":0")
    with serving(*shlex.split(served), folder=tmp_path) as (process, addresses):
        called = called.removeprefix("strep ").replace("127.0.0.1:9000", addresses["udp"])
        command = [sys.executable, "-m", "media.cli", *shlex.split(called)]
        subprocess.run(command, check=True, env=ENVIRONMENT, capture_output=True, timeout=PATIENCE_S)
        process.terminate()
        process.communicate(timeout=PATIENCE_S)
    [before] = [path.read_bytes() for path in tmp_path.glob("recordings/*.json")]
    (tmp_path / "recordings" / "of another call.json").write_text("{}")
    printed = subprocess.run(
        ["sh", "-c", shown], check=True, cwd=tmp_path, capture_output=True, timeout=PATIENCE_S
    ).stdout
    assert before in printed
    assert b"{}" in printed, "of all calls"
    tracks = json.loads(before)["tracks"]
    kinds = {span["kind"] for track in tracks for span in track["ledger"]}
    assert kinds >= {"lost", "silence"}
    assert all(track["statistics"]["epochs"] == 1 for track in tracks), "another source, and nothing between"
