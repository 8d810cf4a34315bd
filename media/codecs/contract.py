"""The seam of decoding; that of encoding is `media.talk.contract.FrameEncoder`."""

from __future__ import annotations

from typing import Protocol

from media.talk.contract import Pcm


class FrameDecoder(Protocol):
    """Payloads of one codec into PCM, for one track: it may have a memory, so payloads come in order."""

    @property
    def sample_rate_hz(self) -> int:
        """Of the PCM that it gives."""

    def decode(self, payload: bytes | memoryview) -> Pcm:
        """Return (n,) int16, n as `Encoding.samples_of` says, of one Opus packet or of any number of other payloads.

        Raises:
            WireError: PAYLOAD: no payload of this codec. The decoder stays usable.
        """

    def conceal(self, samples: int) -> Pcm:
        """Return (samples,) int16 for a payload that did not come: the codec's own guess, else silence."""

    def reset(self) -> None:
        """Forget the past: what comes next is the beginning of another stream."""
