"""A recorder dies, another one goes on: one file, the gap of the true length, and everything adds up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from media.sinks import continuation
from media.sinks.contract import CallReport, TrackReport
from strep.clock import NS_PER_SECOND, ManualClock
from strep.g711 import Codec
from strep.header import Direction
from tests.media.harness import encoded_channels, pcm_channels
from tests.sinks.histories import Format
from tests.sinks.process import BLOCK, RATE_HZ, Process, seen
from tests.sinks.rows import Row, batch_of
from tests.sinks.sidecars import check


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(5 * NS_PER_SECOND)


def pause(clock: ManualClock, seconds: float) -> None:
    clock.advance(round(seconds * NS_PER_SECOND))


def test_one_file_with_a_gap_of_the_true_length(tmp_path: Path, clock: ManualClock) -> None:
    began_ns = clock.wall_ns()
    first = Process(tmp_path, clock)
    first.record(20)
    first.die()
    pause(clock, 1.5)
    second = Process(tmp_path, clock, seed=1)
    second.record(15)
    second.end()
    assert seen(tmp_path) == ["leg.json", "leg.wav"]
    document = check(tmp_path / "leg.json")
    assert (document["state"], document["started_wall_ns"], document["clock"]) == ("complete", began_ns, None)
    assert document["restarts"] == [{"start_samples": 16_000, "length_samples": 12_000}]
    assert document["length_samples"] == 16_000 + 12_000 + 12_000
    moved = {"event": "dtmf", "digit": "5", "position_samples": 28_000 + BLOCK}
    assert document["events"] == [moved, {"event": "mark"}]
    for track in document["tracks"]:
        spans = [(span["start_samples"], span["length_samples"], span["kind"]) for span in track["ledger"]]
        assert spans == [(0, 16_000, "unaccounted"), (16_000, 12_000, "restart"), (28_800, 160, "lost")]
        assert (track["start_samples"], track["length_samples"]) == (0, 40_000)
    audio = pcm_channels(tmp_path / "leg.wav")
    assert np.array_equal(audio[:16_000], first.samples())
    assert not audio[16_000:28_000].any()
    assert np.array_equal(audio[28_000:], second.samples())
    assert second.sink.snapshot().continued == 1


@pytest.mark.parametrize("codec", [Codec.PCMU, Codec.PCMA])
def test_passthrough_keeps_the_law_of_the_file(codec: Codec, tmp_path: Path, clock: ManualClock) -> None:
    first = Process(tmp_path, clock, "passthrough")
    first.record(10, codec)
    first.die()
    pause(clock, 0.5)
    second = Process(tmp_path, clock, "passthrough", seed=1)
    second.record(10, codec)
    second.end()
    assert check(tmp_path / "leg.json")["format"] == codec.name.lower()
    audio = encoded_channels(tmp_path / "leg.wav")
    left = [row.encoded for row in first.rows if row.channel == 0]
    assert np.array_equal(audio[:8000, 0], np.concatenate(left))
    assert np.all(audio[8000:12_000] == codec.silence)
    right = [row.encoded for row in second.rows if row.channel == 1]
    assert np.array_equal(audio[12_000:, 1], np.concatenate(right))


def test_again_and_again(tmp_path: Path, clock: ManualClock) -> None:
    for seed in range(3):
        process = Process(tmp_path, clock, seed=seed)
        process.record(10)
        if seed < 2:
            process.die()
            pause(clock, 1)
    process.end(Direction.OUTBOUND)
    document = check(tmp_path / "leg.json")
    assert [gap["start_samples"] for gap in document["restarts"]] == [8000, 24_000]
    (track,) = document["tracks"]
    assert track["totals"] == {"unaccounted": 16_000, "restart": 16_000, "received": 7840, "lost": 160}
    assert len(pcm_channels(tmp_path / "leg.wav")) == 40_000


def test_what_the_dead_had_not_written_is_in_the_gap(tmp_path: Path, clock: ManualClock) -> None:
    first = Process(tmp_path, clock)
    first.record(10)
    first.sink.receive(batch_of(Row(0, 0, 8000, 160), Row(0, 1, 8000, 160), now_ns=clock.now_ns()))
    pause(clock, 0.1)
    first.die()
    second = Process(tmp_path, clock, seed=1)
    second.record(10)
    second.end()
    assert check(tmp_path / "leg.json")["restarts"] == [{"start_samples": 8000, "length_samples": 800}]


def test_a_direction_that_comes_later_extends_the_gap(tmp_path: Path, clock: ManualClock) -> None:
    first = Process(tmp_path, clock)
    first.record(10)
    first.die()
    second = Process(tmp_path, clock, seed=1)
    second.record(10)
    track = TrackReport(Direction.INBOUND, "PCMU", 1600, 6400, {}, [], {"received": 6400})
    second.sink.call_ended(second.call, CallReport("stop", clock.wall_ns(), 8000, [track]))
    (track_said,) = check(tmp_path / "leg.json")["tracks"]
    assert track_said["totals"] == {"unaccounted": 8000, "restart": 1600, "received": 6400}


class TestTime:
    def test_a_clock_that_was_set_does_not_count(self, tmp_path: Path, clock: ManualClock) -> None:
        first = Process(tmp_path, clock)
        first.record(10)
        first.die()
        pause(clock, 2)
        clock.epoch_ns += 3600 * NS_PER_SECOND
        second = Process(tmp_path, clock)
        second.record(10)
        second.end()
        assert check(tmp_path / "leg.json")["restarts"] == [{"start_samples": 8000, "length_samples": 16_000}]

    def test_after_a_start_of_the_machine_wall_time_counts(
        self, tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("media.sinks.continuation.boot_id", lambda: "one")
        first = Process(tmp_path, clock)
        first.record(10)
        first.die()
        monkeypatch.setattr("media.sinks.continuation.boot_id", lambda: "two")
        monkeypatch.setattr("media.sinks.recorded_call.boot_id", lambda: "two")
        later = ManualClock(NS_PER_SECOND, clock.wall_ns() + NS_PER_SECOND)
        for _ in range(2):  # the second time by the clock of the new start
            second = Process(tmp_path, later)
            second.record(10)
            second.die()
            pause(later, 1)
        third = Process(tmp_path, later)
        third.record(10)
        third.end()
        gaps = [gap["length_samples"] for gap in check(tmp_path / "leg.json")["restarts"]]
        assert gaps == [16_000, 8000, 8000]

    def test_a_sender_that_is_ahead_of_the_clock_leaves_no_gap(self, tmp_path: Path, clock: ManualClock) -> None:
        first = Process(tmp_path, clock)
        first.record(10)
        first.die()
        clock.advance(-NS_PER_SECOND // 10)
        second = Process(tmp_path, clock)
        second.record(10)
        second.end()
        document = check(tmp_path / "leg.json")
        assert document["restarts"] == [{"start_samples": 8000, "length_samples": 0}]
        assert document["length_samples"] == 16_000


class TestNotContinued:
    """Another file beside it, and not a byte of the old one is touched."""

    def check(self, directory: Path, before: bytes) -> None:
        assert (directory / "leg.wav").read_bytes() == before
        assert check(directory / "leg.2.json")["restarts"] == []
        assert len(pcm_channels(directory / "leg.2.wav")) == 8000

    def left_behind(self, directory: Path, clock: ManualClock, format: Format = "pcm16") -> Process:
        process = Process(directory, clock, format)
        process.record(10)
        return process

    def follow(self, directory: Path, clock: ManualClock) -> None:
        before = (directory / "leg.wav").read_bytes()
        process = Process(directory, clock)
        process.record(10)
        process.end()
        self.check(directory, before)

    def test_somebody_writes_it(self, tmp_path: Path, clock: ManualClock) -> None:
        alive = self.left_behind(tmp_path, clock)
        self.follow(tmp_path, clock)
        alive.end()
        assert check(tmp_path / "leg.json")["length_samples"] == 8000

    def test_too_long_ago(self, tmp_path: Path, clock: ManualClock) -> None:
        self.left_behind(tmp_path, clock).die()
        pause(clock, continuation.LONGEST_GAP_S + 2)
        self.follow(tmp_path, clock)

    def test_from_the_future(self, tmp_path: Path, clock: ManualClock) -> None:
        pause(clock, 3600)
        self.left_behind(tmp_path, clock).die()
        self.follow(tmp_path, ManualClock())

    def test_other_format(self, tmp_path: Path, clock: ManualClock) -> None:
        self.left_behind(tmp_path, clock, "passthrough").die()
        self.follow(tmp_path, clock)

    def test_no_file_of_ours(self, tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
        self.left_behind(tmp_path, clock).die()
        (tmp_path / "leg.wav").write_bytes(b"RIFF")
        self.follow(tmp_path, clock)
        assert "cannot be continued: not a header of ours" in caplog.text

    def test_finished(self, tmp_path: Path, clock: ManualClock) -> None:
        self.left_behind(tmp_path, clock).end()
        self.follow(tmp_path, clock)


@pytest.mark.parametrize("format", ["pcm16", "passthrough"])
def test_a_process_that_died_before_it_wrote_anything_leaves_one_gap(
    tmp_path: Path, clock: ManualClock, format: Format
) -> None:
    first = Process(tmp_path, clock, format)
    first.record(10)
    first.die()
    for _ in range(3):
        clock.advance(NS_PER_SECOND)
        Process(tmp_path, clock, format).die()
    clock.advance(NS_PER_SECOND)
    last = Process(tmp_path, clock, format, seed=1)
    last.record(10)
    last.end()
    document = check(tmp_path / "leg.json")
    assert document["restarts"] == [{"start_samples": 8000, "length_samples": 4 * RATE_HZ}]
    for track in document["tracks"]:
        assert (track["totals"]["unaccounted"], track["totals"]["restart"]) == (8000, 4 * RATE_HZ)
