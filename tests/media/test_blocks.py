"""Batches of blocks."""

from __future__ import annotations

import numpy as np

from tests.sinks.rows import Row, batch_of


def test_take_keeps_rows_and_what_is_lost_in_them() -> None:
    batch = batch_of(*[Row(call, 0, 800 * call) for call in range(5)], now_ns=7)
    batch.lost = np.array([[0, 1, 2], [2, 3, 4], [2, 9, 10], [4, 5, 6]])
    taken = batch.take(np.array([False, True, True, False, True]))
    assert taken.call.tolist() == [1, 2, 4]
    assert taken.lost.tolist() == [[1, 3, 4], [1, 9, 10], [2, 5, 6]]
    assert np.array_equal(taken.pcm, batch.pcm[[1, 2, 4]])
    assert (taken.now_ns, taken.late) == (7, False)
    assert len(batch.take(np.zeros(5, np.bool_)).lost) == 0
    assert batch.lost[0].tolist() == [0, 1, 2], "the batch itself is not changed"
