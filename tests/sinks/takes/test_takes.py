"""Takes against the recording of the whole call, the audio of which the simulated world knows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from media.sinks.rewriting import mixed
from media.sinks.takes.beep import beep
from media.ws.chunks import Placement
from strep.header import Direction
from tests.media.world import FRAME, start
from tests.sinks.takes.studio import FRAME_MS, RATE, Studio, in_a_loop, read, saved, sidecar_of


class TestSpans:
    def test_a_take_is_a_piece_of_the_whole(self, tmp_path: Path) -> None:
        async def test(studio: Studio) -> None:
            studio.speak(50)
            take = studio.start()
            studio.speak(100, skip=(70, 71, 95))
            take.stop()
            studio.speak(80)
            studio.work()
            recording = await saved(take)
            assert studio.engine.calls, "it is saved while the call goes on"
            assert (recording.path.stem, recording.is_take) == (f"{studio.call.call_id}.take", True)
            studio.speak(10)
            studio.end()
            document, whole, heard = sidecar_of(recording), studio.whole(), read(recording.path)
            start, end = document["take"]["start_samples"], document["take"]["end_samples"]
            assert (start, start) == (take.start_samples, 50 * FRAME)
            assert 150 * FRAME <= end <= 151 * FRAME
            assert np.array_equal(heard, whole[start:end])
            assert document["length_samples"] == recording.length_samples == end - start
            assert (document["state"], document["take"]["ended_by"]) == ("complete", "stop")
            assert recording.started_wall_ns - studio.call.started_wall_ns == start * 10**9 // RATE
            assert studio.names() == ["recording_started", "recording_saved", "recording_saved"]

        in_a_loop(test, tmp_path)

    def test_takes_may_overlap_and_have_names(self, tmp_path: Path) -> None:
        async def test(studio: Studio) -> None:
            studio.speak(20)
            one = studio.start(name="question")
            studio.speak(50)
            two = studio.start(name="question", track="outbound")
            studio.speak(30)
            one.stop()
            studio.speak(30)
            studio.end()
            first, second = await saved(one), await saved(two)
            assert first.path.name == f"{studio.call.call_id}.question.wav"
            assert second.path.name == f"{studio.call.call_id}.question.2.wav"
            whole = studio.whole()
            documents = sidecar_of(first), sidecar_of(second)
            for recording, document, channels in zip((first, second), documents, ([0, 1], [1]), strict=True):
                span = document["take"]
                expected = whole[span["start_samples"] : span["end_samples"], channels]
                assert np.array_equal(read(recording.path), expected)
                assert recording.channels == document["channels"] == len(channels)
            assert documents[1]["take"]["ended_by"] == "call_ended"
            assert documents[1]["take"]["end_samples"] == len(whole)

        in_a_loop(test, tmp_path)

    def test_one_channel_is_half_of_both(self, tmp_path: Path) -> None:
        async def test(studio: Studio) -> None:
            studio.speak(10)
            take = studio.start(channels="single")
            studio.speak(60, skip=(20,))
            studio.end()
            recording = await saved(take)
            whole = studio.whole()[take.start_samples :]
            assert np.array_equal(read(recording.path)[:, 0], mixed(whole, "both"))
            assert sidecar_of(recording)["take"]["channels"] == "single"

        in_a_loop(test, tmp_path)

    def test_looking_back_is_exact(self, tmp_path: Path) -> None:
        async def test(studio: Studio) -> None:
            studio.speak(300, skip=(200, 220))
            take = studio.start(look_back_s=3)
            studio.speak(50)
            take.stop()
            studio.speak(60)
            studio.end()
            recording = await saved(take)
            document = sidecar_of(recording)
            assert document["take"]["start_samples"] == 300 * FRAME - 3 * RATE
            assert document["take"]["look_back_samples"] == 3 * RATE
            expected = studio.whole()[300 * FRAME - 3 * RATE : document["take"]["end_samples"]]
            assert np.array_equal(read(recording.path), expected)

        in_a_loop(test, tmp_path, look_back_s=3.0)

    def test_who_looks_back_beyond_the_beginning_begins_there(self, tmp_path: Path) -> None:
        async def test(studio: Studio) -> None:
            studio.speak(40)
            take = studio.start(look_back_s=5)
            studio.end()
            assert take.start_samples == 0
            assert np.array_equal(read((await saved(take)).path), studio.whole())

        in_a_loop(test, tmp_path, look_back_s=5.0)

    def test_the_memory_of_looking_back_has_a_bound(self, tmp_path: Path) -> None:
        async def test(studio: Studio) -> None:
            studio.speak(400)
            assert studio.takes.snapshot()["look_back_bytes"] <= 2 * RATE * (2.0 + 1.0 + 0.2)
            studio.end()

        in_a_loop(test, tmp_path, look_back_s=2.0)

    def test_the_next_call_of_an_index_does_not_look_back_into_the_last_one(self, tmp_path: Path) -> None:
        async def test(studio: Studio) -> None:
            studio.speak(100)
            studio.engine.end_all("shutdown")
            studio.number, studio.ear.started[:] = 0, []
            studio.loudness = dict.fromkeys(Direction, 0.0)
            studio.speak(10)
            take = studio.start(look_back_s=3)
            studio.speak(10)
            studio.end()
            assert not read((await saved(take)).path).any()

        in_a_loop(test, tmp_path, look_back_s=3.0)

    def test_a_side_that_is_silent_is_not_waited_for(self, tmp_path: Path) -> None:
        async def test(studio: Studio) -> None:
            studio.speak(20)
            take = studio.start()
            studio.speak(50, directions=(Direction.INBOUND,))
            take.stop()
            studio.speak(90, directions=(Direction.INBOUND,))
            studio.work()
            recording = await saved(take)
            assert not read(recording.path)[:, 1].any()
            studio.end()

        in_a_loop(test, tmp_path)


class TestTimes:
    def test_a_stream_that_is_silent_at_first(self, tmp_path: Path) -> None:
        """Its position 0 is its first audio: three seconds behind the start frame."""

        async def test(studio: Studio) -> None:
            stream = studio.stream.stream_started(start("s1"), studio.clock.now_ns())
            studio.tick(3000)
            heard_ns = studio.clock.wall_ns()
            for number in range(200):
                payload, place = b"a" * FRAME, Placement(number, number * FRAME)
                studio.stream.stream_media(stream, Direction.INBOUND, place, payload, studio.clock.now_ns())
                studio.stream.deliver(studio.clock.now_ns())
                studio.tick(FRAME_MS)
                if number == 50:
                    take = studio.start()
            unfinished = json.loads((tmp_path / "s1.json").read_bytes())
            assert unfinished["state"] == "recording"
            assert abs(unfinished["started_wall_ns"] - heard_ns) < 0.1e9, "whoever goes on with it needs that"
            assert (
                unfinished["clock"]["started_monotonic_ns"] == unfinished["started_wall_ns"] - studio.clock.epoch_ns
            )
            studio.stream.stream_stopped(stream, studio.clock.now_ns())
            studio.end()
            recording = await saved(take)
            document, whole = sidecar_of(recording), json.loads((tmp_path / "s1.json").read_bytes())
            assert document["started_wall_ns"] == whole["started_wall_ns"] == unfinished["started_wall_ns"]
            start_ns = take.start_samples * 10**9 // RATE
            assert recording.started_wall_ns == whole["started_wall_ns"] + start_ns
            end_ns = document["take"]["end_samples"] * 10**9 // RATE
            assert document["ended_wall_ns"] == recording.ended_wall_ns == whole["started_wall_ns"] + end_ns

        in_a_loop(test, tmp_path)


class TestBeep:
    def test_it_is_in_the_file_where_that_is_wanted(self, tmp_path: Path) -> None:
        async def test(studio: Studio) -> None:
            studio.loudness = {Direction.INBOUND: 3000, Direction.OUTBOUND: 0}
            studio.speak(50)
            take = studio.start(beep_in_file=True, look_back_s=0.5)
            studio.speak(50)
            studio.end()
            heard, whole = read((await saved(take)).path), studio.whole()[take.start_samples :]
            sound, place = beep(RATE), RATE // 2
            assert np.array_equal(heard[place : place + len(sound), 1], sound)
            heard[place : place + len(sound), 1] = 0
            assert np.array_equal(heard, whole)

        in_a_loop(test, tmp_path, look_back_s=1.0)
