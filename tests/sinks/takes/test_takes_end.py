"""What ends a take, and what of a call is in none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from media.blocks import PcmBatch
from media.pauses.spans import PauseMode
from strep.header import Direction
from tests.media.world import FRAME
from tests.sinks.takes.studio import FRAME_MS, RATE, SCHEMA, Studio, in_a_loop, read, saved, sidecar_of


class TestItsEnd:
    def test_the_maximum_length(self, tmp_path: Path) -> None:
        async def test(studio: Studio) -> None:
            studio.speak(10)
            take = studio.start(max_length_s=0.75)
            studio.speak(100)
            studio.work()
            recording = await saved(take)
            assert recording.length_samples == 0.75 * RATE
            assert sidecar_of(recording)["take"]["ended_by"] == "max_length"
            studio.end()
            assert np.array_equal(read(recording.path), studio.whole()[10 * FRAME :][:6000])

        in_a_loop(test, tmp_path)

    def test_silence_ends_it_once_something_was_heard(self, tmp_path: Path) -> None:
        async def test(studio: Studio) -> None:
            studio.loudness[Direction.OUTBOUND] = 0
            studio.speak(10)
            studio.loudness[Direction.INBOUND] = 20
            take = studio.start(end_silence_s=1)
            studio.speak(100)
            studio.loudness[Direction.INBOUND] = 3000
            studio.speak(20)
            studio.loudness[Direction.INBOUND] = 20  # -57 dBm0
            studio.speak(120)
            studio.work()
            recording = await saved(take)
            assert recording.length_samples == 120 * FRAME + RATE
            assert sidecar_of(recording)["take"]["ended_by"] == "silence"
            studio.end()

        in_a_loop(test, tmp_path)

    def test_nothing_heard_at_all_ends_it_only_where_that_is_wanted(self, tmp_path: Path) -> None:
        async def test(studio: Studio) -> None:
            studio.loudness = dict.fromkeys(Direction, 20.0)
            studio.speak(10)
            patient, hasty = studio.start(end_silence_s=0.5), studio.start(initial_timeout_s=0.5)
            studio.speak(150)
            studio.work()
            recording = await saved(hasty)
            assert recording.length_samples == 0.5 * RATE
            assert sidecar_of(recording)["take"]["ended_by"] == "initial_timeout"
            assert not patient.is_saved
            studio.end()

        in_a_loop(test, tmp_path)

    def test_a_call_that_sends_nothing_any_more_is_silent(self, tmp_path: Path) -> None:
        async def test(studio: Studio) -> None:
            studio.speak(10)
            take = studio.start(end_silence_s=1)
            studio.speak(20)
            for _ in range(120):
                studio.tick(FRAME_MS)
                studio.takes.receive(PcmBatch.tick(studio.clock.now_ns()))
            studio.work()
            assert (await saved(take)).length_samples == 20 * FRAME + RATE
            studio.end()

        in_a_loop(test, tmp_path)

    def test_a_pause_is_no_silence(self, tmp_path: Path) -> None:
        async def test(studio: Studio) -> None:
            studio.speak(10)
            take = studio.start(end_silence_s=1)
            studio.speak(10)
            studio.recorder.pausing.pause(studio.call)
            studio.speak(150)
            studio.recorder.pausing.resume(studio.call)
            studio.speak(10)
            assert not take.is_saved
            studio.end()
            assert sidecar_of(await saved(take))["take"]["ended_by"] == "call_ended"

        in_a_loop(test, tmp_path)


class TestPauses:
    @pytest.mark.parametrize("mode", ["silence", "omit"])
    def test_take_and_whole_obey_in_the_same_sample(self, tmp_path: Path, mode: PauseMode) -> None:
        async def test(studio: Studio) -> None:
            studio.speak(50)
            take = studio.start()
            studio.speak(50)
            pause = studio.recorder.pausing.pause(studio.call, mode, by="app", reason="card")
            studio.speak(50)
            studio.recorder.pausing.resume(studio.call)
            studio.speak(50)
            studio.end()
            recording = await saved(take)
            document, whole = sidecar_of(recording), studio.whole()
            whole_document = json.loads((tmp_path / f"{studio.call.call_id}.json").read_bytes())
            jsonschema.Draft202012Validator(SCHEMA).validate(whole_document)
            length = pause.end_samples - pause.start_samples
            start = pause.start_samples
            if mode == "silence":
                assert not whole[start : start + length].any()
                assert len(whole) == 200 * FRAME
                assert document["omitted"] == whole_document["omitted"] == []
            else:
                gone = [{"start_samples": start, "length_samples": length}]
                assert document["omitted"] == whole_document["omitted"] == gone
                assert len(whole) == 200 * FRAME - length == whole_document["length_samples"]
                assert recording.omitted == ((start, length),)
            assert whole[:start].any(axis=1).mean() > 0.9
            assert np.array_equal(read(recording.path), whole[50 * FRAME :])
            for track in whole_document["tracks"]:
                spans = [span for span in track["ledger"] if span["kind"] == "paused"]
                assert spans == [{"start_samples": start, "length_samples": length, "kind": "paused"}]
            for sidecar in (document, whole_document):
                paused, resumed = [event for event in sidecar["events"] if event["event"].startswith("recording_")]
                assert (paused["position_samples"], resumed["position_samples"]) == (start, start + length)
                assert (paused["mode"], paused["by"], paused["reason"]) == (mode, "app", "card")

        in_a_loop(test, tmp_path)

    def test_looking_back_does_not_look_behind_a_pause(self, tmp_path: Path) -> None:
        async def test(studio: Studio) -> None:
            studio.speak(50)
            pause = studio.recorder.pausing.pause(studio.call)
            studio.speak(50)
            studio.recorder.pausing.resume(studio.call)
            studio.speak(50)
            take = studio.start(look_back_s=2)
            studio.speak(10)
            studio.end()
            heard = read((await saved(take)).path)
            begin = take.start_samples
            assert begin < pause.end_samples
            assert not heard[: pause.end_samples - begin].any()
            assert np.array_equal(heard, studio.whole()[begin:])

        in_a_loop(test, tmp_path, look_back_s=2.0)

    def test_digits_of_a_pause_are_in_no_sidecar(self, tmp_path: Path) -> None:
        async def test(studio: Studio) -> None:
            studio.speak(50)
            call = studio.engine.calls[studio.call.call_id]
            digits = iter("1234567")
            told: list[Any] = []
            call.publish = lambda info, event: told.append(event)

            def press(**more: int) -> None:
                event = {"event": "dtmf", "digit": next(digits), "track": "inbound", **more}
                call.add_event(event, studio.clock.now_ns())

            press()
            studio.recorder.pausing.pause(studio.call)
            studio.speak(10)
            press()
            press()
            studio.recorder.pausing.resume(studio.call)
            studio.speak(2)
            press(duration_ms=100)  # which was held while the call was paused
            studio.speak(20)
            press()  # a frame that says nothing of when: an application that has the key by its tones resumes at once
            studio.speak(30)
            press(duration_ms=100)
            studio.speak(10)
            press()
            studio.end()
            document = json.loads((tmp_path / f"{studio.call.call_id}.json").read_bytes())
            assert [event["digit"] for event in document["events"] if event["event"] == "dtmf"] == list("1?????7")
            assert [event.digit for event in told if event.NAME == "dtmf"] == list("1234567"), (
                "the bus withholds itself"
            )

        in_a_loop(test, tmp_path)
