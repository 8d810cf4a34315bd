"""The frames of a media stream, and how Telnyx writes them (``streaming_start``): parse and serialize, nothing else.

These structures are what every dialect's frames become; see `media.ws.dialects` for what others write differently.

::

    {"event": "connected", "version": "1.0.0"}
    {"event": "start", "sequence_number": "1", "stream_id": "<uuid>", "start": {..., "media_format": {...}}}
    {"event": "media", "sequence_number": "4", "stream_id": "<uuid>",
     "media": {"track": "inbound", "chunk": "2", "timestamp": "5", "payload": "<base64>"}}
    {"event": "dtmf" | "mark" | "error", ...}
    {"event": "stop", "sequence_number": "5", "stream_id": "<uuid>", "stop": {...}}

Rules of this dialect, all of them tolerant where the documents disagree with one another:

* Counters and timestamps are integers from 0 to 2**63 - 1, as JSON strings or as JSON numbers (``4.0`` is the
  number 4); null or absent is "not said".
* Unknown fields are ignored; an unknown event is an `UnknownEvent` and no error.
* An error frame has its body under ``error`` (code a string) or under ``payload`` (code a number).
* What only describes the call (``from``, ``tags``, ...) is passed on unjudged: no stream fails over it.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec

from strep.errors import WireError

Counter = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]

MAX_QUOTED_CHARACTERS = 80
"""How much of a peer's text an error message repeats."""


class _Frame(msgspec.Struct, tag_field="event", tag=str.lower, frozen=True, gc=False, omit_defaults=True):
    """What all frames share; ``gc=False`` is sound because a parsed frame holds no cycle."""


class Connected(_Frame, frozen=True):
    """The first frame on a socket; the token is found nested (documented) or at the top level (seen)."""

    version: str | None = None
    connected: dict[str, Any] | None = None
    top_level_token: str | None = msgspec.field(default=None, name="x-telnyx-streaming-auth-token")

    @property
    def auth_token(self) -> str | None:
        """The ``stream_auth_token`` of the request, if the carrier repeats it here."""
        nested = (self.connected or {}).get("x-telnyx-streaming-auth-token")
        return nested if isinstance(nested, str) else self.top_level_token


