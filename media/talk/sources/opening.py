"""One way in for everything that can be played."""

from __future__ import annotations

import asyncio
import io
import os
import stat
from collections.abc import AsyncIterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from media.talk.contract import PcmSource, PlaybackError
from media.talk.sources.ahead import DecodedAhead, shared_workers
from media.talk.sources.arrays import ArraySource, array_blocks, checked_array, segment_array
from media.talk.sources.body import Body
from media.talk.sources.conversion import shown
from media.talk.sources.decoding import File, decoded
from media.talk.sources.iterators import IteratorSource
from media.talk.sources.urls import UrlRules

_SEGMENT = ("raw_data", "sample_width", "channels", "frame_rate")
_CAN_BE_PLAYED = "a path, a URL, bytes, a numpy array, a pydub.AudioSegment, an async iterator of PCM"
_RULES = UrlRules()


async def open_source(
    source: Any,
    sample_rate_hz: int,
    *,
    rate_hz: int | None = None,
    urls: UrlRules = _RULES,
    denoise: bool = False,
) -> PcmSource:
    """Return `source` as mono int16, when its first samples are there; an iterator is returned at once.

    Args:
        source: a path (str, `os.PathLike`), an http(s) URL (str) or the bytes of any audio file; with `rate_hz`,
            bytes are raw s16le mono. A numpy array of int16, or of floats of full scale 1, (n,) or (n, channels),
            which must stay as it is while it is played. A `pydub.AudioSegment`. An async iterator of arrays, or of
            bytes of s16le mono.
        sample_rate_hz: of what is read from the source that is returned.
        rate_hz: of an array or of raw PCM; a file knows its own.
        urls: what URLs are allowed.
        denoise: suppress noise in it.

    Raises:
        PlaybackError: nothing of it can be played; one line that says why.
    """
    opened = await _open(source, sample_rate_hz, rate_hz, urls)
    if not denoise:
        return opened
    from media.talk.sources.denoised import DenoisedSource

    return DenoisedSource(opened, sample_rate_hz)


async def _open(source: Any, sample_rate_hz: int, rate_hz: int | None, urls: UrlRules) -> PcmSource:
    if isinstance(source, bytes | bytearray | memoryview):
        return await (_array(_raw(source), rate_hz, sample_rate_hz) if rate_hz else _file(source, sample_rate_hz))
    if isinstance(source, np.ndarray):
        return await _array(source, rate_hz, sample_rate_hz)
    if isinstance(source, AsyncIterable):
        return IteratorSource(source, rate_hz, sample_rate_hz)
    if rate_hz is not None:
        raise PlaybackError("rate_hz is for arrays and raw PCM; what is played here knows its own rate")
    if all(hasattr(source, name) for name in _SEGMENT):
        samples, segment_hz = segment_array(source)
        return await _ahead(partial(array_blocks, samples, segment_hz), sample_rate_hz, len(samples), segment_hz)
    if isinstance(source, str) and "://" in source:
        return await _url(source, sample_rate_hz, urls)
    if isinstance(source, str | os.PathLike):
        return await _file(source, sample_rate_hz)
    raise PlaybackError(f"a {type(source).__name__} cannot be played; {_CAN_BE_PLAYED} can")


async def _array(samples: Any, rate_hz: int | None, sample_rate_hz: int) -> PcmSource:
    table = checked_array(samples, rate_hz)
    rate_hz = rate_hz or sample_rate_hz
    if rate_hz == sample_rate_hz and table.dtype == np.int16 and table.shape[1] == 1:
        return ArraySource(table[:, 0])
    return await _ahead(partial(array_blocks, table, rate_hz), sample_rate_hz, len(table), rate_hz)


async def _ahead(blocks: Any, sample_rate_hz: int, samples: int, rate_hz: int) -> PcmSource:
    """Return what is in memory already, so that its length is known."""
    length_samples = round(samples * sample_rate_hz / rate_hz)
    begin = partial(blocks, sample_rate_hz)
    return await DecodedAhead(begin, sample_rate_hz, shared_workers(), length_samples=length_samples).opened()


def _raw(source: bytes | bytearray | memoryview) -> Any:
    if len(source) % 2:
        raise PlaybackError(f"{len(source)} bytes of s16le end inside of a sample")
    return np.frombuffer(source, "<i2").astype(np.int16)


async def _file(source: Any, sample_rate_hz: int) -> PcmSource:
    if isinstance(source, str | os.PathLike):
        opener: Any = partial(_open_path, source)
        what = shown(os.fsdecode(source))
    else:
        opener, what = partial(_open_bytes, source), f"the audio of {len(source)} bytes"
    return await DecodedAhead(
        partial(decoded, opener, what, sample_rate_hz), sample_rate_hz, shared_workers()
    ).opened()


def _open_bytes(source: bytes | bytearray | memoryview) -> File:
    if not len(source):
        raise PlaybackError("there are no bytes in it: give all bytes of an audio file")
    return io.BytesIO(source)


def _open_path(path: str | os.PathLike[str]) -> File:
    """Open a regular file; a pipe or a device might never end, or never begin."""
    what = shown(os.fsdecode(path))
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        raise PlaybackError(f"{what} cannot be opened: {getattr(error, 'strerror', None) or error}") from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or not found.st_size:
        os.close(descriptor)
        is_empty = stat.S_ISREG(found.st_mode)
        raise PlaybackError(f"{what} is empty: was it written yet?" if is_empty else f"{what} is no regular file")
    return os.fdopen(descriptor, "rb")


async def _url(url: str, sample_rate_hz: int, rules: UrlRules) -> PcmSource:
    body = Body(url, rules)
    worker = ThreadPoolExecutor(1, thread_name_prefix="url")  # its own: it may stall

    def release() -> None:
        body.close()
        worker.shutdown(wait=False)

    begin = partial(decoded, body.open, body.what, sample_rate_hz)
    source = DecodedAhead(begin, sample_rate_hz, worker, abort=body.abort, release=release)
    try:
        async with asyncio.timeout(rules.open_s):
            return await source.opened()
    except TimeoutError:
        raise PlaybackError(f"{body.what}: nothing to play after {rules.open_s:g} s") from None
