"""What is done to a recording's file once it is closed: cut out time, make two channels one.

It is written anew beside the old one, which is replaced in one step: at every moment there is one that is whole.
While a file grows it has both channels and all of its time, so that whatever comes late still finds its place.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from media.sinks.wav import CHANNELS, LONGEST_HEADER_BYTES, Encoding, parse_header, serialize_header

CHUNK_FRAMES = 1 << 17
"""16 s of telephone audio, half a megabyte."""

TEMPORARY = ".tmp"
_LEFT_OVER = (f".wav{TEMPORARY}", f".finish{TEMPORARY}", f".json{TEMPORARY}")

Spans = Sequence[tuple[int, int]]
"""Start and length, in samples of the file; in order, without overlap."""
Single = Literal["both", "inbound", "outbound"]


def mixed(frames: NDArray[np.int16], track: Single) -> NDArray[np.int16]:
    """Return one channel, (n,) int16, of `frames`, (n, 2) int16: a track as it is, or both.

    Of both each has half its amplitude (-6 dB), rounded down. So the sum never clips, however loud both are, and how
    loud a voice is does not depend on whether the other one speaks.
    """
    if track != "both":
        one: NDArray[np.int16] = frames[:, 0 if track == "inbound" else 1]
        return one
    half: NDArray[np.int32] = frames.sum(axis=1, dtype=np.int32) >> 1
    return half.astype(np.int16)


def rewrite(path: Path, *, omit: Spans = (), single: Single | None = None) -> int:
    """Write a closed file of ours anew; return its length in samples, per channel.

    Args:
        path: the file; replaced when the new one is whole.
        omit: what to cut out.
        single: make it one channel, of one track or of both; only of PCM.

    Raises:
        OSError: it cannot be done; the file is as it was.
        ValueError: it is no stereo file of ours.
    """
    temporary = path.with_name(f".{path.name}{TEMPORARY}")
    try:
        with path.open("rb") as source:
            encoding, rate_hz = parse_header(source.read(LONGEST_HEADER_BYTES))
            if single is not None and encoding is not Encoding.PCM16:
                raise ValueError(f"{path.name} is {encoding.label}: only PCM can be mixed")
            frame_bytes, channels = encoding.frame_bytes, 1 if single else CHANNELS
            length = (os.fstat(source.fileno()).st_size - encoding.data_offset) // frame_bytes
            spans = list(kept(omit, length))
            left = sum(count for _, count in spans)
            with open(create_locked(temporary), "wb") as target:
                target.write(serialize_header(encoding, rate_hz, left, channels))
                for position, count in spans:
                    source.seek(encoding.data_offset + position * frame_bytes)
                    frames = _frames(source.read(count * frame_bytes), encoding)
                    target.write((mixed(frames, single) if single else frames).tobytes())
                target.flush()
                os.fsync(target.fileno())  # there is no other one in a moment
        os.replace(temporary, path)
    except (OSError, ValueError):
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    return left


def create_locked(path: Path) -> int:
    """Return a new file, locked: without a lock it is one that a dead process left, and is removed."""
    while True:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)  # who else may have it removes it, and lets go at once
            if os.fstat(fd).st_nlink:
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def _frames(data: bytes, encoding: Encoding) -> NDArray[Any]:
    return np.frombuffer(data, encoding.dtype).reshape(-1, CHANNELS)


def kept(omit: Spans, length: int) -> Iterator[tuple[int, int]]:
    """Yield start and length of what is between the spans, in chunks."""
    position = 0
    for start, count in [*omit, (length, 0)]:
        while position < min(start, length):
            chunk = min(start - position, length - position, CHUNK_FRAMES)
            yield position, chunk
            position += chunk
        position = max(position, start + count)


def remove_left_over(path: Path) -> bool:
    """Remove `path` if it is what a process was writing when it died; return whether it was that."""
    if not (path.name.startswith(".") and path.name.endswith(_LEFT_OVER)):
        return False
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)  # under the lock, so that who has made it a moment ago sees that it is gone
    except OSError:
        return False
    finally:
        os.close(fd)
    return True
