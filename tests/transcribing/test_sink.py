"""The sink and its desk, step by step: workers are lists, the clock is the test's, nothing runs by itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media.events.bus import EventBus, Told
from media.events.transcripts import Transcription
from media.sinks.contract import CallInfo
from media.transcribing.contract import Result, Word
from media.transcribing.desk import Desk
from media.transcribing.limits import Limits
from media.transcribing.messages import Done, Finish, Give, Ready
from media.transcribing.plugins import parse_choice
from media.transcribing.sink import TranscribingSink, Wish
from strep.clock import ManualClock
from strep.errors import ConfigurationError, UsageError
from tests.sinks.rows import call_info, call_report
from tests.transcribing.scripted import install
from tests.transcribing.test_gate import TALK, blocks, voices
from tests.transcribing.test_pool import FakeLink
from tests.transcribing.webvtt import read


class SteppedDesk(Desk):
    """A desk without its thread."""

    def start(self) -> None: ...

    def stop(self) -> None:
        with self._lock:
            for pool in self._pools.values():
                pool.close_all(self._clock.now_ns())
            self._is_stopping = True
        while self.step() >= 0:
            pass


class Counter(FakeLink):
    """A worker that is ready at once and says how many samples it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.says.append(Ready(8000))
        self.given_samples: dict[int, int] = {}
        self.final: dict[int, int] = {}

    def send(self, order: Any) -> None:
        super().send(order)
        if isinstance(order, Give):
            known = self.given_samples.get(order.stream, 0)
            self.given_samples[order.stream] = known + len(order.pcm) // 2
            self.says.append(Done(order.item, order.stream, [Result("so", False)]))
        elif isinstance(order, Finish):
            begin, end = self.final.get(order.stream, 0), self.given_samples[order.stream]
            self.final[order.stream] = end
            words = [Word("all", begin, end, 0.5)]
            self.says.append(Done(order.item, order.stream, [Result("all", True, words, 0.5)]))


class World:
    def __init__(self, directory: Path | None, wish: str = "", monkeypatch: pytest.MonkeyPatch | None = None) -> None:
        self.clock, self.told, self.links = ManualClock(), list[Told](), list[Counter]()
        bus = EventBus(self.clock)
        bus.subscribe(self.told.append)

        def make_desk(limits: Limits, directory: Path | None, bus: EventBus, clock: ManualClock) -> Desk:
            return SteppedDesk(limits, directory, bus, clock, self.start)

        limits = Limits(backlog_s=600)
        chosen = Wish(parse_choice(wish)) if wish else None
        self.sink = TranscribingSink(chosen, limits, directory, bus, self.clock, make_desk)

    def start(self) -> Counter:
        self.links.append(Counter())
        return self.links[-1]

    def hear(self, tracks: dict[int, Any], start: int = 0) -> None:
        for batch in blocks(tracks, start=start):
            self.clock.monotonic_ns = max(batch.now_ns, self.clock.monotonic_ns)
            self.sink.receive(batch)
            self.sink.desk.step()

    def finals(self) -> list[tuple[str, str, int | None, int]]:
        return [
            (told.call.call_id, told.event.track, told.event.position_samples, told.event.duration_samples)
            for told in self.told
            if isinstance(told.event, Transcription) and told.event.is_final
        ]


@pytest.fixture(autouse=True)
def _installed(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path_factory.mktemp("installed") / "site", monkeypatch)


def test_all_calls(tmp_path: Path) -> None:
    world = World(tmp_path, "scripted")
    call = call_info(3, "c")
    world.sink.call_started(call)
    world.hear({6: TALK[0], 7: TALK[1]})
    world.sink.call_ended(call, call_report(TALK.shape[1]))
    world.sink.close()
    found = world.finals()
    for track, pcm in zip(("inbound", "outbound"), TALK, strict=True):
        spans = [(begin, begin + length) for _, side, begin, length in found if side == track and begin is not None]
        for begin, end in voices(pcm):
            assert any(first <= begin and end <= last for first, last in spans), (track, begin, end)
    cues, _ = read(tmp_path / "c.vtt")
    assert {cue.speaker for cue in cues} == {"inbound", "outbound"}
    assert len(cues) == len(found)
    lines = [json.loads(line) for line in (tmp_path / "c.transcript.jsonl").read_text().splitlines()]
    assert lines[0]["call_id"] == "c"
    assert len(lines) == 1 + len(found)
    assert world.sink.snapshot()["calls"] == 0
    assert all(link.is_dismissed for link in world.links)


