"""What a dead recorder left behind is found by its lock and finished, unless its call is heard of again."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media.sinks.continuation import take_over
from media.sinks.damage import DESCRIPTION_LOST, NOT_DESCRIBED
from media.sinks.finished import FinishedRecording
from media.sinks.finisher import Finisher
from media.sinks.notes import Wish, note_of
from media.sinks.recorded_call import RecordedCall, Trouble
from media.sinks.salvage import ERROR, Salvage, finish
from media.sinks.takes.options import TakeOptions
from media.sinks.takes.running import Order
from media.sinks.told import UNACCOUNTED
from media.sinks.wav import Encoding, WavFile
from strep.clock import NS_PER_SECOND, ManualClock
from tests.media.harness import pcm_channels
from tests.sinks.process import Process
from tests.sinks.rows import call_info
from tests.sinks.sidecars import check


def left_behind(directory: Path, clock: ManualClock) -> Process:
    process = Process(directory, clock)
    process.record(10)
    return process


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(5 * NS_PER_SECOND)


def salvage(directory: Path) -> int:
    salvage = Salvage(directory, 0)
    salvage.start()
    salvage.join()
    return salvage.finished


def test_is_finished_with_what_was_written(tmp_path: Path, clock: ManualClock) -> None:
    process = left_behind(tmp_path, clock)
    process.die()
    with (tmp_path / "leg.wav").open("ab") as file:
        file.write(b"abc")  # of a frame that was not written whole
    assert salvage(tmp_path) == 1
    document = check(tmp_path / "leg.json")
    assert (document["state"], document["error"], document["reason"]) == ("failed", ERROR, None)
    assert document["length_samples"] == len(pcm_channels(tmp_path / "leg.wav")) == 8000
    assert (tmp_path / "leg.wav").stat().st_size == 80 + 4 * 8000
    assert salvage(tmp_path) == 0


def test_a_header_that_is_behind_is_brought_up_to_date(tmp_path: Path, clock: ManualClock) -> None:
    process = left_behind(tmp_path, clock)
    process.die()
    with (tmp_path / "leg.wav").open("ab") as file:
        file.write(bytes(4 * 500))
    assert finish(tmp_path / "leg.json")
    assert len(pcm_channels(tmp_path / "leg.wav")) == 8500


def test_what_somebody_writes_is_not_touched(tmp_path: Path, clock: ManualClock) -> None:
    process = left_behind(tmp_path, clock)
    before = (tmp_path / "leg.json").read_bytes()
    assert not finish(tmp_path / "leg.json")
    assert salvage(tmp_path) == 0
    assert (tmp_path / "leg.json").read_bytes() == before
    process.end()


def test_what_is_continued_in_time_is_not_finished(tmp_path: Path, clock: ManualClock) -> None:
    left_behind(tmp_path, clock).die()
    found = Salvage(tmp_path, 60)
    assert list(found._found()[0]) == [tmp_path / "leg.json"]
    process = left_behind(tmp_path, clock)
    assert not finish(tmp_path / "leg.json")
    process.end()
    assert check(tmp_path / "leg.json")["state"] == "complete"


def test_who_looks_is_not_in_the_way_of_who_goes_on(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_behind(tmp_path, clock).die()
    locked: list[int] = []
    monkeypatch.setattr(fcntl, "flock", lambda fd, _operation: locked.append(fd))
    assert list(Salvage(tmp_path, 60)._found()[0]) == [tmp_path / "leg.json"]
    assert locked == []


def test_what_somebody_went_on_with_is_left_to_the_start_of_who_follows(tmp_path: Path, clock: ManualClock) -> None:
    left_behind(tmp_path, clock).die()
    salvage = Salvage(tmp_path, 60, clock=clock)

    def go_on_and_die(_wait_s: float | None = None) -> bool:
        clock.advance(NS_PER_SECOND)
        left_behind(tmp_path, clock).die()
        return False

    salvage._stopping.wait = go_on_and_die  # type: ignore[method-assign, assignment]
    salvage._run()
    assert (salvage.finished, check(tmp_path / "leg.json")["state"]) == (0, "recording")
    assert Salvage(tmp_path, 0)._found()[0]


class TestKilledBeforeTheSidecarWasThere:
    def begun(self, directory: Path, samples: int = 0) -> Path:
        file = WavFile(directory / "leg.wav", Encoding.PCM16, 8000)
        file.write(0, np.ones((samples, 2), "<i2"))
        file.flush_header()
        file.let_go()
        return directory / "leg.wav"

    def test_it_is_said(self, tmp_path: Path) -> None:
        self.begun(tmp_path)
        assert salvage(tmp_path) == 1
        document = check(tmp_path / "leg.json")
        assert (document["state"], document["error"], document["call_id"]) == ("failed", NOT_DESCRIBED, "leg")
        assert (document["file"], document["length_samples"]) == ("leg.wav", 0)
        assert salvage(tmp_path) == 0

    @pytest.mark.parametrize("samples", [1, 2000])
    def test_audio_whose_sidecar_somebody_threw_away_is_not_touched(self, tmp_path: Path, samples: int) -> None:
        audio = self.begun(tmp_path, samples)
        before = audio.read_bytes()
        assert salvage(tmp_path) == 0
        assert [path.name for path in tmp_path.iterdir()] == ["leg.wav"]
        assert audio.read_bytes() == before

    def test_no_call_goes_on_with_audio_that_nobody_describes(self, tmp_path: Path, clock: ManualClock) -> None:
        audio = self.begun(tmp_path, 10)
        before = audio.read_bytes()
        left_behind(tmp_path, clock).end()
        assert audio.read_bytes() == before
        assert check(tmp_path / "leg.2.json")["length_samples"] == 8000


def test_other_files_are_passed_over(tmp_path: Path, clock: ManualClock) -> None:
    left_behind(tmp_path, clock).end()
    (tmp_path / "other.json").write_text('{"state": "recording"}')
    (tmp_path / "no.json").mkdir()
    lost = (tmp_path / "leg.json").read_bytes().replace(b'"complete"', b'"recording"')
    (tmp_path / "lost.json").write_bytes(lost.replace(b"leg.wav", b"gone.wav"))
    assert salvage(tmp_path) == 0
    assert salvage(tmp_path / "nothing") == 0


def test_an_end_does_not_wait(tmp_path: Path, clock: ManualClock) -> None:
    left_behind(tmp_path, clock).die()
    salvage = Salvage(tmp_path, 3600)
    salvage.start()
    salvage.stop()
    salvage.join()
    assert check(tmp_path / "leg.json")["state"] == "recording"


class TestTakes:
    def take_of(self, directory: Path, clock: ManualClock, **options: Any) -> RecordedCall:
        """Return a take of a second, the recorder of which dies then."""
        order = Order(
            call_info(call_id="leg"), TakeOptions(**options), "its-id", 16_000, 16_000, 0, print, print
        )  # fmt: skip
        about = (
            order.describe(),
            "its-id",
            Wish(order.options.single, order.options.trim_silence, order.options.format),
        )
        take = RecordedCall(order.call, directory, Encoding.PCM16, Trouble(), clock, *about)
        noise = np.random.default_rng(1).integers(-9000, 9000, (8000, 2)).astype("<i2")
        take.write(0, noise)
        assert take.wav is not None
        take.wav.let_go()
        if take.note is not None:
            take.note.let_go()
        return take

    def test_a_take_is_finished_like_a_call_and_made_what_it_was_to_be(
        self, tmp_path: Path, clock: ManualClock
    ) -> None:
        self.take_of(tmp_path, clock, track="outbound", trim_silence=True, format="flac")
        done: list[FinishedRecording] = []
        finisher = Finisher(lambda call, event: None, done.append)
        salvage = Salvage(tmp_path, 0, finisher)
        salvage.start()
        salvage.join()
        assert finisher.step()
        [recording] = done
        document = check(tmp_path / "leg.take.json")
        assert (document["state"], document["error"], document["recording_id"]) == ("failed", ERROR, "its-id")
        assert (recording.error, recording.recording_id, recording.is_take) == (ERROR, "its-id", True)
        assert (recording.channels, recording.length_samples, recording.start_samples) == (1, 8000, 16_000)
        heard = pcm_channels(recording.path)
        assert heard.shape == (8000, 1)
        assert heard.any()
        assert (recording.trim_silence, recording.format) == (True, "flac"), "what was wished when it began"
        assert not note_of(recording.path).exists()

    def test_what_was_half_written_anew_is_thrown_away(self, tmp_path: Path) -> None:
        left, kept = tmp_path / ".leg.wav.tmp", tmp_path / ".other.tmp"
        left.write_bytes(b"half of a file")
        kept.write_bytes(b"somebody's")
        with (tmp_path / ".now.wav.tmp").open("wb") as now:
            fcntl.flock(now, fcntl.LOCK_EX)
            assert salvage(tmp_path) == 0
        assert sorted(path.name for path in tmp_path.iterdir()) == [".now.wav.tmp", ".other.tmp"]

    def test_no_call_goes_on_with_a_take(self, tmp_path: Path, clock: ManualClock) -> None:
        self.take_of(tmp_path, clock)
        (tmp_path / "leg.take.json").rename(tmp_path / "leg.json")
        assert take_over(call_info(call_id="leg"), tmp_path, Encoding.PCM16, clock) is None


def test_documents_that_are_nested_too_deeply_do_not_end_the_search(tmp_path: Path, clock: ManualClock) -> None:
    left_behind(tmp_path, clock).die()
    for name in ("a.json", ".a.finish"):
        (tmp_path / name).write_bytes(b'{"schema_version": 1, "state": "recording", "a": ' + 5000 * b"[")
    (tmp_path / "a.wav").write_bytes(b"")
    assert salvage(tmp_path) == 1


class TestAfterLostPower:
    """Names are there whose content is not: whatever of it came to the disk is a recording again."""

    @pytest.mark.parametrize("left", [b"", bytes(1000), b'{\n  "schema_version": 1' + bytes(500)])
    def test_a_description_that_is_gone_is_written_anew(
        self, tmp_path: Path, clock: ManualClock, left: bytes
    ) -> None:
        left_behind(tmp_path, clock).die()
        (tmp_path / "leg.json").write_bytes(left)
        assert salvage(tmp_path) == 1
        document = check(tmp_path / "leg.json")
        assert (document["state"], document["error"], document["call_id"]) == ("failed", DESCRIPTION_LOST, "leg")
        assert document["length_samples"] == len(pcm_channels(tmp_path / "leg.wav")) == 8000
        assert salvage(tmp_path) == 0

    def test_of_a_recording_that_goes_on_it_is_not(self, tmp_path: Path, clock: ManualClock) -> None:
        process = left_behind(tmp_path, clock)
        (tmp_path / "leg.json").write_bytes(b"")
        assert salvage(tmp_path) == 0
        process.end()
        assert check(tmp_path / "leg.json")["state"] == "complete"

    @pytest.mark.parametrize("header", [b"", bytes(80)])
    def test_a_header_that_is_gone_is_written_anew(self, tmp_path: Path, clock: ManualClock, header: bytes) -> None:
        left_behind(tmp_path, clock).die()
        audio = (tmp_path / "leg.wav").read_bytes()[80:] if header else b""
        (tmp_path / "leg.wav").write_bytes(header + audio)
        assert salvage(tmp_path) == 1
        assert check(tmp_path / "leg.json")["length_samples"] == len(audio) // 4
        assert len(pcm_channels(tmp_path / "leg.wav")) == len(audio) // 4

    def test_a_header_of_another_program_is_not_touched(self, tmp_path: Path, clock: ManualClock) -> None:
        left_behind(tmp_path, clock).die()
        (tmp_path / "leg.wav").write_bytes(b"OggS" + bytes(100))
        assert salvage(tmp_path) == 0
        assert (tmp_path / "leg.wav").read_bytes() == b"OggS" + bytes(100)

    def test_a_header_that_says_more_than_there_is(self, tmp_path: Path, clock: ManualClock) -> None:
        left_behind(tmp_path, clock).die()
        with (tmp_path / "leg.wav").open("r+b") as file:
            file.truncate(80 + 4 * 5000)
        assert salvage(tmp_path) == 1
        assert check(tmp_path / "leg.json")["length_samples"] == len(pcm_channels(tmp_path / "leg.wav")) == 5000


def test_the_time_in_which_nobody_listened_is_told(tmp_path: Path, clock: ManualClock) -> None:
    left_behind(tmp_path, clock).die()
    clock.advance(60 * NS_PER_SECOND)
    found = Salvage(tmp_path, 0, clock=clock)
    found._run()
    document = check(tmp_path / "leg.json")
    [gap] = document["restarts"]
    assert gap["start_samples"] == 8000
    assert 59 * 8000 <= gap["length_samples"] <= 60 * 8000
    assert [track["direction"] for track in document["tracks"]] == ["inbound", "outbound"]
    for track in document["tracks"]:
        assert {kind: count for kind, count in track["totals"].items() if count} == {UNACCOUNTED: 8000}
