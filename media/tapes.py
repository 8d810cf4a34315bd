"""Which tape a call lies on: code bytes at 8 kHz, as the carrier sends them, or PCM at the rate of its first track.

A call has one tape format, so that all that is made of it - positions, recordings, blocks - has one rate. What comes
in another encoding is decoded and converted on its way in (`media.decoding`).
"""

from __future__ import annotations

from typing import NamedTuple

from media.codecs import Encoding
from strep.g711 import SAMPLE_RATE_HZ, Codec


class TapeFormat(NamedTuple):
    """How a call's samples are written down."""

    sample_rate_hz: int = SAMPLE_RATE_HZ
    is_linear: bool = False


CODE_BYTES = TapeFormat()
"""G.711: nearly all calls."""


def format_of(encoding: Encoding) -> TapeFormat:
    """Return the format of a call that begins with `encoding`."""
    return CODE_BYTES if law_of(encoding) is not None else TapeFormat(encoding.sample_rate_hz, is_linear=True)


def law_of(encoding: Encoding) -> Codec | None:
    """Return the law that `encoding` is, None if it is none of G.711."""
    return Codec[encoding.name] if encoding.name in Codec.__members__ else None
