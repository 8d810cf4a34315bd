"""What is kept of what is played: when the caller heard it, and where it lies in a call.

That it is what was heard and nothing else, whatever happens, is in `tests.talk.test_playout` (`history.check`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from media.blocks import PcmBatch
from media.pauses.pausing import Pausing
from media.sinks.queue import Item
from media.sinks.recording import RecordingSink
from media.sinks.salvage import Salvage
from media.talk.contract import Pcm
from media.talk.played import PlayedTape
from media.talk.played_track import PATIENCE_NS, PlayedTrack
from media.talk.played_tracks import PlayedTracks
from media.talk.player import Player
from strep.clock import NS_PER_MS, NS_PER_SECOND
from strep.g711 import Codec, decode, encode
from strep.header import Direction
from tests.media.harness import Directly, pcm_channels
from tests.media.world import FRAME, World, audio, start
from tests.sinks.sidecars import check
from tests.talk import mp3_world
from tests.talk.simulated_carrier import SimulatedCall
from tests.talk.test_against_the_carrier import rtp, sound

SAID = np.random.default_rng(3).integers(-9000, 9000, 4000).astype(np.int16)


@dataclass
class Kept:
    """A listener that keeps what it is told."""

    pieces: list[tuple[int, Pcm]] = field(default_factory=list)
    silences: int = 0

    def heard(self, at_ns: int, pcm: Pcm, earliest_ns: int) -> None:
        self.pieces.append((at_ns, pcm))

    def fell_silent(self) -> None:
        self.silences += 1


@pytest.mark.parametrize("delay_ms", [0, 30, 100])
def test_each_sample_is_where_it_was_heard_as_late_as_the_callers_answer_to_it_comes(delay_ms: int) -> None:
    """What the caller says when he hears it is as long on its way as its mark is: beside it it has to lie."""
    call, kept = SimulatedCall("twilio", rtp("PCMU"), delay_ns=delay_ms * NS_PER_MS), Kept()
    began_ns = call.clock.now_ns()
    call.playout.player.tape = PlayedTape(call.rate_hz, kept)
    for number, samples in enumerate((4000, 3210, 8000)):
        call.play(sound("PCMU", samples, number))
        call.run(2)
    call.playout.settle(call.clock.now_ns())
    assert sum(len(pcm) for _, pcm in kept.pieces) == 4000 + 3210 + 8000
    assert kept.silences == 3
    for at_ns, pcm in kept.pieces:
        place = round((at_ns - began_ns - delay_ms * NS_PER_MS) * call.rate_hz / NS_PER_SECOND)
        assert any(np.array_equal(call.heard[near : near + len(pcm)], pcm) for near in (place, place - 1, place + 1))


@pytest.mark.parametrize("refused", [1, 2])
def test_a_piece_that_is_refused_and_sent_again_lies_where_it_was_heard_at_last(refused: int) -> None:
    world, kept = mp3_world.world(), Kept()
    world.carrier.refuse = lambda number: 100005 if number <= refused else None
    world.playout.player.tape = PlayedTape(8000, kept)
    began_ns = world.clock.now_ns()
    world.play(0, 12_000)
    world.run_out()
    world.playout.settle(world.clock.now_ns())
    heard = world.carrier.heard
    first = int(np.flatnonzero(heard)[0])
    assert abs(round((kept.pieces[0][0] - began_ns) * 8 / NS_PER_MS) - first) <= 160
    assert np.array_equal(np.concatenate([pcm for _, pcm in kept.pieces]), heard[heard != 0])


class Talking:
    """A playout that has been told all."""

    def __init__(self, rate_hz: int) -> None:
        self.player = Player(rate_hz)

    def settle(self, now_ns: int) -> None:
        pass


class Studio(World):
    """A call of the caller's side, its recording, and what is played into it."""

    def __init__(self, directory: Path, codec: str = "PCMU", rate_hz: int = 8000, played_hz: int = 8000) -> None:
        super().__init__()
        self.sink = RecordingSink(directory, clock=self.clock)
        self.tracks = PlayedTracks(self.engine)
        self.engine._outlets += [self, Directly(self.sink)]
        self.handle = self.stream.stream_started(start(codec=codec, sample_rate_hz=rate_hz), self.clock.now_ns())
        self.call = self.handle.call
        playout: Any = Talking(played_hz)
        law = Codec[codec] if codec in Codec.__members__ else None
        assert isinstance(playout.player, Player)
        self.call.played = self.played = PlayedTrack(self.call, self.engine, self.tracks, playout, law)
        self.number = 0

    def put(self, item: Item) -> None:
        """Be the outlet that looks, as the switchboard is."""
        if isinstance(item, PcmBatch):
            self.tracks.look(item.now_ns)

    def speak(self, frames: int, direction: Direction = Direction.INBOUND) -> None:
        """Let the caller, or whoever the carrier connects him with, speak in frames of 20 ms."""
        from media.ws.chunks import Placement

        for _ in range(frames):
            self.number += 1
            width = self.call.info.sample_rate_hz // 50
            payload = bytes([self.number % 200]) * (2 * width if self.call.info.is_linear else width)
            place = Placement(self.number, self.number * width, 0, 0)
            self.stream.stream_media(self.handle, direction, place, payload, self.clock.now_ns())
            self.stream.deliver(self.clock.now_ns())
            self.tick()

    def hear(self, at_ns: int, pcm: Pcm) -> None:
        self.played.heard(at_ns, pcm, at_ns)

    def at_ns(self, seconds: float) -> int:
        assert self.call.origin_ns is not None
        return self.call.origin_ns + round(seconds * NS_PER_SECOND)

    def end(self) -> None:
        self.engine.end_all("stop")
        self.sink.close()


