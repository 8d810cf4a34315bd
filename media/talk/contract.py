"""The seams of talking back: what a player pulls, what turns PCM into payloads, and where frames go.

Nothing here waits: a source that has nothing yet gives nothing, a wire that is full says so.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from strep.errors import StrepError

Pcm = NDArray[np.int16]


class PlaybackError(StrepError):
    """A play that cannot go on; the text says what to do about it, in one line."""


class PcmSource(Protocol):
    """Mono PCM at the rate that was asked for, pulled by a player in the event loop.

    Whoever fills it (a decoding thread, an async iterator) does so ahead of time and within a bound, so that `read`
    only copies. It is read by one player and used once; `rewind` is how it is played again.
    """

    @property
    def has_ended(self) -> bool:
        """Whether `read` will never again give a sample (before `rewind`)."""

    @property
    def error(self) -> PlaybackError | None:
        """Why it ended early, None if it did not."""

    @property
    def length_samples(self) -> int | None:
        """Its whole length, None where nobody knows yet."""

    def read(self, samples: int) -> Pcm:
        """Return (n,) int16, n <= `samples`; fewer: that is all there is now, more may come unless `has_ended`."""

    def rewind(self) -> bool:
        """Begin again from the first sample; False where that cannot be done (a live source)."""

    def close(self) -> None:
        """Let go of files, threads and buffers; `read` gives nothing any more. A second call does nothing."""


class FrameEncoder(Protocol):
    """PCM into the payload of one codec, for one call: it may have a memory (G.722, Opus, a resampler's tail)."""

    @property
    def sample_rate_hz(self) -> int:
        """Of the PCM that it takes."""

    @property
    def frame_samples(self) -> int:
        """It takes whole multiples of this many samples at a time (20 ms); the caller pads the tail."""

    def encode(self, pcm: Pcm) -> bytes:
        """Return the payload of (n * frame_samples,) int16."""

    def silence(self) -> bytes:
        """Return the payload of one frame of silence."""

    def reset(self) -> None:
        """Forget the past: what comes next has no connection with what came before (after `clear`)."""


class Wire(Protocol):
    """The sending half of a socket. `send` never waits and never raises; what is sent on a closed wire is dropped."""

    @property
    def is_open(self) -> bool:
        """Whether anything that is sent still goes out."""

    @property
    def buffered_bytes(self) -> int:
        """What was sent and not yet taken by the kernel: a peer that does not read shows here."""

    def send(self, message: str | bytes) -> None:
        """Queue a message, text as str, binary as bytes; who does not read is closed beyond the limit."""


class ReturnFrames(Protocol):
    """How one dialect writes what is sent to the carrier; a frame that it does not have is None."""

    def media(self, payload: bytes) -> str | bytes:
        """Return the message that plays `payload`."""

    def mark(self, name: str) -> str | bytes | None:
        """Return the message that comes back when everything before it has been played."""

    def clear(self) -> str | bytes | None:
        """Return the message that makes the carrier forget what it has not played."""
