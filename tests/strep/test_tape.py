"""The tape against a dictionary of samples."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from strep.tape import Tape

BLOCK, ROWS, SLOTS, SILENCE = 40, 4, 3, 0xD5
RING = BLOCK * ROWS
frames = st.lists(
    st.tuples(st.integers(0, SLOTS - 1), st.integers(0, 3 * RING), st.integers(0, RING // 2)), max_size=12
)


def new_tape() -> Tape:
    tape = Tape(BLOCK, ROWS, SLOTS)
    for slot in range(SLOTS):
        tape.clear(slot, SILENCE)
    return tape


def column(values: list[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, np.int64)


@given(frames, st.booleans())
def test_frames_lie_where_they_were_written(history: list[tuple[int, int, int]], grows: bool) -> None:
    tape, model = new_tape(), dict[tuple[int, int], int]()
    table = np.random.default_rng(1).integers(0, 256, (max(len(history), 1), RING), dtype=np.uint8)
    # One call writes to places that do not overlap, as one round of the timeline does per track.
    for row, (slot, position, length) in enumerate(history):
        tape.write(column([slot]), column([position]), table, column([row]), column([5]), column([length]))
        for i in range(length):
            model[slot, (position + i) % RING] = int(table[row, 5 + i])
    if grows:
        tape.grow(2 * SLOTS)
    for slot in range(SLOTS):
        expected = [model.get((slot, i), SILENCE) for i in range(RING)]
        assert tape.read_one(slot, 0, RING).tolist() == expected


@given(st.lists(st.tuples(st.integers(0, 3 * RING), st.integers(0, RING)), min_size=SLOTS, max_size=SLOTS))
def test_frames_of_many_lengths_in_one_call(places: list[tuple[int, int]]) -> None:
    tape = new_tape()
    table = np.random.default_rng(2).integers(0, 256, (SLOTS, RING + 9), dtype=np.uint8)
    position, length = column([p for p, _ in places]), column([n for _, n in places])
    slots = column(list(range(SLOTS)))
    tape.write(slots, position, table, slots, slots, length)
    for slot, (start, count) in enumerate(places):
        assert tape.read_one(slot, start, count).tolist() == table[slot, slot : slot + count].tolist()


def test_a_block_that_was_taken_is_silent() -> None:
    tape = new_tape()
    tape.write_one(1, BLOCK - 3, np.arange(RING // 2, dtype=np.uint8))
    taken = tape.take_blocks(column([1]), column([1]))
    assert taken[0].tolist() == list(range(3, 3 + BLOCK))
    assert (tape.read_one(1, BLOCK, BLOCK) == SILENCE).all()
    assert tape.read_one(1, BLOCK - 3, 3).tolist() == [0, 1, 2]


def test_erasing() -> None:
    tape = new_tape()
    tape.write_one(0, RING - 5, np.full(10, 7, np.uint8))
    tape.erase_one(0, RING - 2, 4)
    assert tape.read_one(0, RING - 5, 10).tolist() == [7] * 3 + [SILENCE] * 4 + [7] * 3


def test_a_tape_of_pcm_is_silent_at_0() -> None:
    tape = Tape(BLOCK, ROWS, SLOTS, is_linear=True)
    tape.clear(1, 0)
    table = np.array([[7, -30_000, 30_000, 9]], np.int16)
    tape.write(column([1]), column([RING - 1]), table, column([0]), column([1]), column([2]))
    tape.write(column([1]), column([BLOCK]), table, column([0]), column([0]), column([4]))
    tape.grow(2 * SLOTS)
    assert tape.read_one(1, RING - 1, 2).tolist() == [-30_000, 30_000]
    taken = tape.take_blocks(column([1]), column([1]))
    assert taken.dtype == np.int16
    assert taken.tolist() == [[7, -30_000, 30_000, 9] + [0] * (BLOCK - 4)]
    assert not tape.read_one(1, BLOCK, BLOCK).any()
