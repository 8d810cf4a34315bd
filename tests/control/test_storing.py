"""Actions that record, pause and transcribe."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile

from media.control import doing
from media.denoising.rules import Denoised
from media.talk import recording
from tests.control.called import CONTENT, calling
from tests.talk.live_calls import TONE

pytestmark = pytest.mark.realtime


class TestStoring:
    async def test_a_recording(self, tmp_path: Path) -> None:
        async with calling(record=tmp_path) as (acted, carrier):
            data = await acted.done("record_start", channels="single", custom_file_name="note", play_beep=True)
            await acted.event("recording_started", recording_id=data["recording_id"])
            await carrier.talk(TONE)
            await acted.done("record_pause", mode="omit", by="agent", reason="card")
            await acted.event("recording_paused", mode="omit", by="agent", reason="card")
            await acted.done("record_resume")
            await acted.event("recording_resumed")
            stopped = await acted.done("record_stop")
            assert stopped["recording_ids"] == [data["recording_id"]]
            saved = await acted.event("recording_saved", recording_id=data["recording_id"])
            assert soundfile.info(saved["path"]).channels == 1
            assert saved["path"].endswith("s1.note.wav")
            status, error = await acted.act("record_stop")
            assert (status, error["code"]) == (409, "nothing_records"), "it is stopped already"
            assert "was stopped already" in error["message"]
            status, error = await acted.act("record_stop", recording_id="none")
            assert (status, error["code"]) == (404, "no_such_recording")

    async def test_nowhere(self) -> None:
        async with calling() as (acted, _):
            status, error = await acted.act("record_start")
            assert (status, error["code"]) == (409, "not_now")
            assert "--record or --takes" in error["message"]

    async def test_what_cannot_be_is_said_in_words_of_this_door(self, tmp_path: Path) -> None:
        """Names of Python's parameters are none of its."""
        async with calling(record=tmp_path) as (acted, _):
            status, error = await acted.act("record_start", look_back_secs=5)
            assert (status, error["code"]) == (409, "not_now")
            assert "look back for 5 s" in error["message"]
            assert "look_back_s" not in error["message"]
            await acted.done("gather")
            status, error = await acted.act("gather")
            assert (status, error["code"]) == (409, "not_now")
            assert "gather_stop" in error["message"]

    async def test_beeps_are_bounded(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(doing, "MAX_PLAYS", 2)
        async with calling(record=tmp_path) as (acted, _):
            await acted.done("playback_start", playback_content=CONTENT, loop="infinity")
            await acted.done("record_start", play_beep=True)
            status, error = await acted.act("record_start", play_beep=True)
            assert (status, error["code"]) == (409, "too_many_plays")

    async def test_what_waits_for_its_beep_is_a_recording(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(recording, "MAX_TAKES", 1)
        async with calling(record=tmp_path) as (acted, _):
            waits = await acted.done("playback_start", playback_content=CONTENT, loop="infinity")
            data = await acted.done("record_start", play_beep=True)
            for play_beep in (True, False):
                status, error = await acted.act("record_start", play_beep=play_beep)
                assert (status, error["code"]) == (409, "not_now")
                assert "has 1 recordings already" in error["message"]
            await acted.done("playback_stop", playback_id=waits["playback_id"])
            await acted.event("recording_started", recording_id=data["recording_id"])

    async def test_a_beep_that_nobody_hears(self, tmp_path: Path) -> None:
        async with calling(record=tmp_path) as (acted, _):
            await acted.done("playback_start", playback_content=CONTENT, loop="infinity")
            data = await acted.done("record_start", play_beep=True)
            await acted.done("hangup")
            assert await acted.event("recording_failed", recording_id=data["recording_id"])

    async def test_transcription(self) -> None:
        async with calling() as (acted, _):
            status, error = await acted.act("transcription_start", transcription_engine="nobody")
            assert (status, error["code"]) == (409, "configuration")
            for name in ("engine", "self", "hmm", "url"):
                status, error = await acted.act("transcription_start", transcription_engine_config={name: "/x"})
                assert (status, error["code"]) == (422, "body")
                assert f"transcription_engine_config.{name}: pocketsphinx takes grammar" in error["message"]
            assert not (await acted.done("transcription_stop"))["was_transcribed"]

    async def test_noise(self) -> None:
        async with calling(denoise=(Denoised("feed", "none"),)) as (acted, _):
            await acted.done("suppression_start")
            status, error = await acted.act("suppression_start", sinks=["applications"])
            assert (status, error["code"]) == (409, "not_now")
            await acted.done("suppression_stop", sinks=["feed"])

    async def test_noise_nowhere(self) -> None:
        async with calling() as (acted, _):
            assert (await acted.act("suppression_start"))[1]["code"] == "no_suppression"
