"""Calls that move to another engine: sinks hear the same audio, and the report at the end is the same."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from operator import itemgetter
from random import Random
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.decoding.events import EVENT as EVENT_PAYLOAD
from media.decoding.payload_types import PayloadType, PayloadTypes
from media.doors.packets import TURNED_AWAY
from media.events.kinds import Event
from media.handover.moved import Moved, decode, encode
from media.handover.moving import put_in, take_out
from media.sinks.contract import HANDED_OVER
from strep import header, rtp
from strep.datagrams import collect
from strep.errors import ConfigurationError
from strep.header import Direction, Leg, StrepHeader
from strep.reject import Reject
from strep.rtp import RtpPacket
from tests.media.world import HERE, THERE, World, audio
from tests.searching import brief

TICK_MS = 20
G722 = 9
L16 = 98
EVENT = 101
KEY_TICKS = 9
"""A key is held for so long now and then, and the packets of its end are lost."""


class Sender:
    """One direction of a call: a packet a tick, some of them lost, overtaken, or with a key."""

    def __init__(self, random: Random, payload_type: int, ssrc: int) -> None:
        self.random, self.payload_type, self.ssrc = random, payload_type, ssrc
        self.number = random.randrange(65_500, 65_536)
        self.late: list[bytes] = []
        self.pressed = 0

    def packets(self) -> list[bytes]:
        """Return what arrives in this tick."""
        self.number += 1
        chance, late = self.random.random(), self.late
        self.late = []
        if self.pressed or self.random.random() < 0.03:
            self.pressed = (self.pressed + 1) % KEY_TICKS
            return [*late, self.key((self.pressed - 1) % KEY_TICKS)]
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

    def key(self, ticks: int) -> bytes:
        """Return a packet of a key that has been held for so many `ticks`; where it began says its timestamp."""
        began = (self.number - ticks) * (320 if self.payload_type == L16 else 160)
        payload = EVENT_PAYLOAD.pack(5, 10, 160 * (ticks + 1))
        return rtp.serialize(RtpPacket(EVENT, self.number & 0xFFFF, began, self.ssrc, payload))


class Play:
    """A world of calls, which may move into another one; that it has left goes on, and has nothing to say."""

    def __init__(self, seed: int, kinds: tuple[int, ...] = (0, 8, L16)) -> None:
        self.left: list[World] = []
        self.told: list[tuple[str, int, Event]] = []
        self.world = self._world()
        self.random = Random(seed)
        self.senders = {
            (leg, direction): Sender(self.random, kinds[(leg + seed) % len(kinds)], 10 * leg + direction)
            for leg in range(1, 4)
            for direction in Direction
        }
        self.taps = {direction: Sender(self.random, 0, 100 + direction) for direction in Direction}

    def _world(self) -> World:
        world = World()
        world.engine.payload_types = PayloadTypes([PayloadType(L16, "L16", 16_000)])
        world.bus.subscribe(lambda told: self.told.append((told.call.call_id, told.sequence, told.event)))
        return world

    def tick(self) -> None:
        for (leg, direction), sender in self.senders.items():
            for packet in sender.packets():
                self.world.send_strep(packet, leg, direction)
        for direction, tap in self.taps.items():
            for packet in tap.packets():
                self.world.send_rtp(packet, direction, HERE)
        self.world.tick(TICK_MS)
        for world in self.left:
            world.engine.poll(self.world.clock.now_ns())

    def move(self) -> None:
        before, self.world = self.world, self._world()
        self.world.clock, self.world.engine._clock, self.world.ear = before.clock, before.clock, before.ear
        self.world.engine._outlets = [before.ear]
        moved, tell = take_out(before.engine, before.strep, {"tap": before.rtp})
        tell()
        assert not before.engine.calls
        assert before.engine.snapshot()["tracks"] == 0
        put_in(decode(encode(moved)), self.world.engine, self.world.strep, {"tap": self.world.rtp})
        self.left.append(before)

    def take_back(self) -> None:
        """Move to nobody, for it is gone."""
        world = self.world
        moved, tell = take_out(world.engine, world.strep, {"tap": world.rtp})
        tell()
        put_in(decode(encode(moved)), world.engine, world.strep, {"tap": world.rtp})

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
                events = sorted(report.events, key=str)
                figures = [{k: round(v, 5) for k, v in t.statistics.items()} for t in report.tracks]
                told[info.call_id] = tracks, figures, report.length_samples, events, info.origin_wall_ns
        heard = {
            (name, channel): {position: pcm.tobytes() for position, pcm in pieces}
            for (name, channel), pieces in self.world.ear.heard.items()
        }
        return {"told": told, "heard": heard}


moments_of_moves = st.dictionaries(
    st.integers(0, 39), st.sampled_from([Play.move, Play.take_back]), min_size=1, max_size=6
)


def play(seed: int, moves: dict[int, Callable[[Play], None]], *kinds: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what was heard and told of calls that stayed, and of the same ones that moved."""
    stayed, moved = Play(seed, kinds), Play(seed, kinds)
    for tick in range(40):
        stayed.tick()
        moved.tick()
        if tick in moves:
            moves[tick](moved)
    expected, found = stayed.end(), moved.end()
    for which in (0, 1), (0, 2):  # keys of one moment have no order
        assert sorted(str(itemgetter(*which)(each)) for each in moved.told) == sorted(
            str(itemgetter(*which)(each)) for each in stayed.told
        )
    assert not any(world.rtp._demux or world.strep._demux for world in (moved.world, *moved.left))
    return expected, found


