"""Batches of frames."""

from __future__ import annotations

import numpy as np

from strep.frames import FrameBatch
from tests.strep.packets import Sender, batch_of


def test_payloads_are_views_into_the_table() -> None:
    packets = [Sender(slot=3).packet(size) for size in (160, 0, 1, 480)]
    batch = batch_of(packets)
    assert len(batch) == 4
    assert [batch.payload(i).tobytes() for i in range(4)] == [packet.payload for packet in packets]
    assert np.shares_memory(batch.payload(0), batch.table)


def test_take_keeps_all_columns_in_step() -> None:
    sender = Sender()
    packets = [sender.packet(size) for size in (160, 80, 240)]
    taken = batch_of(packets).take(np.array([2, 0, 2]))
    assert len(taken) == 3
    assert taken.length.tolist() == [240, 160, 240]
    assert [taken.payload(i).tobytes() for i in range(3)] == [packets[i].payload for i in (2, 0, 2)]
    for name in FrameBatch.__slots__:
        assert name == "table" or len(getattr(taken, name)) == 3
