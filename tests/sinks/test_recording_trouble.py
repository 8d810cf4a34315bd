"""The recording when the disk is full, or files cannot be opened, read or renamed."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media.sinks import recording
from media.sinks.recorded_call import RecordedCall
from media.sinks.recording import RecordingSink
from media.sinks.wav import WavFile
from strep.clock import NS_PER_MS, ManualClock
from tests.sinks.rows import Row, batch_of, call_info, call_report, spoken
from tests.sinks.waves import DiskOf, play


def record_two(sink: RecordingSink, blocks: int) -> None:
    """Record call 0 and, where it lives, call 1 in step, and end both."""
    for block in range(blocks):
        rows = [Row(call, channel, 800 * block) for call in (0, 1) for channel in (0, 1)]
        sink.receive(batch_of(*rows, now_ns=block * 100 * NS_PER_MS))
    for call in (0, 1):
        sink.call_ended(call_info(call), call_report(800 * blocks))


@contextmanager
def limit(kind: int, value: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (soft, hard))


class TestTrouble:
    """One recording ends, and says so; nothing raises, and the others go on."""

    def expect(self, directory: Path, sink: RecordingSink, *, failed: int, whole: int, error: str) -> int:
        """Check both sidecars; return the length of the failed file."""
        assert (sink.snapshot().failed, sink.snapshot().live) == (1, 0)
        bad = json.loads((directory / f"call-{failed}.json").read_bytes())
        assert bad["state"] == "failed"
        assert error in bad["error"]
        good = json.loads((directory / f"call-{whole}.json").read_bytes())
        assert (good["state"], good["error"], good["length_samples"]) == ("complete", None, 40_000)
        assert len(play(directory / f"call-{whole}.wav")) == 40_000
        return int(bad["length_samples"])

    def test_full_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
        sink = RecordingSink(tmp_path, clock=ManualClock())
        sink.call_started(call_info(0))
        sink.call_started(call_info(1))
        small, pwrite = DiskOf(80 + 4 * 20_000), os.pwrite
        inode = (tmp_path / "call-0.wav").stat().st_ino

        def disk(fd: int, data: Any, offset: int) -> int:
            is_small = os.fstat(fd).st_ino == inode
            return small(fd, data, offset) if is_small else pwrite(fd, data, offset)

        monkeypatch.setattr(os, "pwrite", disk)
        record_two(sink, 50)
        assert self.expect(tmp_path, sink, failed=0, whole=1, error="No space left") == 20_000
        expected = [spoken(channel, 25) for channel in (0, 1)]
        assert np.array_equal(play(tmp_path / "call-0.wav").T, expected)
        assert "call-0 failed" in caplog.text

    def test_a_real_limit_of_the_file_size(self, tmp_path: Path) -> None:
        sink = RecordingSink(tmp_path, clock=ManualClock())
        sink.call_started(call_info(0))
        sink.receive(batch_of(*[Row(0, channel, 0) for channel in (0, 1)]))
        with limit(resource.RLIMIT_FSIZE, 80 + 4 * 5000):  # as a full disk: some bytes go, then an error
            for block in range(1, 50):
                sink.receive(batch_of(Row(0, 0, 800 * block), Row(0, 1, 800 * block)))
            sink.call_ended(call_info(0), call_report(40_000))
        document = json.loads((tmp_path / "call-0.json").read_bytes())
        assert document["state"] == "failed"
        assert "too large" in document["error"]
        assert document["length_samples"] == len(play(tmp_path / "call-0.wav")) == 5000
        assert len(document["tracks"]) == 1, "the report is there all the same"

    def test_no_descriptors(self, tmp_path: Path) -> None:
        sink = RecordingSink(tmp_path, clock=ManualClock())
        sink.call_started(call_info(0))
        with limit(resource.RLIMIT_NOFILE, lowest_free_descriptor()):
            sink.call_started(call_info(1))
        record_two(sink, 50)
        assert self.expect(tmp_path, sink, failed=1, whole=0, error="Too many open files") == 0
        assert sink.snapshot().sidecar_errors == 1, "the first sidecar could not be written, the last was"
        assert not (tmp_path / "call-1.wav").exists()

    def test_a_patch_that_cannot_be_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        sink = RecordingSink(tmp_path, clock=ManualClock())
        sink.call_started(call_info(0))
        for block in range(11):
            sink.receive(batch_of(Row(0, 0, 800 * block)))
        monkeypatch.setattr(os, "pread", refuse)
        sink.receive(batch_of(Row(0, 1, 0), Row(0, 1, 800), late=True))
        sink.call_ended(call_info(), call_report(8000))
        assert json.loads((tmp_path / "call-0.json").read_bytes())["state"] == "failed"
        assert len(play(tmp_path / "call-0.wav")) == 8172

    def test_a_sidecar_that_cannot_be_written(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        sink = RecordingSink(tmp_path, clock=ManualClock())
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", refuse)
            sink.call_started(call_info(0))
            sink.call_started(call_info(1))
            sink.call_ended(call_info(0), call_report(800))
        sink.call_ended(call_info(1), call_report(800))
        assert sorted(path.name for path in tmp_path.iterdir()) == ["call-0.wav", "call-1.json", "call-1.wav"]
        assert json.loads((tmp_path / "call-1.json").read_bytes())["state"] == "complete"
        assert (sink.snapshot().sidecar_errors, sink.snapshot().failed) == (2, 0)

    def test_an_identity_that_json_does_not_know(self, tmp_path: Path) -> None:
        sink = RecordingSink(tmp_path, clock=ManualClock())
        call = call_info()
        call.identity.update(odd={1, 2}, worse="\ud800")
        sink.call_started(call)
        sink.receive(batch_of(Row(0, 0, 0)))
        sink.call_ended(call, call_report(800))
        assert len(play(tmp_path / "call-0.wav")) == 800

    def test_every_failure_names_its_call_once(self, tmp_path: Path, caplog: Any) -> None:
        """Neither a file nor a sidecar can be made: the log is all that is left of these calls."""
        (tmp_path / "file").touch()
        sink = RecordingSink(tmp_path / "file" / "directory", clock=ManualClock())
        for index in range(1000):
            sink.call_started(call_info(index))
        sink.receive(batch_of(*[Row(index, 0, 0) for index in range(1000)]))
        sink.close()
        named = [message.split()[1] for message in caplog.messages]
        assert named == [f"call-{index}" for index in range(1000)]
        assert (sink.snapshot().failed, sink.snapshot().sidecar_errors) == (1000, 1000)

    @pytest.mark.parametrize("audio_fits", [False, True])
    def test_a_full_disk_does_not_leave_a_sidecar_that_records_for_ever(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any, audio_fits: bool
    ) -> None:
        sink = RecordingSink(tmp_path, clock=ManualClock())
        sink.call_started(call_info())
        sink.receive(batch_of(Row(0, 0, 0)))
        path = tmp_path / "call-0.json"
        before = path.stat()
        monkeypatch.setattr(os, "replace", refuse_for_space)
        if not audio_fits:
            monkeypatch.setattr("media.sinks.wav.os.pwrite", DiskOf(before.st_size))
        report = call_report(800)
        report.events = [{"type": "mark", "name": "x" * 10_000}]
        sink.call_ended(call_info(), report)
        document = json.loads(path.read_bytes())
        assert (document["state"], document["reason"]) == ("failed", "stop")
        assert "No space left" in document["error"]
        assert document["events"] == []
        assert path.stat().st_ino == before.st_ino
        assert path.stat().st_blocks <= max(before.st_blocks, 8)
        assert sink.snapshot().sidecar_errors == 1
        assert sum("call-0" in message for message in caplog.messages) >= 1


def refuse(*_: object) -> int:
    raise OSError(5, "Input/output error")


def refuse_for_space(*_: object) -> int:
    raise OSError(28, "No space left on device")


def lowest_free_descriptor() -> int:
    fd = os.open("/dev/null", os.O_RDONLY)
    os.close(fd)
    return fd


def test_the_stage_holds_what_it_must() -> None:
    room = recording._STAGE_SAMPLES - recording.FLUSH_SAMPLES - recording.LAG_SAMPLES
    assert room >= 800, "a block of 100 ms on top of the fullest stage"


class TestOurOwnMistakes:
    """What raises where nobody foresaw it ends the recording that it is about, and no other."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> tuple[RecordingSink, list[RecordedCall]]:
        sink = RecordingSink(tmp_path, clock=ManualClock())
        for index in (0, 1):
            sink.call_started(call_info(index))
        return sink, [sink._live[index] for index in (1, 0)]

    def expect(self, directory: Path, sink: RecordingSink) -> None:
        """Call 1 failed, call 0 is whole, and nothing is left behind."""
        bad, good = (json.loads((directory / f"call-{index}.json").read_bytes()) for index in (1, 0))
        assert (bad["state"], bad["error"]) == ("failed", "ZeroDivisionError: a mistake")
        assert (good["state"], good["length_samples"]) == ("complete", 40_000)
        assert np.array_equal(play(directory / "call-0.wav").T, [spoken(channel, 50) for channel in (0, 1)])
        assert (sink.snapshot().failed, sink.snapshot().live, sink.snapshot().ended) == (1, 0, 2)
        assert not sink._live
        assert not sink._by_slot

    @pytest.mark.parametrize("method", ["write", "flush_header", "patch"])
    def test_in_a_file(self, tmp_path: Path, world: Any, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
        sink, (bad, _) = world
        assert bad.wav is not None
        monkeypatch.setattr(bad.wav, "read" if method == "patch" else method, mistake)
        sink.receive(batch_of(*[Row(call, 0, 6400) for call in (0, 1)]))
        sink.receive(batch_of(*[Row(call, 0, 12_000) for call in (0, 1)]))
        record_two(sink, 50)
        self.expect(tmp_path, sink)

    def test_in_the_columns(self, tmp_path: Path, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """A batch that cannot be taken as a whole is taken call by call."""
        sink, (bad, _) = world
        scatter, slot = sink._stage.scatter, bad.slot

        def scatter_but_one(tracks: Any, positions: Any, rows: Any, now_ns: int) -> None:
            if slot in (tracks >> 1).tolist() and positions.max() >= 8000:
                mistake()
            scatter(tracks, positions, rows, now_ns)

        monkeypatch.setattr(sink._stage, "scatter", scatter_but_one)
        record_two(sink, 50)
        self.expect(tmp_path, sink)

    def test_at_the_end(self, tmp_path: Path, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        sink, (bad, _) = world
        write_all, slot = sink._write_all, bad.slot

        def write_all_but_one(which: int, now_ns: int) -> None:
            if which == slot:
                mistake()
            write_all(which, now_ns)

        monkeypatch.setattr(sink, "_write_all", write_all_but_one)
        record_two(sink, 50)
        self.expect(tmp_path, sink)

    def test_at_the_beginning(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        sink = RecordingSink(tmp_path, clock=ManualClock())
        begin = WavFile._begin

        def begin_all_but_one(file: WavFile, fd: int) -> None:
            if file.path.stem == "call-1":
                mistake()
            begin(file, fd)

        monkeypatch.setattr(WavFile, "_begin", begin_all_but_one)
        for index in (0, 1):
            sink.call_started(call_info(index))
        record_two(sink, 50)
        self.expect(tmp_path, sink)


def mistake(*_: Any) -> Any:
    raise ZeroDivisionError("a mistake")
