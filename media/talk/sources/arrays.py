"""Audio that is in memory already: numpy arrays, and `pydub.AudioSegment` by its looks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from media.talk.contract import Pcm, PlaybackError
from media.talk.sources.buffer import NOTHING
from media.talk.sources.conversion import LOUDEST, MAX_CHANNELS, Mono, check_rate, converted, mono, scaled

_TYPES = ("int16", "float32", "float64")
_WIDTHS = {1: "i1", 2: "<i2", 4: "<i4"}


def array_blocks(samples: NDArray[Any], rate_hz: int, sample_rate_hz: int) -> Iterator[Pcm]:
    """Yield a checked array as (n,) int16 at `sample_rate_hz`, a second at a time. It is read as it is played.

    Raises:
        PlaybackError: NaN, infinite, or far beyond full scale.
    """
    return converted(_rated(samples, rate_hz), sample_rate_hz)


def _rated(samples: NDArray[Any], rate_hz: int) -> Iterator[tuple[Mono, int]]:
    for begin in range(0, len(samples), rate_hz):
        block = samples[begin : begin + rate_hz]
        if block.dtype.kind == "f":
            check_finite(block)
        yield mono(scaled(block)), rate_hz


class ArraySource:
    """PCM that is what is played already, read where it lies: nothing is copied, and no thread has a part in it.

    It is a `PcmSource`; see there.
    """

    error: PlaybackError | None = None

    def __init__(self, pcm: Pcm) -> None:
        """Read `pcm`, (n,) int16, which must stay as it is."""
        self._pcm = pcm.view()
        self._pcm.flags.writeable = False
        self._position, self._is_closed = 0, False

    @property
    def has_ended(self) -> bool:
        """See `PcmSource.has_ended`."""
        return self._position == len(self._pcm)

    @property
    def length_samples(self) -> int | None:
        """See `PcmSource.length_samples`."""
        return len(self._pcm)

    def read(self, samples: int) -> Pcm:
        """See `PcmSource.read`; what is returned cannot be written to."""
        pcm = self._pcm[self._position : self._position + samples]
        self._position += len(pcm)
        return pcm

    def rewind(self) -> bool:
        """See `PcmSource.rewind`."""
        self._position = 0
        return not self._is_closed

    def close(self) -> None:
        """See `PcmSource.close`."""
        self._pcm, self._position, self._is_closed = NOTHING, 0, True


def checked_array(samples: NDArray[Any], rate_hz: int | None, *, what: str = "the array") -> NDArray[Any]:
    """Return an array as (n, channels), not copied.

    Raises:
        PlaybackError: not PCM: dtype, shape, rate, or nothing in it.
    """
    if rate_hz is None:
        raise PlaybackError(f"{what} needs its sample rate: rate_hz=...")
    check_rate(rate_hz, what)
    if samples.dtype.name not in _TYPES:
        raise PlaybackError(f"{what} has dtype {samples.dtype}; {', '.join(_TYPES)} can be played")
    table = samples[:, None] if samples.ndim == 1 else samples
    if table.ndim != 2 or not 1 <= table.shape[1] <= MAX_CHANNELS:
        raise PlaybackError(f"{what} has the shape {samples.shape}; (samples,) or (samples, channels) can be played")
    if not len(table):
        raise PlaybackError(f"{what} is empty")
    return table


def check_finite(block: NDArray[Any]) -> None:
    """See that floats are PCM of full scale 1.

    Raises:
        PlaybackError: they are not.
    """
    peak = float(np.abs(block).max())  # NaN if there is one
    if not np.isfinite(peak):
        raise PlaybackError("the array holds NaN or infinite samples")
    if peak > LOUDEST:
        raise PlaybackError(f"the array holds floats up to {peak:.6g}; full scale is 1 (divide int16 by 32768)")


def segment_array(segment: Any) -> tuple[NDArray[Any], int]:
    """Return the samples of a `pydub.AudioSegment`, (n, channels), of integers, and its rate; nothing is copied.

    Raises:
        PlaybackError: it is not what it looks like.
    """
    try:
        width, channels, rate_hz = int(segment.sample_width), int(segment.channels), int(segment.frame_rate)
        raw = memoryview(segment.raw_data)
    except (TypeError, ValueError) as error:
        raise PlaybackError(f"the {type(segment).__name__} is no audio: {error}") from error
    check_rate(rate_hz, "the AudioSegment")
    if width not in _WIDTHS or not 1 <= channels <= MAX_CHANNELS:
        raise PlaybackError(
            f"the AudioSegment has {channels} channels of {width} bytes; widths 1, 2 and 4 can be played"
        )
    if not raw or len(raw) % (width * channels):
        raise PlaybackError("the AudioSegment is empty" if not raw else "the AudioSegment ends inside of a sample")
    return np.frombuffer(raw, _WIDTHS[width]).reshape(-1, channels), rate_hz
