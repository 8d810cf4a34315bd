"""A function as a sink."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from media.blocks import PcmBatch
from media.sinks.contract import CallInfo, CallReport, Sink, WhenBehind
from media.sinks.per_call import PerCall
from strep.g711 import Codec, decode
from strep.header import Direction
from tests.sinks.rows import Row, batch_of, call_info, call_report

Block = tuple[str, Direction, int, list[int]]


class Listener:
    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.calls: list[str] = []
        self.deaf_to = ""

    def on_block(self, call: CallInfo, direction: Direction, position: int, pcm: NDArray[np.int16]) -> None:
        assert pcm.dtype == np.int16
        self.blocks.append((call.call_id, direction, position, pcm.tolist()))
        if call.call_id == self.deaf_to:
            raise RuntimeError(call.call_id)

    def on_start(self, call: CallInfo) -> None:
        self.calls.append(f"start {call.call_id}")

    def on_end(self, call: CallInfo, report: CallReport) -> None:
        self.calls.append(f"end {call.call_id} {report.reason}")


def heard(row: Row) -> list[int]:
    pcm: list[int] = decode(row.encoded[row.first : row.end], row.codec).tolist()
    return pcm


def test_blocks_with_their_places() -> None:
    listener = Listener()
    sink: Sink = PerCall(listener.on_block, on_start=listener.on_start, on_end=listener.on_end)
    for index in (0, 4):
        sink.call_started(call_info(index))
    rows = [
        Row(0, 0, -100, width=160, first=100),
        Row(4, 1, 320, width=160, codec=Codec.PCMA),
        Row(0, 1, 480, width=160, last=30),
        Row(0, 1, 480, width=160, first=30, last=30),
        Row(9, 1, 480, width=160),
    ]
    sink.receive(batch_of(*rows))
    assert listener.blocks == [
        ("call-0", Direction.INBOUND, 0, heard(rows[0])),
        ("call-4", Direction.OUTBOUND, 320, heard(rows[1])),
        ("call-0", Direction.OUTBOUND, 480, heard(rows[2])),
    ]
    sink.call_ended(call_info(0), call_report(0))
    sink.receive(batch_of(*rows[:1]))
    sink.close()
    assert len(listener.blocks) == 3
    assert listener.calls == ["start call-0", "start call-4", "end call-0 stop"]


def test_late_blocks_and_ticks_are_left_out() -> None:
    listener = Listener()
    sink = PerCall(listener.on_block)
    sink.call_started(call_info(0))
    sink.receive(batch_of(Row(0, 0, 0), late=True))
    sink.receive(PcmBatch.tick(0))
    sink.call_ended(call_info(0), call_report(0))
    assert listener.blocks == []


def test_one_calls_trouble_is_not_the_next_ones() -> None:
    listener = Listener()
    listener.deaf_to = "call-0"
    sink = PerCall(listener.on_block)
    for index in (0, 1):
        sink.call_started(call_info(index))
    with pytest.raises(ExceptionGroup, match="1 of 2 blocks"):
        sink.receive(batch_of(Row(0, 0, 0), Row(1, 0, 0)))
    assert [block[0] for block in listener.blocks] == ["call-0", "call-1"]


def test_as_a_decorator_and_its_options() -> None:
    @PerCall
    def loudness(call: CallInfo, direction: Direction, position: int, pcm: NDArray[np.int16]) -> None:
        pass

    assert loudness.options.name == "loudness"
    assert PerCall(Listener().on_block, name="x").options.name == "x"
    options = PerCall(Listener().on_block, block_ms=20, when_behind=WhenBehind.DETACH).options
    assert (options.name, options.block_ms, options.when_behind) == ("on_block", 20, WhenBehind.DETACH)
