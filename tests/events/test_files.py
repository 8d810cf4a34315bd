"""Lines of a call: whose they are, whole, and closed to others."""

from __future__ import annotations

import json
import resource
from pathlib import Path
from typing import Any

import pytest

from media.events.bus import EventBus
from media.events.calls import CallOver, CarrierError, MarkReturned
from media.events.files import EventFile, EventFiles
from media.events.transcripts import Transcription
from media.sinks.contract import CallInfo
from strep.clock import ManualClock
from tests.sinks.rows import call_info
from tests.sinks.test_recording_trouble import limit


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_first_line_says_which_call_it_is(tmp_path: Path) -> None:
    file = EventFile(tmp_path, call_info(call_id="leg"))
    assert list(tmp_path.iterdir()) == []
    file.append([{"event": "a"}, {"event": "b"}])
    file.append([{"event": "c"}])
    head = {"event": "call", "call_id": "leg", "started_at": "2023-11-14T22:13:20.000000Z", "sample_rate_hz": 8000}
    assert lines_of(tmp_path / "leg.events.jsonl") == [head, {"event": "a"}, {"event": "b"}, {"event": "c"}]


def test_every_call_of_an_id_has_its_own(tmp_path: Path) -> None:
    calls = [EventFile(tmp_path, call_info(call_id="leg")) for _ in range(3)]
    for turn in range(2):
        for number, file in enumerate(calls):
            file.append([{"call": number, "turn": turn}])
    for number, name in enumerate(["leg", "leg.2", "leg.3"]):
        _, *lines = lines_of(tmp_path / f"{name}.events.jsonl")
        assert lines == [{"call": number, "turn": 0}, {"call": number, "turn": 1}]


def test_nobody_else_reads_it_and_no_link_is_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("")
    (tmp_path / "leg.events.jsonl").symlink_to(elsewhere)
    file = EventFile(tmp_path, call_info(call_id="leg"))
    file.append([{"event": "a"}])
    path = tmp_path / "leg.2.events.jsonl"
    assert path.stat().st_mode & 0o777 == 0o600
    path.rename(tmp_path / "moved")
    path.symlink_to(elsewhere)
    with pytest.raises(OSError, match="symbolic"):
        file.append([{"event": "b"}])
    assert elsewhere.read_text() == ""


@pytest.mark.parametrize("written", [0, 1])
def test_a_full_disk_leaves_whole_lines(tmp_path: Path, written: int) -> None:
    """As a limit of the file's size: some bytes go, then an error."""
    file, path = EventFile(tmp_path, call_info(call_id="leg")), tmp_path / "leg.events.jsonl"
    for number in range(written):
        file.append([{"n": number}])
    before = lines_of(path) if written else []
    with (
        limit(resource.RLIMIT_FSIZE, (path.stat().st_size if written else 0) + 50),
        pytest.raises(OSError, match="too large"),
    ):
        file.append([{"n": 10**i} for i in range(18)])
    assert lines_of(path) == before
    file.append([{"n": "last"}])
    assert lines_of(path)[-1] == {"n": "last"}
    assert lines_of(path)[0]["call_id"] == "leg"


def leg(index: int, started_s: int) -> CallInfo:
    return CallInfo(index, "leg", "strep", started_s * 10**9)


class TestOfCalls:
    def files(self, directory: Path) -> tuple[EventFiles, EventBus]:
        clock = ManualClock()
        bus = EventBus(clock)
        return EventFiles(directory, bus, clock), bus

    def names(self, directory: Path) -> dict[str, list[str]]:
        return {path.name: [line["event"] for line in lines_of(path)] for path in sorted(directory.iterdir())}

    def test_what_another_process_tells_of_a_call_goes_to_its_file_and_leaves_nothing_behind(
        self, tmp_path: Path
    ) -> None:
        files, bus = self.files(tmp_path)
        for started in (5, 7):
            bus.publish(leg(0, started), MarkReturned(name="a"))
        files.background.step()
        kept = len(files._files)
        later, bus = self.files(tmp_path)
        for started in (7, 9, 7, 9):
            bus.publish(leg(-1, started), CarrierError(title="late"))
            later.background.step()
        assert self.names(tmp_path) == {
            "leg.events.jsonl": ["call", "mark"],
            "leg.2.events.jsonl": ["call", "mark", "error", "error"],
            "leg.3.events.jsonl": ["call", "error", "error"],
        }
        assert (kept, len(later._files)) == (2, 0)

    def test_a_call_that_was_taken_over_has_its_file_sought_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Sealed, each search would read all that is there, and begin a segment."""
        files, bus = self.files(tmp_path)
        call, sought, reopened = leg(0, 5), list[Any](), EventFile.reopened

        def seek(*given: Any, **named: Any) -> EventFile:
            sought.append(given)
            return reopened(*given, **named)

        monkeypatch.setattr(EventFile, "reopened", seek)
        bus.publish(call, MarkReturned(name="before"))  # is told by the process that had the call
        files.background._waiting.clear()
        for _ in range(3):
            bus.publish(call, MarkReturned(name="a"))
            files.background.step()
        assert len(sought) == 1
        assert self.names(tmp_path) == {"leg.events.jsonl": ["call", "mark", "mark", "mark"]}

    def test_partial_transcriptions_are_in_none(self, tmp_path: Path) -> None:
        files, bus = self.files(tmp_path)
        for is_final in (False, True):
            bus.publish(leg(0, 5), Transcription(text="a", is_final=is_final, duration_samples=1, engine="x"))
        files.background.step()
        assert self.names(tmp_path) == {"leg.events.jsonl": ["call", "transcription"]}

    async def test_the_directory_is_made_and_what_is_lost_is_said(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        files, bus = self.files(tmp_path / "new")
        await files.start()
        assert (tmp_path / "new").is_dir()
        await files.close()
        bus.publish(leg(0, 5), MarkReturned(name="a"))
        monkeypatch.setattr(files.background, "stop", lambda _timeout_s: False)
        await files.close()
        assert "1 events are not written" in caplog.text

    def test_calls_that_are_forgotten_are_found_again(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("media.events.files.MAX_ENDED", 1)
        files, bus = self.files(tmp_path)
        calls = [call_info(call_id=name) for name in ("a", "b")]
        for _ in range(2):
            for call in calls:
                bus.publish(call, CallOver(reason="stop", duration_samples=0))
                files.background.step()
        assert self.names(tmp_path) == {
            f"{call.call_id}.events.jsonl": ["call", "call_ended", "call_ended"] for call in calls
        }
        assert len(files._files) == 1
