"""SignalWire's tap to a ``ws`` device: one JSON message that names the format, then nothing but binary audio.

As a public listener for it reads it; the vendor's documents do not show the wire. There are no names, no numbers and
no end but the closing of the socket, and nothing says that audio may come back.
"""

from __future__ import annotations

import json
from typing import ClassVar

from media.carrier.dialects.contract import Dialect, Frame, FrameWriter, Message, bearer
from media.carrier.dialects.reading import takes_nothing


class TapWriter(FrameWriter):
    """Serialises the messages of one tap."""

    encodings: ClassVar = {"PCMU": "audio/mulaw", "PCMA": "audio/alaw"}
    is_text = False

    @property
    def frames(self) -> dict[str, Frame]:
        """None."""
        return {}

    def connected(self) -> str:
        """Return the message that names the format."""
        return json.dumps({"content-type": f"{self.encodings[self.codec]};rate={self.sample_rate_hz}"})

    def media(self, sequence_number: int, track: str, chunk: int, timestamp: int, payload: str | bytes) -> Message:
        """Return the payload."""
        return payload


SIGNALWIRE_TAP = Dialect(
    writer=TapWriter, reader=takes_nothing("a message to a tap, which goes one way"), headers=bearer, talks_back_on=()
)
