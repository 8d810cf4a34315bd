"""Two tracks of G.711 bytes become the frames of a stereo file, in one look-up per frame.

The bytes of both channels at one moment, side by side, are a 16-bit number, and a table of all 65536 knows the
two PCM samples it stands for: half the look-ups, and what comes out is interleaved.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from strep.g711 import Codec, decode_table

PAIR = np.dtype("<u2")
"""A code byte of each channel; left is the low one, so that in memory it comes first."""


@cache
def _pair_table(left: Codec, right: Codec) -> NDArray[np.uint32]:
    """Return the (65536,) table from a pair of code bytes to a pair of little-endian int16, as one word."""
    frames = np.empty((256, 256, 2), "<i2")  # by right, left
    frames[..., 0] = decode_table(left)
    frames[..., 1] = decode_table(right)[:, None]
    return frames.reshape(-1).view(np.uint32)


def decode_frames(
    pairs: NDArray[np.uint16], left: Codec, right: Codec, out: NDArray[np.uint32]
) -> NDArray[np.uint32]:
    """Return pairs of code bytes of the given laws as frames: (n,) words of two little-endian int16.

    Args:
        pairs: (n,) of `PAIR`, contiguous.
        left: law of channel 0.
        right: law of channel 1.
        out: (n or more,) the memory to use; the result is a view of it.
    """
    # No index is outside, and "wrap" is the quickest way to say so; the default would keep `out` safe from errors.
    return _pair_table(left, right).take(pairs, out=out[: len(pairs)], mode="wrap")
