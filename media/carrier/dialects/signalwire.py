"""SignalWire's cXML ``<Stream>`` (and, it is thought, its ``calling.stream``): Twilio's frames with differences.

No streamSid at the top of start, media and stop; UUIDs for names; a key press has a duration and no track; a mark has
no sequence number; stop has no body. A wrong message is not answered; no document gives it a number.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

import msgspec

from media.carrier.dialects.contract import (
    Clear,
    Command,
    Dialect,
    Digit,
    FrameWriter,
    Mark,
    Media,
    Message,
    Reader,
    StreamIdentity,
    Violation,
    bearer,
)

_VERSION = "0.2.0"
_PRESS_MS = 160


class SignalWireWriter(FrameWriter):
    """Serialises the frames of one stream."""

    kinds: ClassVar = {"start": True, "media": True, "dtmf": True, "mark": False, "unknown": True, "stop": True}
    encodings: ClassVar = {
        "PCMU": "audio/x-mulaw",
        "PCMA": "audio/x-alaw",
        "L16": "audio/x-L16",
        "OPUS": "audio/opus",
    }
    """cXML has the first and L16, the REST command PCMU, PCMA and OPUS; how it spells the last two is a guess."""

    def _frame(self, event: str, sequence_number: int, **fields: Any) -> str:
        return json.dumps({"event": event, "sequenceNumber": self.number(sequence_number)} | fields)

    def connected(self) -> str:
        """Return the first frame of a socket."""
        return json.dumps({"event": "connected", "protocol": "Call", "version": _VERSION})

    def start(self, sequence_number: int) -> str:
        """Return the frame that names the call and the format."""
        identity = self.identity
        start = {
            "streamSid": identity.stream_id,
            "accountSid": identity.user_id,
            "callSid": identity.call_session_id,
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
            f'"chunk":{quote}{chunk}{quote},"timestamp":{quote}{timestamp}{quote},"payload":"{payload!s}"}}}}'
        )

    def dtmf(self, sequence_number: int, digit: str, offset_ns: int) -> str:
        """Return a key press."""
        stream = {"streamSid": self.identity.stream_id} if self.options.takes_audio else {}
        return self._frame("dtmf", sequence_number, **stream, dtmf={"digit": digit, "duration": _PRESS_MS})

    def mark(self, sequence_number: int, name: str) -> str:
        """Return a mark."""
        return json.dumps({"event": "mark", "streamSid": self.identity.stream_id, "mark": {"name": name}})

    def unknown(self, sequence_number: int) -> str:
        """Return a frame of a kind that no document names."""
        return self._frame("weather", sequence_number, weather={"sky": "clear"})

    def stop(self, sequence_number: int) -> str:
        """Return the last frame."""
        return self._frame("stop", sequence_number)


class _Payload(msgspec.Struct):
    payload: bytes


class _Name(msgspec.Struct):
    name: str


class _Key(msgspec.Struct):
    digit: str


class _Media(msgspec.Struct, tag_field="event", tag="media"):
    streamSid: str
    media: _Payload


class _Mark(msgspec.Struct, tag_field="event", tag="mark"):
    streamSid: str
    mark: _Name


class _Dtmf(msgspec.Struct, tag_field="event", tag="dtmf"):
    streamSid: str
    dtmf: _Key


class _Clear(msgspec.Struct, tag_field="event", tag="clear"):
    streamSid: str


_decode = msgspec.json.Decoder(_Media | _Mark | _Dtmf | _Clear).decode


def reader(identity: StreamIdentity, *, takes_audio: bool) -> Reader:
    """Return the function that reads what is sent to one stream."""

    def read(message: Message) -> Command | Violation:
        if not takes_audio:
            return Violation(0, "a message to a stream that goes one way")
        if isinstance(message, bytes):
            return Violation(0, "a binary message")
        try:
            frame = _decode(message)
        except msgspec.DecodeError as error:
            return Violation(0, str(error))
        if frame.streamSid != identity.stream_id:
            return Violation(0, f"streamSid {frame.streamSid[:40]!r} is not this stream's")
        if isinstance(frame, _Media):
            return Media(frame.media.payload)
        if isinstance(frame, _Dtmf):
            return Digit(frame.dtmf.digit)
        return Mark(frame.mark.name) if isinstance(frame, _Mark) else Clear()

    return read


SIGNALWIRE = Dialect(writer=SignalWireWriter, reader=reader, headers=bearer)
