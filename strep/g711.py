"""G.711 by table: both laws, any shape, one gather (ITU-T G.711; RFC 3551 section 4.5.14).

The tables are made once from the C implementation that Python itself shipped for decades, ``audioop``
(standard library up to 3.12, the ``audioop-lts`` package from 3.13), and used through numpy.
"""

from __future__ import annotations

import warnings
from enum import IntEnum
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

with warnings.catch_warnings():  # 3.12 announces the removal that audioop-lts answers
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

SAMPLE_RATE_HZ = 8000
LINEAR = 0xFF
"""In columns of codecs: no law, but 16-bit linear PCM, a sample an int16."""


class Codec(IntEnum):
    """A law; the value is its static RTP payload type (RFC 3551 table 4) and its row in the tables."""

    PCMU = 0
    PCMA = 8

    @property
    def silence(self) -> int:
        """The code byte that stands for silence: 0xFF (PCM 0) or 0xD5 (PCM +8, the smallest A-law step)."""
        return 0xFF if self is Codec.PCMU else 0xD5


@cache
def decode_table(codec: Codec) -> NDArray[np.int16]:
    """Return the (256,) int16 table that turns a code byte into linear PCM."""
    convert = audioop.ulaw2lin if codec is Codec.PCMU else audioop.alaw2lin
    return np.frombuffer(convert(bytes(range(256)), 2), np.int16)


@cache
def pair_table(codec: Codec) -> NDArray[np.uint32]:
    """Return the (65536,) uint32 table that turns two code bytes into two samples, in the machine's byte order."""
    pairs = np.arange(65536, dtype=np.uint16).view(np.uint8)
    return decode_table(codec).take(pairs).view(np.uint32)


@cache
def encode_table(codec: Codec) -> NDArray[np.uint8]:
    """Return the (65536,) uint8 table indexed by a PCM sample viewed as uint16."""
    convert = audioop.lin2ulaw if codec is Codec.PCMU else audioop.lin2alaw
    linear = np.arange(65536, dtype=np.uint16).astype(np.int16)
    return np.frombuffer(convert(linear.tobytes(), 2), np.uint8)


@cache
def transcode_table(source: Codec, target: Codec) -> NDArray[np.uint8]:
    """Return the (256,) uint8 table from one law's code bytes to the other's."""
    return encode_table(target)[decode_table(source).view(np.uint16)]


def decode(payload: NDArray[np.uint8], codec: Codec) -> NDArray[np.int16]:
    """Return `payload` (any shape, uint8 code bytes) as int16 PCM of the same shape.

    Rows of even length are looked up by pairs, which takes half the time.
    """
    if payload.ndim and payload.shape[-1] and payload.shape[-1] % 2 == 0 and payload.flags.c_contiguous:
        return pair_table(codec).take(payload.view(np.uint16)).view(np.int16)
    return decode_table(codec).take(payload)


def encode(pcm: NDArray[np.int16], codec: Codec) -> NDArray[np.uint8]:
    """Return `pcm` (any shape, int16) as uint8 code bytes of the same shape."""
    samples: NDArray[Any] = np.ascontiguousarray(pcm)
    return encode_table(codec).take(samples.view(np.uint16))
