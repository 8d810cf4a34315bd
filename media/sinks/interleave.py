"""Two tracks of G.711 bytes become the frames of a stereo file, in one look-up per frame.

The bytes of both channels at one moment are a 16-bit number, and a table of all 65536 knows the two PCM
samples it stands for: decoding and interleaving are the same gather.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strep.g711 import Codec, decode_table

_PAIR = np.dtype("<u2")  # left is the low byte: in memory the bytes alternate, left first


@cache
def _pair_table(left: Codec, right: Codec) -> NDArray[np.uint32]:
    """Return the (65536,) table from a pair of code bytes to a pair of little-endian int16, as one word."""
    frames = np.empty((256, 256, 2), "<i2")  # by right, left
    frames[..., 0] = decode_table(left)
    frames[..., 1] = decode_table(right)[:, None]
    return frames.reshape(-1).view(np.uint32)


def _pairs(codes: NDArray[np.uint8]) -> NDArray[np.uint16]:
    pairs: NDArray[np.uint16] = codes[:, 1].astype(_PAIR)
    pairs <<= 8
    pairs |= codes[:, 0]
    return pairs


def interleave(codes: NDArray[np.uint8]) -> NDArray[Any]:
    """Return (n, 2, count) code bytes as (n, count, 2) uint8."""
    return _pairs(codes).view(np.uint8).reshape(len(codes), -1, 2)


def interleave_pcm(codes: NDArray[np.uint8], left: Codec, right: Codec) -> NDArray[Any]:
    """Return (n, 2, count) code bytes of the given laws as (n, count, 2) little-endian int16."""
    return _pair_table(left, right).take(_pairs(codes)).view("<i2").reshape(len(codes), -1, 2)
