"""The columnar map against a dict."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.demux import UNKNOWN, Demux, Key

# Few distinct words, so that keys differ in one of them only and adds, removals and look-ups meet.
words = st.sampled_from([0, 1, 2, 2**63, 2**64 - 1])
keys = st.tuples(words, words, words)
steps = st.lists(st.tuples(st.booleans(), keys), max_size=200)


def look_up(demux: Demux, wanted: list[Key]) -> list[int]:
    columns = [np.array([key[i] for key in wanted], np.uint64) for i in range(3)]
    found: list[int] = demux.lookup(columns[0], columns[1], columns[2]).tolist()
    return found


@given(steps, st.lists(keys, max_size=20))
def test_against_a_dict(history: list[tuple[bool, Key]], wanted: list[Key]) -> None:
    demux, model = Demux(), dict[Key, int]()
    for number, (is_add, key) in enumerate(history):
        if is_add and key not in model:
            model[key] = number
            demux.add(key, number)
        elif not is_add:
            model.pop(key, None)
            demux.discard(key)
        assert demux.get(key) == model.get(key, UNKNOWN)
    assert len(demux) == len(model)
    assert look_up(demux, wanted) == [model.get(key, UNKNOWN) for key in wanted]
    assert look_up(demux, list(model)) == list(model.values())


def test_highest_bits_do_not_cancel_out() -> None:
    """2**63 times any odd multiplier is 2**63: added up without mixing, two of them were nothing."""
    for _ in range(20):
        demux, top = Demux(), 2**63
        wanted = [(a, b, c) for a in (0, top) for b in (0, top) for c in (0, top)]
        for number, key in enumerate(wanted):
            demux.add(key, number)
        assert look_up(demux, wanted) == list(range(len(wanted)))


def test_keys_that_no_seed_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look-ups may miss one of them, but never take one for another."""
    monkeypatch.setattr(Demux, "_mix", lambda self, key: 0)
    demux = Demux()
    demux.add((1, 2, 3), 7)
    demux.add((4, 5, 6), 8)
    assert [demux.get((1, 2, 3)), demux.get((4, 5, 6))] == [7, 8]
    for _ in range(2):
        found = look_up(demux, [(1, 2, 3), (4, 5, 6)])
        assert found[0] in (7, UNKNOWN)
        assert found[1] in (8, UNKNOWN)
        demux.discard((4, 5, 6))
    assert demux.get((4, 5, 6)) == UNKNOWN
    demux.remove((1, 2, 3))
    assert len(demux) == 0


def test_it_grows_and_forgets() -> None:
    demux = Demux()
    random = np.random.default_rng(1)
    wanted: list[Key] = [tuple(row) for row in random.integers(0, 2**63, (6000, 3)).tolist()]
    for round_number in range(3):
        for slot, key in enumerate(wanted):
            demux.add(key, slot + round_number)
        assert look_up(demux, wanted) == [slot + round_number for slot in range(len(wanted))]
        for key in wanted:
            demux.remove(key)
        assert look_up(demux, wanted) == [UNKNOWN] * len(wanted)
    assert len(demux) == 0
