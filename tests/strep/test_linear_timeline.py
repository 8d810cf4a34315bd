"""A timeline of PCM does with samples what a timeline of code bytes does with bytes, for any history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.frames import Samples
from strep.g711 import LINEAR, Codec
from strep.table import TimelineSettings, TrackBlocks
from strep.timeline import Timeline
from tests.searching import brief
from tests.strep.histories import Event, harsh_call, madness
from tests.strep.packets import batch_of

SILENCE = Codec.PCMU.silence
seeds = st.integers(0, 2**32 - 1)


def widened(blocks: list[TrackBlocks]) -> list[list[list[int]]]:
    """Return the columns of blocks of code bytes, silence as 0 and any other byte as it is."""
    return columns([replace(b, encoded=as_pcm(b.encoded)) for b in blocks])


def as_pcm(codes: Samples) -> Samples:
    return np.where(codes == SILENCE, 0, codes).astype(np.int16)


def columns(blocks: list[TrackBlocks]) -> list[list[list[int]]]:
    assert all(b.encoded.dtype == np.int16 for b in blocks)
    return [[column.tolist() for column in (b.slot, b.position, b.first, b.last, b.encoded)] for b in blocks]


@pytest.mark.parametrize("history", [harsh_call, madness])
@brief(15)
@given(seeds, st.integers(1, 2), st.integers(1, 40))
def test_the_same_as_code_bytes(
    history: Callable[[int, int, int], list[Event]], seed: int, tracks: int, packets: int
) -> None:
    narrow, wide = Timeline(), Timeline(TimelineSettings(is_linear=True), capacity=2)
    for _ in range(tracks):
        assert narrow.open(Codec.PCMU) == wide.open(None)
    assert (wide.codec[:tracks] == LINEAR).all()
    for event in history(seed, tracks, packets):
        if event.batch:
            frames = batch_of(event.batch)
            narrow.receive(frames)
            wide.receive(replace(frames, table=as_pcm(frames.table)))
        for timeline in (narrow, wide):
            timeline.poll(event.now_ns)
            timeline.realign()
        assert columns(wide.take_blocks()) == widened(narrow.take_blocks())
        assert columns(wide.take_patches()) == widened(narrow.take_patches())
    for slot in range(tracks):
        for timeline in (narrow, wide):
            timeline.finish(slot)
        assert wide.statistics(slot) == narrow.statistics(slot)
        assert wide.ledger_totals(slot) == narrow.ledger_totals(slot)
    assert columns(wide.take_blocks()) == widened(narrow.take_blocks())
