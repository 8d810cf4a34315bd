"""The stage by itself; `test_recording` checks what comes of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from media.sinks.stage import Stage
from strep.g711 import Codec, decode

ROOM, STEP = 100, 10


def make(*, decode: bool = False, lead: int = 0, calls: int = 16) -> Stage:
    return Stage(ROOM, STEP, lead_samples=lead, decode=decode, calls=calls)


def fill(stage: Stage, slot: int, channel: int, position: int, values: list[int], now_ns: int = 0) -> None:
    stage.place(slot, channel, position, np.array(values, np.uint8), now_ns)


def accepts(stage: Stage, slot: int, channel: int, position: int, width: int, codec: Codec = Codec.PCMU) -> bool:
    track, codecs = np.array([2 * slot + channel]), np.array([codec], np.uint8)
    return bool(stage.accepts(track, np.array([position]), codecs, width)[0])


def frames(stage: Stage, slot: int, until: int) -> NDArray[Any]:
    """Return what is staged of a slot before `until`, (n, 2)."""
    ((_, _, words),) = stage.frames(np.array([slot]), np.array([until]))
    return words.view("<i2" if words.itemsize == 4 else np.uint8).reshape(-1, 2)


def full(stage: Stage, slots: list[int], lag: int = 5) -> dict[int, int]:
    tracks = np.array([2 * slot + channel for slot in slots for channel in (0, 1)])
    found, until = stage.full(tracks, lag)
    return dict(zip(found.tolist(), until.tolist(), strict=True))


def test_accepts_what_continues_its_track_and_fits() -> None:
    stage = make(decode=True)
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
    stage = make(decode=True)
    slot = stage.claim()
    fill(stage, slot, 0, 0, [1])
    tracks = np.array([2 * slot, 2 * slot + 1, -2])
    accepted = stage.accepts(tracks, np.array([1, 0, 0]), np.full(3, Codec.PCMA, np.uint8), 10)
    assert accepted.tolist() == [False, True, False]
    assert stage.law[slot].tolist() == [Codec.PCMU, Codec.PCMA]
    assert not stage.law[-1].any()


@pytest.mark.parametrize("to_pcm", [True, False])
def test_a_channel_that_ends_early_is_silent(to_pcm: bool) -> None:
    stage = make(decode=to_pcm)
    slot = stage.claim()
    stage.law[slot] = Codec.PCMA
    fill(stage, slot, 0, 0, [1, 2, 3])
    fill(stage, slot, 1, 0, [4])
    codes = np.array([1, 2, 3, 4], np.uint8)
    left_right = decode(codes, Codec.PCMA) if to_pcm else codes
    silence = 0 if to_pcm else 0xD5
    assert frames(stage, slot, 3).T.tolist() == [left_right[:3].tolist(), [left_right[3], silence, silence]]


def test_scatter_puts_each_row_in_its_channel() -> None:
    stage = make()
    slots = [stage.claim() for _ in range(3)]
    tracks = np.array([0, 5, 1, 4])
    rows = np.arange(40, dtype=np.uint8).reshape(4, 10)
    stage.scatter(tracks, np.zeros(4, np.int64), rows, 7)
    stage.scatter(tracks, np.full(4, 10), rows + 100, 8)
    assert stage.end.max() == 20
    expected = np.concatenate([rows, rows + 100], axis=1)
    for slot, (left, right) in ((slots[0], (0, 2)), (slots[2], (3, 1))):
        assert (expected[[left, right]] == frames(stage, slot, 20).T).all()
        assert stage.since_ns[slot] == 7


def test_consume_keeps_the_rest() -> None:
    stage = make(calls=2)
    for slot, shift in ((stage.claim(), 0), (stage.claim(), 50)):  # the last one has nothing behind it
        fill(stage, slot, 0, 0, list(range(shift, shift + 50)))
        fill(stage, slot, 1, 0, list(range(100, 140)))
    stage.consume(np.array([0, 1]), np.array([40, 45]), now_ns=9)
    assert (stage.base.tolist(), stage.end.tolist(), stage.since_ns.tolist()) == (
        [40, 45],
        [[50, 40], [50, 45]],
        [9, 9],
    )
    fill(stage, 0, 1, 40, [7] * 10)
    fill(stage, 1, 1, 45, [8] * 5)
    assert frames(stage, 0, 50).tolist() == [[40 + i, 7] for i in range(10)]
    assert frames(stage, 1, 50).tolist() == [[95 + i, 8] for i in range(5)]


def test_what_is_full_and_up_to_where() -> None:
    stage = make()
    lengths = {
        "short": ((9, 9), None),
        "even": ((10, 10), 10),
        "the other is waited for": ((14, 9), None),
        "but not for long": ((15, 3), 10),
        "one side": ((29, 0), 20),
        "whole steps": ((39, 39), 30),
        "more lag": ((39, 2), 30),
    }
    slots = [stage.claim() for _ in lengths]
    for slot, (ends, _) in zip(slots, lengths.values(), strict=True):
        for channel, end in enumerate(ends):
            fill(stage, slot, channel, 0, [0] * end)
    found = full(stage, slots)
    assert [found.get(slot) for slot in slots] == [until for _, until in lengths.values()]
    assert full(stage, [slots[0], slots[1], slots[1]]) == {slots[1]: 10}, "of those that were asked for"
    assert full(stage, [-1]) == {}


def test_steps_begin_behind_the_header() -> None:
    stage = make(lead=3)
    slot = stage.claim()
    for base, due in ((0, 7), (6, 7), (7, 17), (40, 47)):
        stage.rebase(slot, base)
        assert stage.due[slot] == due
    for channel in (0, 1):
        fill(stage, slot, channel, 40, [0] * 20)
    assert full(stage, [slot]) == {slot: 57}
    stage.consume(np.array([slot]), np.array([52]), 0)
    assert stage.due[slot] == 57


def test_what_is_aged() -> None:
    stage = make()
    old, young, empty = stage.claim(), stage.claim(), stage.claim()
    fill(stage, old, 0, 0, [1], now_ns=5)
    fill(stage, old, 0, 1, [1], now_ns=50)
    fill(stage, young, 0, 0, [1], now_ns=6)
    slots, heads = stage.aged(5)
    assert (slots.tolist(), heads.tolist()) == ([old], [2])
    assert empty not in stage.aged(100)[0]


def test_age_counts_from_what_came_first() -> None:
    stage = make()
    slot = stage.claim()
    row = np.zeros((1, 10), np.uint8)
    for track, position, now_ns in ((0, 0, 5), (1, 0, 6), (0, 10, 7)):
        stage.scatter(np.array([track]), np.array([position]), row, now_ns)
        assert stage.since_ns[slot] == 5
    stage.consume(np.array([slot]), np.array([20]), 8)
    stage.scatter(np.array([1]), np.array([20]), row, 30)
    assert stage.since_ns[slot] == 30


def test_grows_and_uses_slots_again() -> None:
    stage = make(calls=3)
    slots = [stage.claim() for _ in range(50)]
    assert len(set(slots)) == 50
    for slot in slots[:10]:
        fill(stage, slot, 0, 0, [slot])
    more = [stage.claim() for _ in range(100)]
    assert [int(frames(stage, slot, 1)[0, 0]) for slot in slots[:10]] == slots[:10]
    size = stage.size_bytes
    for slot in slots + more:
        stage.release(slot)
    assert {stage.claim() for _ in range(150)} == set(slots + more)
    assert stage.size_bytes == size
    assert not (stage.end - stage.base[:, None]).any()


def test_the_slot_used_last_is_used_first() -> None:
    stage = make()
    slots = [stage.claim() for _ in range(4)]
    stage.release(slots[2])
    assert stage.claim() == slots[2], "its pages are there already"