def test_partial_results_are_told(tmp_path: Path) -> None:
    world = World(tmp_path, "scripted")
    world.sink.call_started(call_info())
    world.hear({0: TALK[0]})
    partial = [told for told in world.told if isinstance(told.event, Transcription) and not told.event.is_final]
    assert len(partial) == len(world.finals()) > 3, "each once, for it says the same all the time"


class TestOneCall:
    def started(self, tmp_path: Path) -> tuple[World, CallInfo, CallInfo]:
        world, one, other = World(tmp_path), call_info(0, "one"), call_info(1, "other")
        for call in (one, other):
            world.sink.call_started(call)
        return world, one, other

    def test_from_when_it_is_asked_for_until_it_is_not(self, tmp_path: Path) -> None:
        world, one, _ = self.started(tmp_path)
        tracks = {0: TALK[0], 1: TALK[1], 2: TALK[0]}
        length = TALK.shape[1]
        world.hear(tracks)
        assert world.links == []
        world.sink.start(one, Wish(parse_choice("scripted"), "inbound", wants_partials=False))
        world.hear(tracks, start=length)
        assert world.sink.stop(one)
        world.hear(tracks, start=2 * length)
        assert {(call, track) for call, track, _, _ in world.finals()} == {("one", "inbound")}
        assert all(length - 2400 <= (begin or 0) <= 2 * length for _, _, begin, _ in world.finals())
        assert len(world.finals()) == len(world.told)
        assert not world.sink.stop(one)

    def test_it_may_be_asked_for_before_this_thread_knows_the_call(self, tmp_path: Path) -> None:
        world, call = World(tmp_path), call_info()
        world.sink.start(call, Wish(parse_choice("scripted")))
        world.hear({2: TALK[0]})
        world.sink.call_started(call)
        world.hear({0: TALK[0]})
        assert world.finals()

    def test_again_after_it_was_stopped(self, tmp_path: Path) -> None:
        world, one, _ = self.started(tmp_path)
        for round_ in range(2):
            world.sink.start(one, Wish(parse_choice("scripted")))
            world.hear({0: TALK[0]}, start=round_ * TALK.shape[1])
            world.sink.stop(one)
        world.sink.call_ended(one, call_report(0))
        world.sink.close()
        assert len(list(tmp_path.glob("*.jsonl"))) == 1
        assert len(world.finals()) == 2 * len(world.finals()[: len(world.finals()) // 2])

    def test_twice_is_once_too_often(self, tmp_path: Path) -> None:
        world, one, _ = self.started(tmp_path)
        wish = Wish(parse_choice("scripted"))
        world.sink.start(one, wish)
        with pytest.raises(UsageError, match="already"):
            world.sink.start(one, wish)

    def test_an_engine_that_cannot_be_used_is_told_to_whoever_asks(self, tmp_path: Path) -> None:
        world, one, _ = self.started(tmp_path)
        with pytest.raises(ConfigurationError, match="no engine"):
            world.sink.start(one, Wish(parse_choice("sphinx")))
        world.sink.start(one, Wish(parse_choice("scripted")))

    def test_a_call_that_ended_is_forgotten(self, tmp_path: Path) -> None:
        world, one, other = self.started(tmp_path)
        world.sink.start(one, Wish(parse_choice("scripted")))
        world.sink.call_ended(one, call_report(0))
        world.sink.call_ended(other, call_report(0))
        world.sink.receive(blocks({4: TALK[0, :800]})[0])
        assert world.sink._asked == {}
        assert not world.sink._orders
        assert not world.sink._live
        assert not world.sink._transcribed


def test_a_server_with_a_wrong_engine_does_not_begin() -> None:
    with pytest.raises(ConfigurationError, match="no engine 'sphinx'"):
        World(None, "sphinx")


def test_files_that_cannot_be_written_cost_no_event(tmp_path: Path) -> None:
    world = World(tmp_path / "gone", "scripted")
    world.sink.call_started(call_info())
    world.hear({0: TALK[0]})
    assert world.finals()
    assert world.sink.snapshot()["unwritten"] >= len(world.finals())


def test_the_backlog_has_an_age(tmp_path: Path) -> None:
    world = World(tmp_path, "scripted")
    world.sink.call_started(call_info())
    for batch in blocks({0: TALK[0]}):
        world.clock.monotonic_ns = batch.now_ns
        world.sink.receive(batch)
    [engine] = world.sink.snapshot()["engines"].values()
    first = voices(TALK[0])[0][0]
    assert engine["backlog_age_seconds"] == pytest.approx((TALK.shape[1] - first) / 8000, abs=0.5)
    assert engine["backlog_seconds"] > 3
    world.sink.desk.step()
    world.sink.desk.step()
    assert np.isfinite(world.sink.snapshot()["engines"]["scripted"]["given_seconds"])
