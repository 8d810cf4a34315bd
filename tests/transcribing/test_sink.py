"""The sink and its desk, step by step: workers are lists, the clock is the test's, nothing runs by itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media.blocks import PcmBatch
from media.events.bus import EventBus, Told
from media.events.transcripts import Transcription
from media.sinks.contract import CallInfo
from media.talk.transcription import Transcribable
from media.transcribing.contract import Result, Word
from media.transcribing.desk import Desk
from media.transcribing.limits import Limits
from media.transcribing.messages import Done, Finish, Give, Ready
from media.transcribing.plugins import parse_choice
from media.transcribing.sink import TranscribingSink, Wish
from strep.clock import NS_PER_SECOND, ManualClock
from strep.errors import ConfigurationError, UsageError
from tests.sinks.rows import call_info, call_report
from tests.transcribing.pool_world import FakeLink
from tests.transcribing.scripted import install
from tests.transcribing.test_gate import TALK, blocks, voices
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

    def pass_(self, seconds: float) -> None:
        self.clock.advance(round(seconds * NS_PER_SECOND))
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
        first = [
            (begin or 0, length) for _, _, begin, length in world.finals() if (begin or 0) < TALK.shape[1] - 2400
        ]
        again = [(begin or 0, length) for _, _, begin, length in world.finals()][len(first) :]
        assert len(first) == len(again) > 3
        shifted = [(begin - TALK.shape[1], length) for begin, length in again]
        assert shifted[1:] == first[1:], "the first begins a moment earlier, in what is kept"

    def test_twice_is_once_too_often(self, tmp_path: Path) -> None:
        world, one, _ = self.started(tmp_path)
        wish = Wish(parse_choice("scripted"))
        world.sink.start(one, wish)
        with pytest.raises(UsageError, match="already"):
            world.sink.start(one, wish)

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


class TestEngines:
    def test_one_that_nobody_uses_any_more_is_dismissed_but_not_that_of_all_calls(self, tmp_path: Path) -> None:
        world = World(tmp_path, "scripted")
        world.sink.receive(PcmBatch.tick(world.clock.now_ns()))
        world.sink.desk.step()
        world.sink.call_started(call_info(0, "one"))
        own = call_info(1, "own")
        world.sink.desk.prepare(parse_choice("scripted:tag=own"))
        world.sink.desk.open(own, "inbound", parse_choice("scripted:tag=own"), wants_partials=False)
        world.pass_(1)
        own_links = world.links[2:]
        assert len(own_links) == 1
        [transcript] = [known for known in world.sink.desk._transcripts.values() if known.call is own]
        world.sink.desk.close(parse_choice("scripted:tag=own"), transcript.streams[0])
        world.sink.desk.end(own)
        world.pass_(1)
        world.pass_(59)
        assert [link.is_dismissed for link in own_links] == [False]
        world.pass_(1)
        assert [link.is_dismissed for link in own_links] == [True]
        assert set(world.sink.snapshot()["engines"]) == {"scripted"}
        world.pass_(0.5)
        assert [link.buried_s for link in own_links] == [None], "nobody waits for it"
        world.pass_(1)
        assert [link.buried_s for link in own_links] == [0]
        world.sink.call_ended(call_info(0, "one"), call_report(0))
        world.pass_(1000)
        assert not any(link.is_dismissed for link in world.links[:2])

    def test_more_than_so_many_at_a_time_are_refused_unless_one_is_idle(self, tmp_path: Path) -> None:
        world, most = World(tmp_path), Limits().engines
        calls = [call_info(index, f"call{index}") for index in range(most + 2)]

        def start(call: CallInfo) -> None:
            world.sink.start(call, Wish(parse_choice(f"scripted:tag={call.call_id}"), "inbound"))

        for call in calls:
            world.sink.call_started(call)
        for call in calls[:most]:
            start(call)
        with pytest.raises(UsageError, match="8 engines are at work"):
            start(calls[most])
        world.sink.receive(blocks({0: TALK[0, :800]})[0])
        world.pass_(2)
        assert len(world.links) == most
        with pytest.raises(UsageError, match="use the same options"):
            start(calls[most])
        world.sink.call_ended(calls[0], call_report(0))
        world.pass_(2)
        world.pass_(2)
        start(calls[most])
        world.pass_(0)
        assert [link.is_dismissed for link in world.links] == [True] + [False] * (most - 1)
        with pytest.raises(UsageError, match="8 engines"):
            start(calls[most + 1])
        world.sink.close()
        assert all(link.is_dismissed and link.buried_s is not None for link in world.links)


class Call(Transcribable):
    def __init__(self, info: CallInfo, sink: TranscribingSink) -> None:
        self.info, self.transcriber, self.is_over = info, sink, False

    @property
    def has_ended(self) -> bool:
        return self.is_over


async def test_an_engine_that_cannot_be_used_is_told_to_whoever_asks(tmp_path: Path) -> None:
    world = World(tmp_path)
    call = Call(call_info(), world.sink)
    with pytest.raises(ConfigurationError, match="no engine"):
        await call.start_transcription("sphinx")
    await call.start_transcription("scripted")
    assert len(world.sink._asked) == 1


async def test_a_call_that_ends_while_its_engine_is_imported_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    call = Call(call_info(), world.sink)
    world.sink.call_started(call.info)

    def import_slowly(choice: object) -> None:
        call.is_over = True
        world.sink.call_ended(call.info, call_report(0))

    monkeypatch.setattr("media.talk.transcription.make_engine", import_slowly)
    with pytest.raises(UsageError, match="the call has ended"):
        await call.start_transcription("scripted")
    assert world.sink._asked == {}
    assert not world.sink._orders


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
