"""`strep demo`: it agrees with the truth, says so, and says it when it does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result
from rich.console import Console

from media import cli
from media.blocks import PcmBatch
from media.demo import command
from media.demo.meter import HISTORY, Meter
from media.demo.session import Session, TrackView, View
from media.demo.tables import disagreements, live_table, plain_line, sparkline, verdict_table
from media.demo.verdict import NAMES, Verdict, judge
from media.sinks.contract import CallInfo, CallReport, TrackReport
from strep.g711 import Codec, encode
from strep.header import Direction


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.strep, ["demo", *arguments])


def batch(*levels: int, first: int = 0, last: int = 800, late: bool = False) -> PcmBatch:
    """Return a block per level of call 0, channels in turn: a square wave of that amplitude."""
    pcm = np.tile(np.array([1, -1], np.int16), 400) * np.array(levels, np.int16)[:, np.newaxis]
    n = len(levels)
    return PcmBatch(
        call=np.zeros(n, np.int32),
        channel=(np.arange(n) % 2).astype(np.uint8),
        positions=np.zeros(n, np.int64),
        first=np.full(n, first, np.int32),
        last=np.full(n, last, np.int32),
        codec=np.full(n, Codec.PCMU, np.uint8),
        encoded=np.stack([encode(row, Codec.PCMU) for row in pcm]),
        late=late,
    )


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    """One run of the real thing, as short as can be, for all who look at what it leaves."""
    directory = tmp_path_factory.mktemp("demo")
    return run("--seconds", "1", "--calls", "2", "--directory", str(directory)), directory


@pytest.mark.realtime
class TestDemonstration:
    def test_agrees(self, demonstration: tuple[Result, Path]) -> None:
        result, _ = demonstration
        assert result.exit_code == 0, result.output
        assert "✓" in result.output
        assert "≠" not in result.output
        assert "All 104,000 samples are where they belong" in result.output
        assert "11,200 of 11,200" in result.output
        assert "the caller heard back what she said" in result.output

    def test_leaves_a_recording_a_ledger_and_a_picture_of_each(self, demonstration: tuple[Result, Path]) -> None:
        result, directory = demonstration
        stems = {path.stem for path in directory.iterdir() if path.is_file()}
        assert len(stems) == 5
        assert all(stem in result.output for stem in stems)
        assert {path.name for path in directory.iterdir()} == {"talk"} | {
            f"{stem}.{suffix}" for stem in stems for suffix in ("wav", "json", "png")
        }

    def test_leaves_both_sides_of_the_talk(self, demonstration: tuple[Result, Path]) -> None:
        """The picture is there, and the file has what was said on its left, and on its right the same again later."""
        _, directory = demonstration
        assert (directory / "talk" / "talk.png").stat().st_size > 10_000
        both, rate_hz = soundfile.read(directory / "talk" / "talk.wav", dtype="int16")
        said, heard = (np.flatnonzero(np.abs(channel) > 1000) for channel in both.T)
        assert rate_hz == 8000
        assert said[-1] < heard[0]
        assert np.array_equal(both[said, 0], both[heard, 1])

    def test_plain_lines_where_there_is_no_terminal(self, demonstration: tuple[Result, Path]) -> None:
        result, _ = demonstration
        assert "\x1b" not in result.output
        assert "  5.0 s  strep: 200 sent, " in result.output

    def test_recordings_that_were_tampered_with_are_found_out(self, demonstration: tuple[Result, Path]) -> None:
        _, directory = demonstration
        session = Session(directory, seconds=1.0, calls=2)
        assert all(verdict.agrees for verdict in judge(session.parties, directory))
        wav = directory / f"{session.parties[0].key[0]}.wav"
        content = wav.read_bytes()
        wav.write_bytes(content[:-2000] + b"\x11" * 2000)
        try:
            verdicts = judge(session.parties, directory)
        finally:
            wav.write_bytes(content)
        wrong = [c.name for verdict in verdicts for c in verdict.comparisons if not c.agrees]
        assert wrong == ["correct\nsamples"] * 2  # both directions of that call


class TestDirectory:
    def test_with_something_in_it_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "x").touch()
        result = run("--directory", str(tmp_path))
        assert result.exit_code == cli.MISUSED
        assert "is not empty" in result.output

    def test_fresh_by_default(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        places = set()
        for _ in range(3):
            place = command._fresh(None)
            assert place.parent == Path("demo-output")
            place.mkdir(parents=True)
            places.add(place)
        assert len(places) == 3


@pytest.fixture
def session(tmp_path: Path) -> Session:
    made = Session(tmp_path, seconds=1.0, calls=1)
    made.totals = {"kernel_drops": 0, "conservation_errors": 0}
    return made


def made_up(session: Session, *, error: int = 0) -> list[Verdict]:
    """Return verdicts that agree, but for `error` in the lost packets of the first track."""
    verdicts = []
    for party in session.parties:
        missing = judge([party], session.directory)[0]
        agreeing = [replace(comparison, found=comparison.truth) for comparison in missing.comparisons]
        verdicts.append(Verdict(party, agreeing))
    lost = verdicts[0].comparisons[1]
    verdicts[0].comparisons[1] = replace(lost, found=lost.truth + error)
    return verdicts


class TestVerdict:
    def test_recordings_that_are_not_there_agree_with_nothing(self, session: Session) -> None:
        verdicts = judge(session.parties, session.directory)
        assert len(verdicts) == 5
        assert not any(comparison.agrees for verdict in verdicts for comparison in verdict.comparisons)
        lines = disagreements(verdicts, session.totals)
        assert "is missing, and the carrier says" in lines[0]
        assert lines[10:] == ["and 25 more figures"]

    def test_agreement(self, session: Session, capsys: pytest.CaptureFixture[str]) -> None:
        command._conclude(made_up(session), [], session, Console(width=120))
        assert "All 72,000 samples are where they belong" in capsys.readouterr().out

    def test_disagreement_is_an_error_that_names_the_figure(self, session: Session) -> None:
        session.totals["kernel_drops"] = 7
        with pytest.raises(click.ClickException) as raised:
            command._conclude(made_up(session, error=1), [], session, Console())
        assert raised.value.exit_code == cli.FAILED
        call_id, direction = session.parties[0].key
        truth = session.parties[0].truth.lost
        assert f"{call_id} {direction}: lost is {truth + 1}, and the carrier says {truth}" in raised.value.message
        assert "the kernel dropped 7 datagrams" in raised.value.message

    def test_packets_that_do_not_add_up_are_an_error(self, session: Session) -> None:
        session.totals["conservation_errors"] = 1
        with pytest.raises(click.ClickException, match="conserve"):
            command._conclude(made_up(session), [], session, Console())

    @pytest.mark.parametrize(("draws", "mark"), [(True, "≠"), (False, "not")])
    def test_table(self, session: Session, draws: bool, mark: str) -> None:
        console = Console(width=120)
        with console.capture() as shown:
            console.print(verdict_table(made_up(session, error=1), 120, draws=draws))
        truth = session.parties[0].truth.lost
        assert f"{truth + 1} {mark} {truth}" in shown.get()
        for name in NAMES:
            assert all(word in shown.get() for word in name.split())


def view(session: Session, *, calls: int = 1, is_last: bool = False, **statistics: Any) -> View:
    counters = {"received": 1234, "never_arrived": 5, "late": 6, "duplicate": 7, "reordered": 8, "jitter_ms": 9.87}
    tracks = [TrackView(party, 1300, {**counters, **statistics}, (0.0, 0.5, 1.0)) for party in session.parties[:4]]
    return View(0.5, tracks * calls, is_last)


class TestWhatIsShown:
    @pytest.mark.parametrize("width", [80, 100, 120])
    def test_live_table_fits(self, session: Session, width: int) -> None:
        console = Console(width=width)
        with console.capture() as shown:
            console.print(live_table(view(session), 1.0, width))
        text = shown.get()
        assert "…" not in text
        for word in ("1,300", "1,234", "9.9", " ▄█", "inbound", "outbound", "strep", "ws", "0.5 of 1 s"):
            assert word in text
        assert max(map(len, text.splitlines())) <= width

    def test_live_table_of_a_terminal_that_draws_nothing(self, session: Session) -> None:
        console = Console(width=120)
        with console.capture() as shown:
            console.print(live_table(view(session), 1.0, 120, draws=False))
        assert "█" not in shown.get()

    def test_many_tracks_are_cut_off(self, session: Session) -> None:
        console = Console(width=120)
        with console.capture() as shown:
            console.print(live_table(view(session, calls=5), 1.0, 120))
        assert "and 4 more tracks" in shown.get()

    def test_before_the_first_packet(self, session: Session) -> None:
        empty = View(0.0, [TrackView(party, 0, {}, ()) for party in session.parties], is_last=False)
        console = Console(width=120)
        with console.capture() as shown:
            console.print(live_table(empty, 1.0, 120))
        assert "inbound" in shown.get()
        assert plain_line(empty).startswith("  0.0 s  strep: 0 sent, 0 received")

    def test_plain_line_adds_up_by_door(self, session: Session) -> None:
        assert plain_line(view(session)) == (
            "  0.5 s  strep: 2,600 sent, 2,468 received, 10 lost, 12 late, 14 twice, 16 reordered; "
            "ws: 2,600 sent, 2,468 received, 10 lost, 12 late, 14 twice, 16 reordered"
        )

    def test_sparkline(self) -> None:
        assert sparkline([0.0, 0.5, 1.0]) == " ▄█"


class TestMeter:
    def call(self) -> CallInfo:
        return CallInfo(0, "call", "strep", 0)

    def test_loudness_from_silent_to_loud(self) -> None:
        meter = Meter()
        meter.call_started(self.call())
        meter.receive(batch(0, 30_000))
        assert meter.levels == {("call", "inbound"): (0.0,), ("call", "outbound"): (1.0,)}

    def test_only_valid_columns_count(self) -> None:
        meter = Meter()
        meter.call_started(self.call())
        meter.receive(batch(2000, first=0, last=800))
        meter.receive(batch(2000, first=790, last=800))
        meter.receive(batch(2000, first=800, last=800))
        whole, part, none = meter.levels["call", "inbound"]
        assert part == pytest.approx(whole)
        assert none == 0

    def test_history_is_bounded(self) -> None:
        meter = Meter()
        meter.call_started(self.call())
        for _ in range(HISTORY + 5):
            meter.receive(batch(1000))
        assert len(meter.levels["call", "inbound"]) == HISTORY

    def test_patches_and_strangers_are_passed_over(self) -> None:
        meter = Meter()
        meter.receive(batch(1000))
        meter.call_started(self.call())
        meter.receive(batch(1000, late=True))
        meter.receive(PcmBatch.tick(0))
        assert meter.levels == {}

    def test_keeps_how_a_call_ended(self) -> None:
        meter = Meter()
        meter.call_started(self.call())
        report = TrackReport(Direction.OUTBOUND, "PCMU", 0, 800, {"received": 5}, [], {"received": 800})
        meter.call_ended(self.call(), CallReport("idle", 0, 800, [report]))
        meter.close()
        assert meter.final == {("call", "outbound"): {"received": 5}}
