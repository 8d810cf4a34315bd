"""Calls that move to another engine: sinks hear the same audio, and the report at the end is the same."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.decoding.payload_types import PayloadType, PayloadTypes
from media.handover.moved import Moved, decode, encode
from media.handover.moving import put_in, take_out
from media.sinks.contract import HANDED_OVER
from strep import rtp
from strep.errors import ConfigurationError
from strep.header import Direction
from strep.rtp import RtpPacket
from tests.media.world import HERE, World
from tests.searching import brief

TICK_MS = 20
L16 = 98
EVENT = 101


class Sender:
    """One direction of a call: a packet a tick, some of them lost, overtaken, or with a key."""

    def __init__(self, random: Random, payload_type: int, ssrc: int) -> None:
        self.random, self.payload_type, self.ssrc = random, payload_type, ssrc
        self.number = random.randrange(65_500, 65_536)
        self.late: list[bytes] = []

    def packets(self) -> list[bytes]:
        """Return what arrives in this tick."""
        self.number += 1
        chance, late = self.random.random(), self.late
        self.late = []
        payload = self.random.randbytes(640 if self.payload_type == L16 else 160)
        samples = 320 if self.payload_type == L16 else 160
        made = RtpPacket(self.payload_type, self.number & 0xFFFF, self.number * samples, self.ssrc, payload)
        packet = rtp.serialize(made)
        if chance < 0.1:
            return late
        if chance < 0.3:
            self.late = [packet]
            return late
        return [packet, *late] + [packet] * (chance > 0.95)


class Play:
    """A world of calls, which may move into another one."""

    def __init__(self, seed: int) -> None:
        self.world = self._world()
        self.random = Random(seed)
        kinds = 0, 8, L16
        self.senders = {
            (leg, direction): Sender(self.random, kinds[(leg + seed) % 3], 10 * leg + direction)
            for leg in range(1, 4)
            for direction in Direction
        }
        self.taps = {direction: Sender(self.random, 0, 100 + direction) for direction in Direction}

    def _world(self) -> World:
        world = World()
        world.engine.payload_types = PayloadTypes([PayloadType(L16, "L16", 16_000)])
        return world

    def tick(self) -> None:
        for (leg, direction), sender in self.senders.items():
            for packet in sender.packets():
                self.world.send_strep(packet, leg, direction)
        for direction, tap in self.taps.items():
            for packet in tap.packets():
                self.world.send_rtp(packet, direction, HERE)
        self.world.tick(TICK_MS)

    def move(self) -> None:
        before, self.world = self.world, self._world()
        self.world.clock, self.world.engine._clock, self.world.ear = before.clock, before.clock, before.ear
        self.world.engine._outlets = [before.ear]
        moved, tell = take_out(before.engine, before.strep, {"tap": before.rtp})
        tell()
        assert not before.engine.calls
        assert before.engine.snapshot()["tracks"] == 0
        put_in(decode(encode(moved)), self.world.engine, self.world.strep, {"tap": self.world.rtp})

    def end(self) -> dict[str, Any]:
        """Return what was heard and reported of every call."""
        self.world.engine.end_all("shutdown")
        told: dict[str, Any] = {}
        for info, report in self.world.ear.ended:
            if report.reason != HANDED_OVER:
                assert info.call_id not in told
                tracks = [
                    (t.codec, t.start_samples, t.length_samples, t.ledger, t.totals, t.payload_types, t.sources)
                    for t in report.tracks
                ]
                figures = [{k: round(v, 5) for k, v in t.statistics.items()} for t in report.tracks]
                told[info.call_id] = tracks, figures, report.length_samples, report.events, info.origin_wall_ns
        heard = {
            (name, channel): {position: pcm.tobytes() for position, pcm in pieces}
            for (name, channel), pieces in self.world.ear.heard.items()
        }
        return {"told": told, "heard": heard}


@brief(6)
@given(st.integers(0, 2**32 - 1), st.sets(st.integers(0, 39), min_size=1, max_size=6))
def test_the_same_as_if_they_had_stayed(seed: int, moments: set[int]) -> None:
    stayed, moved = Play(seed), Play(seed)
    for tick in range(40):
        stayed.tick()
        moved.tick()
        if tick in moments:
            moved.move()
    expected, found = stayed.end(), moved.end()
    assert found["told"].keys() == expected["told"].keys()
    different = [name for name, told in expected["told"].items() if found["told"][name] != told]
    assert not different
    assert all(joined(found["heard"][key]) == joined(pieces) for key, pieces in expected["heard"].items())


def joined(pieces: dict[int, bytes]) -> bytes:
    """Return audio as sinks piece it together, whatever the blocks were."""
    audio = np.zeros(20_000, np.int16)
    for position, pcm in pieces.items():
        samples = np.frombuffer(pcm, np.int16)
        audio[max(position, 0) : position + len(samples)] = samples[max(-position, 0) :]
    return audio.tobytes()


def test_ports_that_there_are_not() -> None:
    play = Play(0)
    for _ in range(10):
        play.tick()
    moved, _ = take_out(play.world.engine, play.world.strep, {"tap": play.world.rtp})
    other = World()
    with pytest.raises(ConfigurationError, match="rtp: calls of tap go on, for which there are no ports"):
        put_in(moved, other.engine, other.strep, {"lab": other.rtp})


def test_something_else() -> None:
    with pytest.raises(ValueError):  # noqa: PT011  msgspec's text
        decode(b"\x01")
    assert decode(encode(Moved())) == Moved()
