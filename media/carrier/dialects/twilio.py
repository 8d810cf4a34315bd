"""Twilio Media Streams: camelCase, mu-law at 8 kHz only, and a reader that takes nothing but what is documented.

Twilio never answers a wrong message. It logs a warning, once per stream, that the owner of the account finds in the
console: 31950 for what cannot be decoded, 31951 for what does not comply (a missing or unexpected field, another
stream's streamSid), 31924 for a message on a stream that takes none. Here all of them are counted.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from media.carrier.dialects.contract import (
    Clear,
    Command,
    Dialect,
    FrameWriter,
    Mark,
    Media,
    Message,
    Reader,
    StreamIdentity,
    Violation,
    no_token,
)

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

    kinds: ClassVar = {"start": True, "media": True, "dtmf": True, "mark": True, "unknown": True, "stop": True}
    encodings: ClassVar = {"PCMU": "audio/x-mulaw"}

    def __init__(self, identity: StreamIdentity, codec: str, sample_rate_hz: int, options: WebSocketOptions) -> None:
        super().__init__(identity, codec, sample_rate_hz, options)
        self._stream_sid = stream_sid(identity.stream_id)

    def _frame(self, event: str, sequence_number: int, **fields: Any) -> str:
        head = {"event": event, "sequenceNumber": self.number(sequence_number)}
        return json.dumps(head | fields | {"streamSid": self._stream_sid})

    def connected(self) -> str:
        """Return the first frame of a socket."""
        return json.dumps({"event": "connected", "protocol": "Call", "version": _VERSION})

    def start(self, sequence_number: int) -> str:
        """Return the frame that names the call and the format."""
        identity = self.identity
        start = {
            "streamSid": stream_sid(identity.stream_id),
            "accountSid": sid("AC", identity.user_id),
            "callSid": sid("CA", identity.call_session_id),
            "tracks": list(self.options.streamed_tracks),
            "customParameters": {"call": str(identity.call)},
            "mediaFormat": {"encoding": self.encodings[self.codec], "sampleRate": self.sample_rate_hz, "channels": 1},
        }
        return self._frame("start", sequence_number, start=start)

    def media(self, sequence_number: int, track: str, chunk: int, timestamp: int, payload: str | bytes) -> str:
        """Return a media frame."""
        quote = self.quote
        return (
            f'{{"event":"media","sequenceNumber":{quote}{sequence_number}{quote},"media":{{"track":"{track}",'
            f'"chunk":{quote}{chunk}{quote},"timestamp":{quote}{timestamp}{quote},"payload":"{payload!s}"}},'
            f'"streamSid":"{self._stream_sid}"}}'
        )

    def dtmf(self, sequence_number: int, digit: str, offset_ns: int) -> str:
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
        identity = self.identity
        stop = {"accountSid": sid("AC", identity.user_id), "callSid": sid("CA", identity.call_session_id)}
        return self._frame("stop", sequence_number, stop=stop)


class _Strict(msgspec.Struct, forbid_unknown_fields=True):
    pass


class _Payload(_Strict):
    payload: bytes


class _Name(_Strict):
    name: str


class _Media(_Strict, tag_field="event", tag="media"):
    streamSid: str
    media: _Payload


class _Mark(_Strict, tag_field="event", tag="mark"):
    streamSid: str
    mark: _Name


class _Clear(_Strict, tag_field="event", tag="clear"):
    streamSid: str


_decode = msgspec.json.Decoder(_Media | _Mark | _Clear).decode


def reader(identity: StreamIdentity, *, takes_audio: bool) -> Reader:
    """Return the function that reads what is sent to one stream."""
    mine = stream_sid(identity.stream_id)

    def read(message: Message) -> Command | Violation:
        if not takes_audio:
            return Violation(PROTOCOL_ERROR, "a message to a stream that goes one way")
        if isinstance(message, bytes):
            return Violation(MALFORMED_MESSAGE, "a binary message")
        try:
            frame = _decode(message)
        except msgspec.DecodeError as error:
            return Violation(INVALID_MESSAGE, str(error))
        if frame.streamSid != mine:
            return Violation(INVALID_MESSAGE, f"streamSid {frame.streamSid[:40]!r} is not this stream's")
        if isinstance(frame, _Media):
            return Media(frame.media.payload)
        return Mark(frame.mark.name) if isinstance(frame, _Mark) else Clear()

    return read


TWILIO = Dialect(
    writer=TwilioWriter,
    reader=reader,
    headers=no_token,
    talks_back_on=(("inbound",),),
    invalid_media=INVALID_MESSAGE,
    stream_name=stream_sid,
)
"""``<Connect><Stream>`` has the inbound track only; with others it is ``<Start><Stream>``, which takes no audio."""
