"""The frames of Twilio's family: names in camelCase, the stream's id as ``streamSid``.

::

    {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    {"event": "start", "sequenceNumber": "1", "streamSid": "MZ...", "start": {"streamSid": "MZ...",
     "callSid": "CA...", "accountSid": "AC...", "tracks": ["inbound"], "customParameters": {},
     "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}}}
    {"event": "media", "sequenceNumber": "2", "streamSid": "MZ...",
     "media": {"track": "inbound", "chunk": "1", "timestamp": "5", "payload": "<base64>"}}
    {"event": "dtmf" | "mark" | "stop", ...}

Twilio has the ``streamSid`` in every frame, SignalWire in some: it may be missing anywhere.
"""

from __future__ import annotations

from typing import Any

import msgspec

from media.ws import messages
from media.ws.dialects.decoding import FrameDecoder, WireFrame
from media.ws.dialects.dialect import TextParser, base64_text, json_text
from media.ws.messages import CarrierFrame, Counter, MarkBody, MediaBody

Text = str | None
_TRACK_SUFFIX = "_track"
"""Behind the name of a track in dtmf frames, and only there: inbound_track."""


class _Body(msgspec.Struct, rename="camel", frozen=True, gc=False, omit_defaults=True):
    """An object within a frame."""


class _Frame(WireFrame, tag_field="event", tag=str.lower, rename="camel", frozen=True, gc=False, omit_defaults=True):
    """What all frames share."""


class Connected(_Frame, frozen=True):
    """The first frame on a socket."""

    protocol: Text = None
    version: Text = None

    def common(self) -> CarrierFrame:
        """Return the frame that all dialects share."""
        return messages.Connected(self.version)


class MediaFormat(_Body, frozen=True):
    """How the payloads are encoded."""

    encoding: str = ""
    sample_rate: Counter | None = None
    channels: Counter | None = None


class StartBody(_Body, frozen=True):
    """What is said of the call."""

    stream_sid: Text = None
    account_sid: Any = None
    call_sid: Any = None
    tracks: Any = None
    custom_parameters: Any = None
    media_format: MediaFormat = MediaFormat()


class Start(_Frame, frozen=True):
    """The stream begins."""

    start: StartBody
    stream_sid: Text = None
    sequence_number: Counter | None = None

    def common(self) -> CarrierFrame:
        """Return the frame that all dialects share."""
        said = self.start
        body = messages.StartBody(
            messages.MediaFormat(*msgspec.structs.astuple(said.media_format)),
            custom_parameters=said.custom_parameters,
            tracks=said.tracks,
            call_sid=said.call_sid,
            account_sid=said.account_sid,
        )
        return messages.Start(body, self.stream_sid or said.stream_sid, self.sequence_number)


class Media(_Frame, frozen=True):
    """Audio; what is within is the same in all dialects."""

    media: MediaBody
    stream_sid: Text = None
    sequence_number: Counter | None = None

    def common(self) -> CarrierFrame:
        """Return the frame that all dialects share."""
        return messages.Media(self.media, self.stream_sid, self.sequence_number)


class DtmfBody(_Body, frozen=True):
    """A digit: Twilio names the track, SignalWire the milliseconds."""

    digit: str
    track: Text = None
    duration: Counter | None = None


class Dtmf(_Frame, frozen=True):
    """A key was pressed."""

    dtmf: DtmfBody
    stream_sid: Text = None
    sequence_number: Counter | None = None

    def common(self) -> CarrierFrame:
        """Return the frame that all dialects share."""
        track = (self.dtmf.track or "").removesuffix(_TRACK_SUFFIX) or None
        body = messages.DtmfBody(self.dtmf.digit, track, self.dtmf.duration)
        return messages.Dtmf(body, None, self.stream_sid, self.sequence_number)


class Mark(_Frame, frozen=True):
    """What was sent before the mark has been played or cleared."""

    mark: MarkBody
    stream_sid: Text = None
    sequence_number: Counter | None = None

    def common(self) -> CarrierFrame:
        """Return the frame that all dialects share."""
        return messages.Mark(self.mark, self.stream_sid, self.sequence_number)


class Stop(_Frame, frozen=True):
    """The stream ends."""

    stop: Any = None
    stream_sid: Text = None
    sequence_number: Counter | None = None

    def common(self) -> CarrierFrame:
        """Return the frame that all dialects share."""
        return messages.Stop(self.stop, self.stream_sid, self.sequence_number)


class _UnknownEvent(msgspec.Struct, rename="camel", frozen=True, gc=False):
    event: str
    sequence_number: Any = None


PARSER = TextParser(FrameDecoder(Connected | Start | Media | Dtmf | Mark | Stop, _UnknownEvent).parse)


def document_of(frame: CarrierFrame, version: str) -> dict[str, Any]:
    """Return `frame` as the carrier writes it, ``streamSid`` wherever the frame has a stream_id.

    Raises:
        TypeError: this dialect has no such frame.
    """
    if isinstance(frame, messages.Connected):
        return {"event": "connected", "protocol": "Call", "version": version}
    document: dict[str, Any] = {"event": type(frame).__name__.lower()}
    if frame.sequence_number is not None:
        document["sequenceNumber"] = str(frame.sequence_number)
    if frame.stream_id is not None:
        document["streamSid"] = frame.stream_id
    if isinstance(frame, messages.Start):
        body = frame.start
        media_format = MediaFormat(*msgspec.structs.astuple(body.media_format))
        said = StartBody(
            frame.stream_id, body.account_sid, body.call_sid, body.tracks, body.custom_parameters, media_format
        )
        return document | {"start": msgspec.to_builtins(said)}
    if isinstance(frame, messages.Media):
        media = msgspec.to_builtins(frame.media)
        return document | {"media": {name: _text(value) for name, value in media.items()}}
    if isinstance(frame, messages.Dtmf):
        track = frame.dtmf.track and frame.dtmf.track + _TRACK_SUFFIX
        digit = DtmfBody(frame.dtmf.digit, track, frame.dtmf.duration_ms)
        return document | {"dtmf": msgspec.to_builtins(digit)}
    if isinstance(frame, messages.Mark):
        return document | {"mark": {"name": frame.mark.name}}
    if isinstance(frame, messages.Stop):
        return document if frame.stop is None else document | {"stop": frame.stop}
    raise TypeError(f"no {type(frame).__name__} frame in this dialect")


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int) else value


def media(stream_id: str, payload: bytes) -> str:
    """Return the message that plays `payload`."""
    return f'{{"event":"media","streamSid":"{stream_id}","media":{{"payload":"{base64_text(payload)}"}}}}'


def mark(stream_id: str, name: str) -> str:
    """Return the message that comes back when what was sent before it has been played."""
    return json_text({"event": "mark", "streamSid": stream_id, "mark": {"name": name}})


def clear(stream_id: str) -> str:
    """Return the message that empties the carrier's buffer."""
    return f'{{"event":"clear","streamSid":"{stream_id}"}}'
