"""Slots and columns."""

from __future__ import annotations

import numpy as np

from strep.tracks import COLUMNS, Tracks


def test_every_declared_column_is_there_and_annotated() -> None:
    tracks = Tracks(4)
    assert set(COLUMNS) == set(Tracks.__annotations__)
    for name, (dtype, initial, meaning) in COLUMNS.items():
        column = getattr(tracks, name)
        assert column.dtype == np.dtype(dtype).base
        assert column.shape == (4, *np.dtype(dtype).shape)
        assert (column == initial).all()
        assert meaning


def test_growing_keeps_what_is_there() -> None:
    tracks = Tracks(2)
    for i in range(9):
        slot = tracks.allocate()  # before the column is named: it may be another one then
        tracks.received[slot] = i
    assert tracks.capacity == 16
    assert tracks.received[:9].tolist() == list(range(9))


def test_a_slot_that_comes_back_is_as_new() -> None:
    tracks = Tracks(2)
    first = tracks.allocate()
    for name, (dtype, _, _) in COLUMNS.items():
        getattr(tracks, name)[first] = True if dtype == "?" else 77
    tracks.free(first)
    assert not tracks.in_use[first]
    assert tracks.allocate() == first
    for name, (_, initial, _) in COLUMNS.items():
        assert (getattr(tracks, name)[first] == (True if name == "in_use" else initial)).all()
    assert tracks.count == 1
