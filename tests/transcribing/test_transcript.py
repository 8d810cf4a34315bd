"""What is told and written of one call."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from media.events.bus import EventBus, Told
from media.events.kinds import AudioDropped
from media.events.transcripts import Transcription, TranscriptionMissing
from media.transcribing.streams import Missing, SpokenWord, Stream, Transcribed
from media.transcribing.transcript import Transcript
from strep.clock import ManualClock
from tests.sinks.rows import call_info
from tests.transcribing.webvtt import read

CALL = call_info(0, "c")


class World:
    def __init__(self, directory: Path | None) -> None:
        self.told: list[Told] = []
        bus = EventBus(ManualClock())
        bus.subscribe(self.told.append)
        self.transcript = Transcript(CALL, bus, directory)
        self.inbound, self.outbound = Stream(1, CALL, "inbound", "e"), Stream(2, CALL, "outbound", "e")

    def say(self, stream: Stream, start: int, text: str, *, is_final: bool = True) -> None:
        words = tuple(
            SpokenWord(word, start + 800 * i, start + 800 * (i + 1), 0.51234) for i, word in enumerate(text.split())
        )
        self.transcript.take(Transcribed(stream, start, words[-1].end_samples, text, is_final, 0.5, words))


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_final_results_and_what_is_missing_are_written_partial_ones_told(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.say(world.inbound, 8000, "hel", is_final=False)
    world.say(world.inbound, 8000, "hello you")
    world.transcript.take(Missing(world.outbound, 16_000, 24_000, "the engine hung"))
    assert [told.event.NAME for told in world.told] == ["transcription"] * 2 + ["transcription_missing"]
    head, said, missing = lines(tmp_path / "c.transcript.jsonl")
    assert head == {"event": "call", "call_id": "c", "started_at": head["started_at"], "sample_rate_hz": 8000}
    assert said == {
        "event": "transcription", "track": "inbound", "position_ms": 1000, "duration_ms": 200, "text": "hello you",
        "is_final": True, "engine": "e", "confidence": 0.5,
        "words": [
            {"word": "hello", "start_ms": 1000, "end_ms": 1100, "confidence": 0.512},
            {"word": "you", "start_ms": 1100, "end_ms": 1200, "confidence": 0.512},
        ],
    }  # fmt: skip
    assert missing == {
        "event": "transcription_missing", "track": "outbound", "position_ms": 2000, "duration_ms": 1000,
        "reason": "the engine hung", "engine": "e",
    }  # fmt: skip
    assert (tmp_path / "c.transcript.jsonl").stat().st_mode & 0o777 == 0o600
    event = world.told[1].event
    assert isinstance(event, Transcription)
    assert [word.start_samples for word in event.words] == [8000, 8800]
    assert isinstance(world.told[2].event, TranscriptionMissing)


def test_a_cue_waits_until_nothing_can_come_before_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.say(world.outbound, 16_000, "later")
    world.transcript.release({1: 8000, 2: None})
    assert not (tmp_path / "c.vtt").exists()
    world.say(world.inbound, 8000, "first")
    world.transcript.release({1: 30_000, 2: None})
    cues, _ = read(tmp_path / "c.vtt")
    assert [cue.text for cue in cues] == ["first", "later"]
    world.transcript.take(Missing(world.inbound, 30_000, 32_000, "the engine hung"))
    world.transcript.release({})
    assert read(tmp_path / "c.vtt")[1] == ["NOTE 00:00:03.750 to 00:00:04.000 inbound missing: the engine hung"]


def test_its_own_track_holds_nothing_up(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.say(world.inbound, 8000, "said")
    world.transcript.release({1: 0, 2: None})
    assert read(tmp_path / "c.vtt")[0]


def test_without_a_directory_it_is_only_told(tmp_path: Path) -> None:
    world = World(None)
    world.say(world.inbound, 8000, "hello")
    world.transcript.release({})
    assert len(world.told) == 1
    assert not world.transcript.has_waiting


@pytest.mark.parametrize("spoke", [True, False])
def test_what_else_there_is_to_say_is_written_where_there_is_a_file(tmp_path: Path, spoke: bool) -> None:
    world = World(tmp_path)
    if spoke:
        world.say(world.inbound, 8000, "hello")
    world.transcript.write([AudioDropped(blocks=3, duration_samples=2400)])
    path = tmp_path / "c.transcript.jsonl"
    assert path.exists() == spoke
    if spoke:
        assert lines(path)[-1] == {"event": "sink_dropped", "blocks": 3, "duration_ms": 300}