class MediaFormat(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """How the payloads are encoded; see `media.ws.encodings` for what is served."""

    encoding: str = ""
    sample_rate: Counter | None = None
    channels: Counter | None = None


class StartBody(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What the carrier says of the call; everything but the format is passed on as it is."""

    media_format: MediaFormat = MediaFormat()
    user_id: Any = None
    call_control_id: Any = None
    call_session_id: Any = None
    from_: Any = msgspec.field(default=None, name="from")
    to: Any = None
    tags: Any = None
    client_state: Any = None
    custom_parameters: Any = None
    tracks: Any = None
    call_sid: Any = None
    account_sid: Any = None
    call_uuid: Any = None
    account_id: Any = None


class Start(_Frame, frozen=True):
    """The stream begins."""

    start: StartBody
    stream_id: str | None = None
    sequence_number: Counter | None = None


class MediaBody(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One chunk of one track: raw audio, no RTP header."""

    payload: bytes
    track: str | None = None
    chunk: Counter | None = None
    timestamp: Counter | None = None


class Media(_Frame, frozen=True):
    """Audio."""

    media: MediaBody
    stream_id: str | None = None
    sequence_number: Counter | None = None


class DtmfBody(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A digit; which track ("inbound", "outbound") it was heard on, or for how long, only some dialects tell."""

    digit: str
    track: str | None = None
    duration_ms: Counter | None = None


class Dtmf(_Frame, frozen=True):
    """A key was pressed; ``occurred_at`` (ISO 8601) orders digits, frames may come out of order."""

    dtmf: DtmfBody
    occurred_at: str | None = None
    stream_id: str | None = None
    sequence_number: Counter | None = None


class MarkBody(msgspec.Struct, frozen=True, gc=False):
    """The name that was sent with a mark."""

    name: str


class Mark(_Frame, frozen=True):
    """What was sent before the mark of this name has been played or cleared."""

    mark: MarkBody
    stream_id: str | None = None
    sequence_number: Counter | None = None


class ErrorBody(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """100002 unknown_error, 100003 malformed_frame, 100004 invalid_media, 100005 rate_limit_reached."""

    code: int | str | None = None
    title: str | None = None
    detail: str | None = None


class Error(_Frame, frozen=True):
    """The carrier complains about a frame that it received."""

    error: ErrorBody | None = None
    payload: ErrorBody | None = None
    stream_id: str | None = None
    sequence_number: Counter | None = None

    @property
    def body(self) -> ErrorBody:
        """Whichever of the two documented shapes it came in, with a code of digits as a number."""
        body = self.error or self.payload or ErrorBody()
        if isinstance(body.code, str) and re.fullmatch("[0-9]{1,9}", body.code):
            return msgspec.structs.replace(body, code=int(body.code))
        return body


class Stop(_Frame, frozen=True):
    """The stream ends; whatever the body says, it ends."""

    stop: Any = None
    stream_id: str | None = None
    sequence_number: Counter | None = None


class StartWithMedia(msgspec.Struct, frozen=True, gc=False):
    """The first audio of a stream that has no start frame: what a start frame would have said, and the audio."""

    start: Start
    media: Media


class UnknownEvent(msgspec.Struct, frozen=True, gc=False):
    """A well-formed frame of an event that this dialect does not have; it has used up a sequence number."""

    event: str
    sequence_number: Any = None


CarrierFrame = Connected | Start | Media | Dtmf | Mark | Error | Stop
Frame = CarrierFrame | StartWithMedia | UnknownEvent

_KNOWN_EVENTS = frozenset({"connected", "start", "media", "dtmf", "mark", "error", "stop"})
_EVENT_DECODER = msgspec.json.Decoder(UnknownEvent)
# strict=False reads integers from strings; the bytes of a payload are decoded from base64 in the same pass.
_DECODER: msgspec.json.Decoder[CarrierFrame] = msgspec.json.Decoder(CarrierFrame, strict=False)


def parse(message: str | bytes) -> Frame:
    """Parse one message from the network.

    Raises:
        WireError: NOT_JSON (also: not UTF-8, nested too deeply) or BAD_FIELD; nothing else is raised.
    """
    try:
        return _DECODER.decode(message)
    except msgspec.ValidationError as error:
        return parse_unknown(message, error)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise not_json(error) from error


def not_json(error: Exception) -> WireError:
    """Return what to raise when a decoder says that a message is no JSON."""
    return WireError("NOT_JSON", _quote(str(error)))


def parse_unknown(
    message: str | bytes,
    error: msgspec.ValidationError,
    decoder: msgspec.json.Decoder[UnknownEvent] = _EVENT_DECODER,
    known: frozenset[str] = _KNOWN_EVENTS,
) -> UnknownEvent:
    """Tell an unknown event from a `known` one with a wrong field, which is `error`.

    Raises:
        WireError: BAD_FIELD.
    """
    try:
        frame = decoder.decode(message)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise WireError("BAD_FIELD", _quote(str(error))) from error
    if frame.event in known:
        raise WireError("BAD_FIELD", _quote(str(error))) from error
    number = str(frame.sequence_number)
    return UnknownEvent(frame.event, int(number) if re.fullmatch("[0-9]{1,18}", number) else None)


def serialize(frame: CarrierFrame) -> bytes:
    """Return the frame as the carrier sends it, counters as strings; the inverse of `parse`."""
    document: dict[str, Any] = msgspec.to_builtins(frame)
    for part in (document, document.get("media", {})):
        for name in ("sequence_number", "chunk", "timestamp"):
            if name in part:
                part[name] = str(part[name])
    return msgspec.json.encode(document)


def _quote(text: str) -> str:
    """Return a peer's text fit for a log line: one line, ASCII, bounded."""
    shown = text if len(text) <= MAX_QUOTED_CHARACTERS else text[: MAX_QUOTED_CHARACTERS - 3] + "..."
    return shown.encode("ascii", "backslashreplace").decode().replace("\r", "\\r").replace("\n", "\\n")


def ascii_excerpt(value: str | None) -> str:
    """Return a peer's value quoted for a log line: one line, ASCII, bounded."""
    if value is None or len(value) <= MAX_QUOTED_CHARACTERS:
        return ascii(value)
    return ascii(value[:MAX_QUOTED_CHARACTERS]) + "..."


_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.:-]{0,127}")


def normalise_stream_id(stream_id: str) -> str:
    """Return `stream_id` in the form that compares: a UUID in lower case, anything else as it is."""
    return stream_id.lower() if _UUID.fullmatch(stream_id) else stream_id


def is_usable_stream_id(stream_id: str) -> bool:
    """Tell whether `stream_id` may name a stream, and so a file: 1 to 128 characters of ``A-Za-z0-9_.:-``."""
    return _NAME.fullmatch(stream_id) is not None
