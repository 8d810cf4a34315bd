"""A process that dies between the end of a recording and what is made of it costs a repetition, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media.pauses.spans import Pause
from media.sinks.finished import FinishedRecording
from media.sinks.finisher import Finisher, hand_over
from media.sinks.notes import Note, Wish, note_of
from media.sinks.recorded_call import RecordedCall, Trouble
from media.sinks.salvage import Salvage
from media.sinks.sidecar import Take
from media.sinks.wav import Encoding
from strep.clock import ManualClock
from tests.kills.hook import Hook, Killed
from tests.media.harness import pcm_channels
from tests.sinks.rows import call_info, call_report

LENGTH = 8000
OMITTED = (2000, 3000)
NOISE = np.random.default_rng(1).integers(-9000, 9000, (LENGTH, 2)).astype("<i2")
KEPT = np.concatenate((NOISE[:2000], NOISE[5000:]))


def _is_step(event: str, arguments: tuple[Any, ...]) -> bool:
    if event == "open":
        return not isinstance(arguments[0], int)  # else it is open already
    return event in ("os.rename", "os.remove")


HOOK = Hook(_is_step)


class Process:
    """A process that records calls and takes, and hands over what it finishes, to `done`."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.done = directory, list[FinishedRecording]()
        self.finisher = Finisher(lambda _call, _event: None, self.done.append, delivers=True)
        self.notes: list[Note] = []

    def record(self, take: Take | None = None, killed_after: int | None = None, **wish: Any) -> None:
        """Record a call, or a take of it, of which a part is to be omitted; it may be killed from its end on."""
        call = call_info(call_id="leg")
        start, count = OMITTED
        call.pauses.append(Pause(start, (start, start), "omit", 0, start + count, 1))
        recording = RecordedCall(call, self.directory, Encoding.PCM16, Trouble(), ManualClock(), take, "its-id")
        recording.write(0, NOISE)
        made: Wish = self.finisher.wish(**wish)
        HOOK.left = killed_after
        try:
            recording.finish(call_report(LENGTH), made)
            wishes = {"trim_silence": made.trim_silence, "format": made.format}
            hand_over(recording, self.finisher, single=made.single, wishes=wishes)
        finally:
            if recording.note is not None:
                self.notes.append(recording.note)
            if recording.wav is not None:
                recording.wav.let_go()

    def work(self) -> None:
        while self.finisher._waiting.qsize():
            self.finisher.step()

    def salvage(self) -> None:
        salvage = Salvage(self.directory, 0, self.finisher)
        salvage._run()

    def die(self) -> None:
        """Its locks go with it."""
        while self.finisher._waiting.qsize():
            closed = self.finisher._waiting.get()
            if closed is not None and closed.note is not None:
                closed.note.let_go()
        for note in self.notes:
            note.let_go()


def test_what_was_closed_and_not_finished_is_taken_up(tmp_path: Path) -> None:
    process = Process(tmp_path)
    process.record(single="inbound", trim_silence=True, format="mp3")
    beside = Process(tmp_path)
    beside.salvage()
    assert beside.finisher._waiting.qsize() == 0, "it is another's, who lives"
    process.die()
    later = Process(tmp_path)
    later.salvage()
    later.work()
    [recording] = later.done
    assert (recording.trim_silence, recording.format, recording.recording_id) == (True, "mp3", "its-id")
    assert (recording.channels, recording.length_samples, recording.omitted) == (1, len(KEPT), (OMITTED,))
    assert np.array_equal(pcm_channels(recording.path)[:, 0], KEPT[:, 0])
    assert not note_of(recording.path).exists()
    after = Process(tmp_path)
    after.salvage()
    assert after.finisher._waiting.qsize() == 0


def test_a_note_that_cannot_be_removed_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    about = call_info(call_id="leg"), tmp_path, Encoding.PCM16, Trouble(), ManualClock()
    before = RecordedCall(*about)
    assert before.wav
    before.wav.let_go()

    def refuse(path: Path, *, missing_ok: bool = False) -> None:
        raise PermissionError(f"{path} {missing_ok}")

    monkeypatch.setattr(Path, "unlink", refuse)
    after = RecordedCall(*about)
    assert after.continued
    after.finish(call_report(LENGTH), Wish())
    assert after.document.state == "complete"


@pytest.mark.parametrize("single", [None, "both"])
def test_killed_anywhere(tmp_path: Path, single: Any) -> None:
    """From the end of the call on; it is handed over at least once, cut once, and its sidecar says so."""
    kills, number = 0, 0
    while kills == number:
        directory = tmp_path / str(number)
        directory.mkdir()
        process = Process(directory)
        take = Take("take", 0, LENGTH, "both", "single", 0) if single else None
        try:
            process.record(take, number, single=single, format="flac")
            process.work()
        except Killed:
            kills += 1
        finally:
            HOOK.left = None
        process.die()
        later = Process(directory)
        later.salvage()
        later.work()
        number += 1
        recording = [*process.done, *later.done][-1]
        if recording.error is not None and not recording.omitted:
            assert kills <= 3, "it died before it had noted what is to be done"
            continue
        wanted = (KEPT.astype(np.int32).sum(axis=1, keepdims=True) >> 1).astype(np.int16) if single else KEPT
        assert np.array_equal(pcm_channels(recording.path), wanted)
        assert (recording.format, recording.omitted, recording.length_samples) == ("flac", (OMITTED,), len(KEPT))
        document = json.loads(recording.sidecar.read_bytes())
        assert (document["length_samples"], document["channels"]) == (len(KEPT), 1 if single else 2)
        assert document["omitted"] == [{"start_samples": OMITTED[0], "length_samples": OMITTED[1]}]
        assert [path.name for path in directory.iterdir() if path.name.startswith(".leg")] == []
    assert kills > 6


def test_a_note_of_another_recording_of_that_name_is_none(tmp_path: Path) -> None:
    process = Process(tmp_path)
    process.record()
    process.die()
    stale = note_of(tmp_path / "leg.wav").read_bytes().replace(b"its-id", b"others")
    note_of(tmp_path / "leg.wav").write_bytes(stale)
    later = Process(tmp_path)
    later.salvage()
    assert later.finisher._waiting.qsize() == 0
    assert not note_of(tmp_path / "leg.wav").exists()


def test_where_nothing_is_to_be_done_there_is_none(tmp_path: Path) -> None:
    assert Note.write(tmp_path / "leg.wav", "its-id", Wish(), ()) is None
    assert list(tmp_path.iterdir()) == []
