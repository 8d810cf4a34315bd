"""What is to be played may be anything: the one exception is PlaybackError, and what is heard stays in bounds."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.talk.contract import PlaybackError
from media.talk.sources import open_source
from tests.talk.sources.listening import file_of, hum

MOST_SAMPLES = 10 * 60 * 8000
"""Half a second of audio may claim to be more, but a few kilobytes cannot hold ten minutes."""


async def play(data: bytes) -> None:
    try:
        source = await open_source(data, 8000)
    except PlaybackError:
        return
    heard = 0
    while not source.has_ended:
        block = source.read(4000)
        assert block.dtype == np.int16
        heard += len(block)
        assert heard < MOST_SAMPLES
        await asyncio.sleep(0 if len(block) else 0.001)
    source.close()
    assert source.error is None or "cannot be played" not in str(source.error), "not foreseen"


@given(st.binary(max_size=300))
def test_anything(data: bytes) -> None:
    asyncio.run(play(data))


@pytest.mark.parametrize("kind", ["WAV", "MP3", "FLAC", "OGG", "AIFF", "AU", "W64", "CAF"])
@given(
    changes=st.lists(st.tuples(st.integers(0, 120), st.integers(0, 255)), min_size=1, max_size=6),
    length=st.integers(1, 20_000),
    tail=st.binary(max_size=30),
)
def test_heads_that_were_changed(kind: str, changes: list[tuple[int, int]], length: int, tail: bytes) -> None:
    data = bytearray(file_of(hum(8000, 0.5), 8000, kind))
    for place, value in changes:
        data[place] = value
    asyncio.run(play(bytes(data[:length]) + tail))
