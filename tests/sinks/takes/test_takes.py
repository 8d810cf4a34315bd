"""Takes against the recording of the whole call, the audio of which the simulated world knows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from media.blocks import PcmBatch
from media.events.kinds import Event
from media.pauses.spans import PauseMode
from media.sinks.contract import CallInfo, Sink, SinkOptions
from media.sinks.finished import FinishedRecording
from media.sinks.finisher import Finisher
from media.sinks.queue import Item, SinkQueue
from media.sinks.recording import RecordingSink
from media.sinks.rewriting import mixed
from media.sinks.sidecar import SCHEMA_PATH
from media.sinks.takes.beep import beep
from media.sinks.takes.options import TakeOptions
from media.sinks.takes.sink import NEVER_COMES_NS, TakesSink
from media.talk.recording import MAX_TAKES, Recorder, RecordingError, TakeHandle, options_of
from media.ws.chunks import Placement
from strep import rtp
from strep.errors import UsageError
from strep.g711 import Codec, encode
from strep.header import Direction
from strep.rtp import RtpPacket
from tests.media.harness import Directly
from tests.media.world import FRAME, World, start
from tests.patience import PATIENCE_S

FRAME_MS, RATE = 20, 8000
SCHEMA = json.loads(SCHEMA_PATH.read_text())
Frames = NDArray[np.int16]


class Studio(World):
    """A call, its recording, takes of it, and everything that happens at once."""

    def __init__(self, directory: Path, look_back_s: float = 0.0) -> None:
        super().__init__()
        self.told: list[tuple[CallInfo, Event]] = []
        self.finisher = Finisher(lambda call, event: self.told.append((call, event)))
        self.recording = RecordingSink(directory, clock=self.clock, finisher=self.finisher)
        self.takes = TakesSink(directory, self.finisher, self.clock, look_back_s)
        self.engine._outlets += [Directly(self.recording), Directly(self.takes)]
        self.recorder = Recorder(self.engine, lambda call, event: self.told.append((call, event)), self.takes)
        self.directory, self.number = directory, 0
        self.loudness = {Direction.INBOUND: 8000.0, Direction.OUTBOUND: 4000.0}
        self._noise = np.random.default_rng(5)

    @property
    def call(self) -> CallInfo:
        return self.ear.started[0]

    def speak(
        self, frames: int, skip: tuple[int, ...] = (), directions: tuple[Direction, ...] = tuple(Direction)
    ) -> None:
        for _ in range(frames):
            for direction in directions:
                pcm = (
                    self._noise.normal(0, self.loudness[direction] or 1e-9, FRAME)
                    .clip(-30000, 30000)
                    .astype(np.int16)
                )
                payload = encode(pcm, Codec.PCMU).tobytes()
                packet = RtpPacket(0, self.number, self.number * FRAME, 7 + direction, payload)
                if self.number not in skip:
                    self.send_strep(rtp.serialize(packet), 1, direction)
            self.number += 1
            self.tick(FRAME_MS)

    def start(self, **options: Any) -> TakeHandle:
        return self.recorder.start(self.call, options_of(options))

    def end(self) -> None:
        self.engine.end_all("shutdown")
        self.takes.close()
        self.recording.close()
        self.work()

    def work(self) -> None:
        """Do what the finisher's thread would do by now."""
        while self.finisher._waiting.qsize():
            self.finisher.step()

    def whole(self) -> Frames:
        return read(self.directory / f"{self.call.call_id}.wav")

    def names(self) -> list[str]:
        return [event.NAME for _, event in self.told]


def read(path: Path) -> Frames:
    frames: Frames = soundfile.read(path, dtype="int16", always_2d=True)[0]
    return frames


def sidecar_of(recording: FinishedRecording) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(recording.sidecar.read_bytes())
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    return document


def in_a_loop(test: Callable[[Studio], Any], directory: Path, **studio: Any) -> Any:
    async def run() -> Any:
        return await test(Studio(directory, **studio))

    return asyncio.run(run())


async def saved(take: TakeHandle) -> FinishedRecording:
    return await asyncio.wait_for(take.saved(), PATIENCE_S)


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


class Slow(Directly):
    """An outlet whose sink is as slow as the test wants: what waits for more than a second is dropped."""

    def __init__(self, sink: Sink) -> None:
        super().__init__(sink)
        self.queue, self.is_stuck = SinkQueue(SinkOptions("takes", max_queue_seconds=1.0)), False

    def put(self, item: Item) -> None:
        self.queue.put(item, item.now_ns if isinstance(item, PcmBatch) else 0)
        while not self.is_stuck and (got := self.queue.get()) is not None:
            super().put(got[0])


