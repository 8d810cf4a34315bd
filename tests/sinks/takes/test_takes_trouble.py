"""Takes that fall behind, that cannot be, and that are of no call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media.blocks import PcmBatch
from media.sinks.contract import Sink, SinkOptions
from media.sinks.queue import Item, SinkQueue
from media.sinks.takes.options import TakeOptions
from media.sinks.takes.sink import NEVER_COMES_NS
from media.talk.recording import MAX_TAKES, Recorder, RecordingError, options_of
from strep.errors import UsageError
from strep.header import Direction
from tests.media.harness import Directly
from tests.media.world import FRAME
from tests.sinks.takes.studio import FRAME_MS, Studio, in_a_loop, read, saved, sidecar_of


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
