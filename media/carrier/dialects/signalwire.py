"""SignalWire's cXML ``<Stream>`` (and, it is thought, its ``calling.stream``): Twilio's frames with differences.

No streamSid at the top of start, media and stop; UUIDs for names; a key press has a duration and no track; a mark has
no sequence number; stop has no body. A wrong message is not answered; no document gives it a number.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

from media.carrier.dialects import camel_case
from media.carrier.dialects.contract import Dialect, Frame, FrameWriter, bearer
from media.carrier.dialects.reading import Manner, make_reader

_VERSION = "0.2.0"
_PRESS_MS = 160


class SignalWireWriter(FrameWriter):
    """Serialises the frames of one stream."""

    encodings: ClassVar = {
        "PCMU": "audio/x-mulaw",
        "PCMA": "audio/x-alaw",
        "L16": "audio/x-L16",
        "OPUS": "audio/opus",
    }
    """cXML has the first and L16, the REST command PCMU, PCMA and OPUS; how it spells the last two is a guess."""

    @property
    def frames(self) -> dict[str, Frame]:
        """All but errors."""
        return {
            "start": Frame(self.start),
            "dtmf": Frame(self.dtmf),
            "mark": Frame(self.mark, is_numbered=False),
            "unknown": Frame(self.unknown),
            "stop": Frame(self.stop),
        }

    def _frame(self, event: str, sequence_number: int, **fields: Any) -> str:
        return json.dumps(camel_case.numbered(self, event, sequence_number) | fields)

    def connected(self) -> str:
        """Return the first frame of a socket."""
        return camel_case.connected(_VERSION)

    def start(self, sequence_number: int) -> str:
        """Return the frame that names the call and the format."""
        identity = self.identity
        names = camel_case.Names(identity.stream_id, identity.user_id, identity.call_session_id)
        return self._frame("start", sequence_number, start=camel_case.start_body(self, names))

    def media(self, sequence_number: int, track: str, chunk: int, timestamp: int, payload: str | bytes) -> str:
        """Return a media frame."""
        return camel_case.media(self.quote, sequence_number, track, chunk, timestamp, payload)

    def dtmf(self, sequence_number: int, digit: str, _: int) -> str:
        """Return a key press."""
        stream = {"streamSid": self.identity.stream_id} if self.options.takes_audio else {}
        return self._frame("dtmf", sequence_number, **stream, dtmf={"digit": digit, "duration": _PRESS_MS})

    def mark(self, _: int, name: str) -> str:
        """Return a mark."""
        return json.dumps({"event": "mark", "streamSid": self.identity.stream_id, "mark": {"name": name}})

    def unknown(self, sequence_number: int) -> str:
        """Return a frame of a kind that no document names."""
        return self._frame("weather", sequence_number, weather={"sky": "clear"})

    def stop(self, sequence_number: int) -> str:
        """Return the last frame."""
        return self._frame("stop", sequence_number)


reader = make_reader(Manner(events=("media", "mark", "dtmf", "clear"), stream_name=str))

SIGNALWIRE = Dialect(writer=SignalWireWriter, reader=reader, headers=bearer)
