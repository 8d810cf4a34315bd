"""Twilio Media Streams: camelCase, mu-law at 8 kHz only, and a reader that takes nothing but what is documented.

Twilio never answers a wrong message. It logs a warning, once per stream, that the owner of the account finds in the
console: 31950 for what cannot be decoded, 31951 for what does not comply (a missing or unexpected field, another
stream's streamSid), 31924 for a message on a stream that takes none. Here all of them are counted.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from media.carrier.dialects import camel_case
from media.carrier.dialects.contract import Dialect, Frame, FrameWriter, StreamIdentity, no_token
from media.carrier.dialects.reading import Manner, make_reader

if TYPE_CHECKING:
    from media.carrier.options import WebSocketOptions

PROTOCOL_ERROR = 31924
MALFORMED_MESSAGE = 31950
INVALID_MESSAGE = 31951

_VERSION = "1.0.0"


def sid(prefix: str, uuid_text: str) -> str:
    """Return an identifier as Twilio spells them: two letters and 32 hexadecimal digits."""
    return prefix + uuid_text.replace("-", "")


def stream_sid(stream_id: str) -> str:
    """Return the stream's."""
    return sid("MZ", stream_id)


class TwilioWriter(FrameWriter):
    """Serialises the frames of one stream."""

    encodings: ClassVar = {"PCMU": "audio/x-mulaw"}

    def __init__(self, identity: StreamIdentity, codec: str, sample_rate_hz: int, options: WebSocketOptions) -> None:
        super().__init__(identity, codec, sample_rate_hz, options)
        self._names = camel_case.Names(
            stream_sid(identity.stream_id), sid("AC", identity.user_id), sid("CA", identity.call_session_id)
        )
        self._end = f',"streamSid":"{self._names.stream_sid}"'

    @property
    def frames(self) -> dict[str, Frame]:
        """All but errors."""
        return {
            "start": Frame(self.start),
            "dtmf": Frame(self.dtmf),
            "mark": Frame(self.mark),
            "unknown": Frame(self.unknown),
            "stop": Frame(self.stop),
        }

    def _frame(self, event: str, sequence_number: int, **fields: Any) -> str:
        head = camel_case.numbered(self, event, sequence_number)
        return json.dumps(head | fields | {"streamSid": self._names.stream_sid})

    def connected(self) -> str:
        """Return the first frame of a socket."""
        return camel_case.connected(_VERSION)

    def start(self, sequence_number: int) -> str:
        """Return the frame that names the call and the format."""
        return self._frame("start", sequence_number, start=camel_case.start_body(self, self._names))

    def media(self, sequence_number: int, track: str, chunk: int, timestamp: int, payload: str | bytes) -> str:
        """Return a media frame."""
        return camel_case.media(self.quote, sequence_number, track, chunk, timestamp, payload, self._end)

    def dtmf(self, sequence_number: int, digit: str, _: int) -> str:
        """Return a key press; it says on which track, but not when."""
        return self._frame("dtmf", sequence_number, dtmf={"track": "inbound_track", "digit": digit})

    def mark(self, sequence_number: int, name: str) -> str:
        """Return a mark."""
        return self._frame("mark", sequence_number, mark={"name": name})

    def unknown(self, sequence_number: int) -> str:
        """Return a frame of a kind that no document names."""
        return self._frame("weather", sequence_number, weather={"sky": "clear"})

    def stop(self, sequence_number: int) -> str:
        """Return the last frame."""
        stop = {"accountSid": self._names.account_sid, "callSid": self._names.call_sid}
        return self._frame("stop", sequence_number, stop=stop)


reader = make_reader(
    Manner(
        is_strict=True,
        stream_name=stream_sid,
        one_way=PROTOCOL_ERROR,
        binary=MALFORMED_MESSAGE,
        invalid=INVALID_MESSAGE,
        bad_audio=INVALID_MESSAGE,
    )
)

TWILIO = Dialect(
    writer=TwilioWriter,
    reader=reader,
    headers=no_token,
    talks_back_on=(("inbound",),),
    invalid_media=INVALID_MESSAGE,
    stream_name=stream_sid,
)
"""``<Connect><Stream>`` has the inbound track only; with others it is ``<Start><Stream>``, which takes no audio."""
