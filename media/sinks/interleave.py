"""Two tracks of G.711 bytes become the frames of a stereo file, in one look-up per frame.

The bytes of both channels at one moment, side by side, are a 16-bit number, and a table of all 65536 knows the
two PCM samples it stands for: half the look-ups, and what comes out is interleaved.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strep.g711 import Codec, decode_table

_PAIR = np.dtype("<u2")  # left is the low byte: in memory left comes first


@cache
def _pair_table(left: Codec, right: Codec) -> NDArray[np.uint32]:
    """Return the (65536,) table from a pair of code bytes to a pair of little-endian int16, as one word."""
    frames = np.empty((256, 256, 2), "<i2")  # by right, left
    frames[..., 0] = decode_table(left)
    frames[..., 1] = decode_table(right)[:, None]
    return frames.reshape(-1).view(np.uint32)


def decode_frames(codes: NDArray[np.uint8], left: Codec, right: Codec, out: NDArray[np.uint32]) -> NDArray[Any]:
    """Return (n, 2) code bytes of the given laws as (n, 2) little-endian int16.

    Args:
        codes: contiguous.
        left: law of channel 0.
        right: law of channel 1.
        out: (n or more,) the memory to use; the result is a view of it.
    """
    words = out[: len(codes)]
    # "clip" costs nothing, no index is outside; the default would go through a buffer to keep `out` on errors.
    _pair_table(left, right).take(codes.reshape(-1).view(_PAIR), out=words, mode="clip")
    return words.view("<i2").reshape(-1, 2)
