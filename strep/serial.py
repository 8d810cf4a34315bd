"""Modular arithmetic on RTP counters, by signed difference (RFC 1982; RFC 3550 appendix A.1).

Everything that compares 16-bit sequence numbers or 32-bit timestamps does it here and nowhere else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]

SEQUENCE_MODULUS = 1 << 16
TIMESTAMP_MODULUS = 1 << 32


def signed_difference_16(newer: int, older: int) -> int:
    """Return `newer` - `older` modulo 2**16, in [-32768, 32767]."""
    return ((newer - older + 0x8000) & 0xFFFF) - 0x8000


def signed_difference_32(newer: int, older: int) -> int:
    """Return `newer` - `older` modulo 2**32, in [-2**31, 2**31 - 1]."""
    return ((newer - older + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000


def signed_differences_16(newer: NDArray[Any], older: Int64) -> Int64:
    """Column form of `signed_difference_16`: any integer columns of equal shape in, int64 out."""
    difference: Int64 = newer - older
    difference += 0x8000
    difference &= 0xFFFF
    difference -= 0x8000
    return difference


def signed_differences_32(newer: NDArray[Any], older: Int64) -> Int64:
    """Column form of `signed_difference_32`: any integer columns of equal shape in, int64 out."""
    difference: Int64 = newer - older
    difference += 0x8000_0000
    difference &= 0xFFFF_FFFF
    difference -= 0x8000_0000
    return difference
