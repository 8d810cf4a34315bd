"""SignalWire's ``calling.tap`` on a WebSocket: a header as text, then nothing but audio in binary messages.

::

    {"content-type": "audio/mulaw;rate=8000"}
    <160 bytes> <160 bytes> ...

The vendor documents no more than the address. A listener that works takes the header also under ``format``, as a bare
MIME type, and when it is missing, which means mu-law at 8000 Hz; so does this. There is no id, track, number or stop:
the stream is named by its socket, has one track (the operator says which), begins with its first message and ends
with its socket. Audio lies where the bytes before it end; a sender that pauses is found by the arrival clock
(`strep.realign`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from media.ws.dialects.dialect import Dialect, Parser, Playback, json_text
from media.ws.messages import (
    CarrierFrame,
    Frame,
    Media,
    MediaBody,
    MediaFormat,
    Start,
    StartBody,
    StartWithMedia,
    UnknownEvent,
    not_json,
)
from strep.errors import WireError

DEFAULT_TYPE = "audio/mulaw;rate=8000"
DEFAULT_RATE_HZ = 8000
MAX_HEADER_CHARACTERS = 4096


class Header(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The first message, under either name."""

    content_type: str | None = msgspec.field(default=None, name="content-type")
    format: str | None = None
    event: Any = None


_DECODER = msgspec.json.Decoder(Header | str)


class _Tap:
    """One connection: it remembers whether the stream has begun."""

    def __init__(self, stream_id: str, track: str) -> None:
        self._stream_id = stream_id
        self._track = track
        self._has_begun = False

    def parse(self, text: str | bytes) -> Frame:
        start = self._start(media_type_of(text))
        self._has_begun = self._has_begun or isinstance(start, Start)
        return start

    def parse_binary(self, data: bytes) -> Frame:
        media = Media(MediaBody(data, self._track))
        if self._has_begun:
            return media
        self._has_begun = True
        start = self._start(DEFAULT_TYPE)
        assert isinstance(start, Start)
        return StartWithMedia(start, media)

    def _start(self, media_type: str | None) -> Start | UnknownEvent:
        if media_type is None:
            return UnknownEvent("text that names no audio type")
        rate_hz = None if "rate" in media_type.lower() else DEFAULT_RATE_HZ
        return Start(StartBody(MediaFormat(media_type, rate_hz), tracks=[self._track]), self._stream_id)


def media_type_of(text: str | bytes) -> str | None:
    """Return the media type that a header names, in any of its forms; None if it names none.

    Raises:
        WireError: NOT_JSON, BAD_FIELD.
    """
    if text[:6].lower() in ("audio/", b"audio/") and len(text) <= MAX_HEADER_CHARACTERS:
        return text if isinstance(text, str) else text.decode(errors="replace")
    try:
        header = _DECODER.decode(text)
    except msgspec.ValidationError as error:
        raise WireError("BAD_FIELD", "no header of a tap") from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise not_json(error) from error
    return header if isinstance(header, str) else header.content_type or header.format


def _parser(stream_id: str, track: str) -> Parser:
    return _Tap(stream_id, track)


def _serialize(frame: CarrierFrame) -> str | bytes:
    if isinstance(frame, Start):
        return json_text({"content-type": frame.start.media_format.encoding})
    if isinstance(frame, Media):
        return frame.media.payload
    raise TypeError(f"no {type(frame).__name__} frame in this dialect")


SIGNALWIRE_TAP = Dialect("signalwire-tap", Playback.NONE, _parser, _serialize, has_stop=False)