def test_it_is_a_track_of_the_recording_silent_between_two_plays(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    studio.speak(10)
    for part in range(0, 4000, 1000):
        studio.hear(studio.at_ns(0.1 + part / 8000), SAID[part : part + 1000])
    studio.played.fell_silent()
    studio.hear(studio.at_ns(1), SAID[:777])
    studio.speak(60)
    studio.end()
    right = pcm_channels(tmp_path / "s1.wav")[:, 1]
    expected = np.zeros(len(right), np.int16)
    said = decode(encode(SAID, Codec.PCMU), Codec.PCMU)
    expected[800:4800], expected[8000:8777] = said, said[:777]
    assert np.array_equal(right, expected)
    track = check(tmp_path / "s1.json")["tracks"][1]
    assert (track["direction"], track["codec"], track["sources"]) == ("outbound", "PCMU", [{"played": True}])
    assert (track["start_samples"], track["length_samples"]) == (800, 7977)
    assert track["ledger"] == [{"start_samples": 4800, "length_samples": 3200, "kind": "silence"}]
    assert track["quality"] is None


@pytest.mark.parametrize(("codec", "rate_hz", "played_hz"), [("PCMU", 8000, 16_000), ("L16", 16_000, 8000)])
def test_at_another_rate_than_the_call(codec: str, rate_hz: int, played_hz: int, tmp_path: Path) -> None:
    studio = Studio(tmp_path, codec, rate_hz, played_hz)
    studio.speak(10)
    tone = (8000 * np.sin(2 * np.pi * 440 * np.arange(played_hz) / played_hz)).astype(np.int16)
    for part in range(0, played_hz, 900):
        studio.hear(studio.at_ns(0.5 + part / played_hz), tone[part : part + 900])
    studio.played.fell_silent()
    studio.end()
    right = pcm_channels(tmp_path / "s1.wav")[:, 1].astype(float)
    expected = 8000 * np.sin(2 * np.pi * 440 * np.arange(rate_hz) / rate_hz)
    middle = slice(rate_hz // 10, rate_hz - rate_hz // 10)
    heard = right[rate_hz // 2 :][:rate_hz]
    assert np.abs(heard[middle] - expected[middle]).max() < 300
    track = check(tmp_path / "s1.json")["tracks"][1]
    assert (track["start_samples"], track["length_samples"]) == (rate_hz // 2, rate_hz)


def test_where_the_carrier_sends_that_side_itself_nothing_is_kept(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    studio.speak(10)
    studio.speak(10, Direction.OUTBOUND)
    studio.hear(studio.at_ns(0.1), SAID)
    studio.end()
    assert [track["sources"][0].get("played") for track in check(tmp_path / "s1.json")["tracks"]] == [None, None]


def test_what_is_played_before_the_caller_is_heard_begins_the_call(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    began_ns = studio.clock.now_ns()
    for part in range(4):
        studio.hear(began_ns + part * PATIENCE_NS // 2, SAID)
        studio.tick(500)
    studio.speak(10)
    studio.end()
    document = check(tmp_path / "s1.json")
    assert [(t["direction"], t["start_samples"]) for t in document["tracks"]] == [
        ("inbound", 16_000),
        ("outbound", 0),
    ]
    said = decode(encode(SAID, Codec.PCMU), Codec.PCMU)
    assert np.array_equal(pcm_channels(tmp_path / "s1.wav")[:16_000, 1], np.tile(said, 4))


def test_nothing_but_it_may_come(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    studio.hear(studio.clock.now_ns(), SAID)
    studio.tick()
    studio.end()
    document = check(tmp_path / "s1.json")
    assert [track["totals"]["received"] for track in document["tracks"]] == [4000]
    assert document["length_samples"] == 4000


@pytest.mark.parametrize("has_spoken", [True, False])
@pytest.mark.parametrize("delay_s", [0.0, 0.8])
def test_nothing_of_a_pause_is_kept_wherever_it_would_lie(has_spoken: bool, delay_s: float, tmp_path: Path) -> None:
    """Not even of one that is over when it is handed out, nor before the caller is heard, nor if marks are slow."""
    studio, pausing = Studio(tmp_path), None
    pausing = Pausing(studio.engine, lambda call, event: None)
    if has_spoken:
        studio.speak(50)
        studio.hear(studio.clock.now_ns() - NS_PER_SECOND // 2, SAID)
    studio.tick(1000)
    pausing.pause(studio.call.info)
    for _ in range(4):
        studio.tick(500)
        began_ns = studio.clock.now_ns() - 500 * NS_PER_MS
        studio.played.heard(began_ns + round(delay_s * NS_PER_SECOND), SAID, began_ns)
    pausing.resume(studio.call.info)
    studio.hear(studio.clock.now_ns() - 500 * NS_PER_MS, SAID)
    studio.tick(1000)
    studio.hear(studio.clock.now_ns() - 500 * NS_PER_MS, SAID)
    studio.speak(10)
    studio.end()
    right = pcm_channels(tmp_path / "s1.wav")[:, 1]
    assert np.count_nonzero(right) == np.count_nonzero(decode(encode(SAID, Codec.PCMU), Codec.PCMU)) * (
        2 if has_spoken else 1
    )


def test_the_next_process_knows_of_it_if_this_one_is_killed(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    studio.speak(10)
    studio.hear(studio.at_ns(0.1), SAID)
    studio.played.fell_silent()
    studio.hear(studio.at_ns(1), SAID)
    studio.speak(150)
    recording = studio.sink._live[studio.call.info.index]
    assert recording.wav is not None
    recording.wav.let_go()
    Salvage(tmp_path, 0)._run()
    track = check(tmp_path / "s1.json")["tracks"][1]
    assert (track["direction"], track["start_samples"]) == ("outbound", 800)
    assert {"start_samples": 4800, "length_samples": 3200, "kind": "silence"} in track["ledger"]


def test_of_a_call_that_has_ended_nothing_comes_into_the_next_one_of_its_index(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    studio.speak(10)
    player = studio.played._playout.player
    tapes = [player.tape]
    studio.stream.stream_stopped(studio.handle, studio.clock.now_ns())
    tapes.append(player.tape)
    assert [tape is None for tape in tapes] == [False, True]
    studio.sink.close()


def test_a_mistake_in_it_costs_no_call(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    studio = Studio(tmp_path)
    studio.speak(10)

    def broken() -> None:
        raise TypeError("a mistake")

    studio.call.played = SimpleNamespace(report=broken)
    studio.end()
    assert "is not in its report" in caplog.text
    assert check(tmp_path / "s1.json")["state"] == "complete"


def test_who_does_not_want_it_does_not_get_it(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    studio.speak(10)
    studio.hear(studio.at_ns(0.1), SAID)
    studio.speak(10)
    studio.end()
    assert {channel for _, channel in studio.ear.heard} == {Direction.INBOUND}
    assert len(audio(1)) > FRAME
