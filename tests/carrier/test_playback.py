"""The carrier's queue of audio to play: marks, clear, refusals."""

from __future__ import annotations

import io
import json
from base64 import b64encode

import numpy as np
import pytest
import soundfile

from media.carrier.frames import INVALID_MEDIA, MALFORMED_FRAME, RATE_LIMIT_REACHED
from media.carrier.options import PlaybackMode
from media.carrier.playback import MarkReturned, Playback, Refused
from strep.clock import NEVER_NS, NS_PER_MS, NS_PER_SECOND


def media(data: bytes) -> str:
    return json.dumps({"event": "media", "media": {"payload": b64encode(data).decode()}})


def mark(name: str) -> str:
    return json.dumps({"event": "mark", "mark": {"name": name}})


class TestMarks:
    def test_at_once_when_nothing_plays(self) -> None:
        assert Playback().receive(mark("a"), 0) == [MarkReturned("a")]

    def test_when_the_audio_before_it_has_been_played(self) -> None:
        playback = Playback()
        assert playback.receive(media(bytes(160)), 0) == []
        assert playback.receive(media(bytes(160)), 5 * NS_PER_MS) == []
        assert playback.receive(mark("a"), 6 * NS_PER_MS) == []
        assert playback.deadline() == 40 * NS_PER_MS
        assert playback.poll(39 * NS_PER_MS) == []
        assert playback.poll(40 * NS_PER_MS) == [MarkReturned("a")]
        assert playback.deadline() == NEVER_NS
        assert playback.audio == bytes(320)

    def test_an_empty_queue_begins_again_at_arrival(self) -> None:
        playback = Playback()
        playback.receive(media(bytes(160)), 0)
        playback.receive(media(bytes(160)), NS_PER_SECOND)
        playback.receive(mark("a"), NS_PER_SECOND)
        assert playback.deadline() == NS_PER_SECOND + 20 * NS_PER_MS

    def test_clear_returns_all(self) -> None:
        playback = Playback()
        playback.receive(media(bytes(8_000)), 0)
        for name in "ab":
            playback.receive(mark(name), 0)
        assert playback.receive('{"event":"clear"}', NS_PER_MS) == [MarkReturned("a"), MarkReturned("b")]
        assert playback.receive(mark("c"), NS_PER_MS) == [MarkReturned("c")]
        counters = playback.snapshot()
        assert (counters.media, counters.media_bytes, counters.marks, counters.clears) == (1, 8_000, 3, 1)


class TestRefusals:
    @pytest.mark.parametrize(
        "text",
        ["", "no json", "[]", "{}", '{"event":"media"}', '{"event":"mark","mark":7}', '{"event":"stop"}', b"\xff"],
    )
    def test_malformed(self, text: str | bytes) -> None:
        playback = Playback()
        (answer,) = playback.receive(text, 0)
        assert isinstance(answer, Refused)
        assert answer.code == MALFORMED_FRAME
        assert playback.snapshot().refused == 1

    @pytest.mark.parametrize("payload", ['"%%%"', '""', "7", json.dumps(b64encode(bytes(240_001)).decode())])
    def test_invalid_media(self, payload: str) -> None:
        (answer,) = Playback().receive(f'{{"event":"media","media":{{"payload":{payload}}}}}', 0)
        assert isinstance(answer, Refused)
        assert answer.code == INVALID_MEDIA


class TestMp3:
    def mp3(self, seconds: int = 1) -> bytes:
        file = io.BytesIO()
        soundfile.write(file, np.zeros(8_000 * seconds), 8_000, format="MP3")
        return file.getvalue()

    def test_plays_for_as_long_as_the_file(self) -> None:
        playback = Playback(PlaybackMode.MP3)
        assert playback.receive(media(self.mp3(2)), 0) == []
        playback.receive(mark("a"), 0)
        assert playback.deadline() == pytest.approx(2 * NS_PER_SECOND, rel=0.1)

    def test_one_a_second(self) -> None:
        playback = Playback(PlaybackMode.MP3)
        playback.receive(media(self.mp3()), 0)
        (answer,) = playback.receive(media(self.mp3()), NS_PER_SECOND - 1)
        assert isinstance(answer, Refused)
        assert answer.code == RATE_LIMIT_REACHED
        assert playback.receive(media(self.mp3()), NS_PER_SECOND) == []

    def test_raw_bytes_are_no_mp3(self) -> None:
        (answer,) = Playback(PlaybackMode.MP3).receive(media(bytes(160)), 0)
        assert isinstance(answer, Refused)
        assert answer.code == INVALID_MEDIA
