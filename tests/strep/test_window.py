"""The reorder window: what it remembers, for how long, and what waits in it."""

from __future__ import annotations

import numpy as np

from strep.window import WINDOW_PACKETS, Window


def column(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, np.int64)


def put(window: Window, slot: int, sequence: int) -> None:
    audio = np.ones(1, np.bool_)
    one = column(sequence)
    window.put(column(slot), one, one * 160, column(160), one * 1000, audio)


def test_it_holds_the_last_packets_of_each_slot() -> None:
    window = Window(2)
    for sequence in range(1000, 1000 + WINDOW_PACKETS + 10):
        window.mark(column(0), column(sequence))
    recent = column(1009, 1010, 1000 + WINDOW_PACKETS + 9)
    assert window.holds(column(0, 0, 0), recent).tolist() == [False, True, True]
    assert window.holds(column(1, 1, 1), recent).tolist() == [False] * 3


def test_runs_are_marked_as_if_one_by_one() -> None:
    first, end = column(300, 5, 900), column(300, 9, 900 + 2 * WINDOW_PACKETS + 3)
    one_by_one, at_once = Window(3), Window(3)
    for slot in range(3):
        for sequence in range(int(first[slot]), int(end[slot])):
            one_by_one.mark(column(slot), column(sequence))
    at_once.mark_run(column(0, 1, 2), first, end)
    assert (at_once.sequence == one_by_one.sequence).all()


def test_what_waits_comes_in_order() -> None:
    window = Window(2)
    for sequence in (505, 502, 509):
        put(window, 1, sequence)
    assert window.waiting(1, 500).tolist() == [502, 505, 509]
    assert window.waiting(1, 503).tolist() == [505, 509]
    assert window.first_waiting(column(1, 1), column(500, 506)).tolist() == [502, 509]
    position, length, arrival_ns, is_audio = window.entry(column(1), column(505))
    assert (position[0], length[0], arrival_ns[0], is_audio[0]) == (505 * 160, 160, 505_000, True)


def test_moving_and_clearing_and_growing() -> None:
    window = Window(1)
    put(window, 0, 7)
    window.move(0, column(7), -80)
    window.grow(4)
    assert window.entry(column(0), column(7))[0].tolist() == [7 * 160 - 80]
    window.clear(0)
    assert not window.holds(column(0), column(7))[0]
