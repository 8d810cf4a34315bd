"""The stage by itself; `test_recording` checks what comes of it."""

from __future__ import annotations

import numpy as np
import pytest

from media.sinks.stage import Stage
from strep.g711 import Codec, decode

ROOM = 100


def fill(stage: Stage, slot: int, channel: int, position: int, values: list[int], now_ns: int = 0) -> None:
    stage.place(slot, channel, position, np.array(values, np.uint8), now_ns)


def accepts(stage: Stage, slot: int, channel: int, position: int, width: int, codec: Codec = Codec.PCMU) -> bool:
    places = np.array([slot], np.int32), np.array([channel], np.uint8), np.array([position], np.int64)
    return bool(stage.accepts(*places, np.array([codec], np.uint8), width)[0])


def test_accepts_what_continues_its_track_and_fits() -> None:
    stage = Stage(ROOM, decode=True)
    slot = stage.claim()
    fill(stage, slot, 0, 0, [1] * 40)
    assert accepts(stage, slot, 0, 40, 60)
    assert accepts(stage, slot, 1, 0, 100)
    assert not accepts(stage, slot, 0, 40, 61), "no room"
    assert not accepts(stage, slot, 0, 39, 10), "overlaps"
    assert not accepts(stage, slot, 0, 41, 10), "a hole"
    assert not accepts(stage, slot, 0, 40, 10, Codec.PCMA), "another law"
    assert not accepts(stage, -1, 0, 40, 10), "no call"
    assert not accepts(stage, slot, 0, 2**63 - 1, 10)


def test_adopts_the_law_of_a_track_that_is_empty() -> None:
    stage = Stage(ROOM, decode=True)
    slot = stage.claim()
    fill(stage, slot, 0, 0, [1])
    slots, channels = np.array([slot, slot, -1], np.int32), np.array([0, 1, 0], np.uint8)
    stage.adopt(slots, channels, np.full(3, Codec.PCMA, np.uint8))
    assert stage.law[slot].tolist() == [Codec.PCMU, Codec.PCMA]


@pytest.mark.parametrize("to_pcm", [True, False])
def test_a_channel_that_ends_early_is_silent(to_pcm: bool) -> None:
    stage = Stage(ROOM, decode=to_pcm)
    slot = stage.claim()
    stage.law[slot] = Codec.PCMA
    fill(stage, slot, 0, 0, [1, 2, 3])
    fill(stage, slot, 1, 0, [4])
    frames = stage.frames(slot, 3)
    codes = np.array([1, 2, 3, 4], np.uint8)
    left_right = decode(codes, Codec.PCMA) if to_pcm else codes
    silence = 0 if to_pcm else 0xD5
    assert frames.T.tolist() == [left_right[:3].tolist(), [left_right[3], silence, silence]]


def test_consume_keeps_the_rest() -> None:
    stage = Stage(ROOM, decode=False)
    slot = stage.claim()
    fill(stage, slot, 0, 0, list(range(50)))
    fill(stage, slot, 1, 0, list(range(100, 140)))
    stage.consume(np.array([slot], np.int32), np.array([40]), now_ns=9)
    assert (stage.base[slot], stage.end[slot].tolist(), stage.since_ns[slot]) == (40, [50, 40], 9)
    fill(stage, slot, 1, 40, [7] * 10)
    assert stage.frames(slot, 50).tolist() == [[40 + i, 7] for i in range(10)]


def test_what_is_full_and_up_to_where() -> None:
    stage = Stage(ROOM, decode=False)
    lengths = {"short": (9, 9), "even": (10, 10), "lag": (12, 9), "far": (20, 3), "one side": (20, 0)}
    slots = [stage.claim() for _ in lengths]
    for slot, ends in zip(slots, lengths.values(), strict=True):
        for channel, end in enumerate(ends):
            fill(stage, slot, channel, 0, [0] * end)
    full, until = stage.full(10, 5)
    assert dict(zip(full.tolist(), until.tolist(), strict=True)) == dict(zip(slots[1:], [10, 9, 15, 20], strict=True))


def test_what_is_aged() -> None:
    stage = Stage(ROOM, decode=False)
    old, young, empty = stage.claim(), stage.claim(), stage.claim()
    fill(stage, old, 0, 0, [1], now_ns=5)
    fill(stage, old, 0, 1, [1], now_ns=50)
    fill(stage, young, 0, 0, [1], now_ns=6)
    slots, heads = stage.aged(5)
    assert (slots.tolist(), heads.tolist()) == ([old], [2])
    assert empty not in stage.aged(100)[0]


def test_grows_and_uses_slots_again() -> None:
    stage = Stage(ROOM, decode=False)
    slots = [stage.claim() for _ in range(50)]
    assert len(set(slots)) == 50
    for slot in slots[:10]:
        fill(stage, slot, 0, 0, [slot])
    more = [stage.claim() for _ in range(100)]
    assert [int(stage.frames(slot, 1)[0, 0]) for slot in slots[:10]] == slots[:10]
    size = stage.size_bytes
    for slot in slots + more:
        stage.release(slot)
    assert {stage.claim() for _ in range(150)} == set(slots + more)
    assert stage.size_bytes == size
    assert not (stage.end - stage.base[:, None]).any()