class TestFallingBehind:
    @pytest.mark.parametrize("has_begun", [True, False])
    def test_what_was_dropped_is_told(self, tmp_path: Path, has_begun: bool) -> None:
        async def test(studio: Studio) -> None:
            slow = studio.engine._outlets[-1] = Slow(studio.takes)
            studio.speak(100)
            early = studio.start() if has_begun else None
            studio.speak(20, directions=(Direction.INBOUND,))
            studio.speak(80)
            slow.is_stuck = True
            studio.speak(50)
            take = early or studio.start()
            studio.speak(150)
            slow.is_stuck = False
            studio.speak(50)
            studio.end()
            recording = await saved(take)
            holes = [event for event in sidecar_of(recording)["events"] if event.get("type") == "sink_dropped"]
            assert [hole["track"] for hole in holes] == ["inbound", "outbound"]
            heard, whole = read(recording.path), studio.whole()[take.start_samples :]
            for channel, hole in enumerate(holes):
                place = hole["position_samples"] - take.start_samples
                is_hole = np.zeros(len(whole), np.bool_)
                is_hole[place : place + hole["samples"]] = True
                assert place >= 0 if has_begun else place == 0
                assert 90 * FRAME < is_hole.sum() < 200 * FRAME
                assert not heard[is_hole, channel].any()
                assert np.array_equal(heard[~is_hole, channel], whole[~is_hole, channel])

        in_a_loop(test, tmp_path)

    def test_a_jump_of_a_track_is_no_hole(self, tmp_path: Path) -> None:
        async def test(studio: Studio) -> None:
            studio.engine._outlets[-1] = Slow(studio.takes)
            studio.speak(100)
            take = studio.start()
            studio.speak(100)
            for _ in range(250):  # on hold: neither packets nor timestamps go on
                studio.tick(FRAME_MS)
            studio.speak(200)
            studio.end()
            recording = await saved(take)
            assert recording.length_samples > 500 * FRAME
            assert sidecar_of(recording)["events"] == []

        in_a_loop(test, tmp_path)


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


class TestWhatCannotBe:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"name": "../secret"}, "letters, digits"),
            ({"name": "2"}, "not only digits"),
            ({"name": "a" * 41}, "1 to 40"),
            ({"name": "a.b"}, "letters, digits"),
            ({"name": "x\n"}, "letters, digits"),
            ({"channels": "mono"}, "dual or single"),
            ({"track": "left"}, "both, inbound or outbound"),
            ({"format": "ogg"}, "wav, mp3, flac or opus"),
            ({"max_length_s": 14_401}, "0 \\(never\\) to 14400"),
            ({"max_length_s": float("nan")}, "0 \\(never\\) to 14400"),
            ({"end_silence_s": -1}, "0 \\(never\\) to 14400"),
            ({"silence_dbm0": 0}, "-70 to -10"),
            ({"look_back_s": -1}, "0 or more"),
            ({"max_lenght_s": 3}, "no option max_lenght_s; there are channels"),
        ],
    )
    def test_options(self, options: dict[str, Any], words: str) -> None:
        with pytest.raises(UsageError, match=words):
            options_of(options)

    def test_orders(self, tmp_path: Path) -> None:
        async def test(studio: Studio) -> None:
            studio.speak(10)
            with pytest.raises(UsageError, match="longer --look-back"):
                studio.start(look_back_s=2)
            with pytest.raises(UsageError, match="--record or --takes"):
                Recorder(studio.engine, lambda call, event: None, None).start(studio.call, TakeOptions())
            takes = [studio.start() for _ in range(MAX_TAKES)]
            with pytest.raises(UsageError, match="stop one first"):
                studio.start()
            studio.speak(1)
            takes[0].stop()
            studio.speak(100)
            studio.work()
            await saved(takes[0])
            last = studio.start()
            studio.end()
            await saved(last)
            with pytest.raises(UsageError, match="has ended"):
                studio.start()
            takes[0].stop()

        in_a_loop(test, tmp_path, look_back_s=1.0)

    def test_a_disk_that_refuses_costs_the_take_alone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        async def test(studio: Studio) -> None:
            studio.speak(10)
            no_directory = tmp_path / "file"
            no_directory.write_text("")
            studio.takes._directory = no_directory
            take = studio.start()
            studio.speak(50)
            studio.work()
            with pytest.raises(RecordingError, match=r"NotADirectory|FileExists"):
                await saved(take)
            assert studio.names() == ["recording_started", "recording_failed"]
            studio.end()
            assert len(studio.whole()) == 60 * FRAME

        in_a_loop(test, tmp_path)

    def test_a_take_of_a_call_that_never_came_is_told(self, tmp_path: Path) -> None:
        async def test(studio: Studio) -> None:
            studio.engine._outlets.pop()
            studio.speak(10)
            take = studio.start()
            take.stop()
            studio.end()
            with pytest.raises(RecordingError, match="could begin"):
                await saved(take)

        in_a_loop(test, tmp_path)

    def test_a_take_of_a_call_that_the_queue_dropped_is_told_while_the_server_goes_on(self, tmp_path: Path) -> None:
        async def test(studio: Studio) -> None:
            studio.engine._outlets.pop()
            studio.speak(10)
            take, ordered_ns = studio.start(), studio.clock.now_ns()
            take.stop()
            studio.takes.receive(PcmBatch.tick(ordered_ns + NEVER_COMES_NS))
            assert studio.takes._early, "it may still come: a thread may be late"
            studio.takes.receive(PcmBatch.tick(ordered_ns + NEVER_COMES_NS + 1))
            with pytest.raises(RecordingError, match="never heard of the call"):
                await saved(take)
            assert not studio.takes._early
            assert studio.names()[-1] == "recording_failed"

        in_a_loop(test, tmp_path)

    def test_takes_of_a_call_do_not_count_for_the_next_one_of_its_name(self, tmp_path: Path) -> None:
        async def test(studio: Studio) -> None:
            studio.speak(10)
            takes = [studio.start() for _ in range(MAX_TAKES)]
            studio.engine.end_all("shutdown")
            before, studio.number = studio.call, 0
            studio.ear.started.clear()
            studio.speak(10)
            assert studio.call.call_id == before.call_id
            takes.append(studio.start())
            studio.end()
            assert len({(await saved(take)).path for take in takes}) == MAX_TAKES + 1
            assert not studio.recorder._live

        in_a_loop(test, tmp_path)