@brief(6)
@given(st.integers(0, 2**32 - 1), moments_of_moves)
def test_the_same_as_if_they_had_stayed(seed: int, moves: dict[int, Callable[[Play], None]]) -> None:
    expected, found = play(seed, moves, 0, 8, L16)
    assert found["told"].keys() == expected["told"].keys()
    different = [name for name, told in expected["told"].items() if found["told"][name] != told]
    assert not different
    assert all(joined(found["heard"][key]) == joined(pieces) for key, pieces in expected["heard"].items())


@pytest.mark.skipif(not find_spec("av"), reason="pyav extra")
@brief(4)
@given(st.integers(0, 2**32 - 1), moments_of_moves)
def test_a_codec_with_a_memory(seed: int, moves: dict[int, Callable[[Play], None]]) -> None:
    """Its packets are decoded in order, and it begins anew: but for their sound all samples are as they were."""
    expected, found = play(seed, moves, G722)
    assert found["told"] == expected["told"]
    for key, pieces in expected["heard"].items():
        assert sum(map(len, found["heard"][key].values())) == sum(map(len, pieces.values()))


def test_no_flood_stands_in_the_way_of_calls_that_moved() -> None:
    """Not of their first packets either: those that are unknown are not all looked at."""
    before, after = World(), World()
    before.send_strep(audio(0), 1)
    put_in(take_out(before.engine, before.strep, {})[0], after.engine, after.strep, {})
    after.engine.draining_since_ns = 0
    now_ns = after.clock.now_ns()
    flood = [(strep_packet(audio(1), leg), now_ns, THERE) for leg in range(1000, 1000 + 2 * TURNED_AWAY)]
    after.strep.receive(collect([*flood, (strep_packet(audio(1), 1), now_ns, HERE)]), now_ns)
    assert after.strep.rejected[Reject.CROWDED] == TURNED_AWAY
    after.engine.end_all("shutdown")
    ((_, report),) = after.ear.ended
    assert report.tracks[0].statistics["received"] == 2


def strep_packet(packet: bytes, leg: int) -> bytes:
    return header.serialize(StrepHeader(UUID(int=leg), Leg.A, Direction.INBOUND)) + packet


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
