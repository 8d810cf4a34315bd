"""The pair table against the plain one."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from media.sinks.interleave import PAIR, decode_frames
from strep.g711 import Codec, decode


@pytest.mark.parametrize(("left", "right"), list(product(Codec, Codec)))
def test_every_pair_of_bytes(left: Codec, right: Codec) -> None:
    codes = np.stack(np.meshgrid(np.arange(256), np.arange(256)), axis=-1).reshape(-1, 2).astype(np.uint8)
    out = np.empty(70_000, np.uint32)
    words = decode_frames(codes.view(PAIR)[:, 0], left, right, out)
    assert np.shares_memory(words, out)
    frames = words.view("<i2").reshape(-1, 2)
    assert (frames[:, 0] == decode(codes[:, 0], left)).all()
    assert (frames[:, 1] == decode(codes[:, 1], right)).all()
