"""TryVox's VoxML ``Stream``: flat frames, no ``connected``, no chunk or sequence number.

::

    {
        "event": "start",
        "stream_id": "...",
        "call_uuid": "...",
        "account_id": "...",
        "from": "...",
        "to": "...",
        "custom_parameters": {},
    }
    {"event": "media", "stream_id": "...", "track": "inbound", "payload": "<base64>", "timestamp": 20}
    {"event": "stop", "stream_id": "..."}

The public document ends there: the codec (taken for PCMU at 8000 Hz where no ``media_format`` says otherwise), the
stop frame and what may be sent back are not told, so nothing is sent.
"""

from __future__ import annotations

from typing import Any

import msgspec

from media.ws import messages
from media.ws.dialects.decoding import FrameDecoder, WireFrame
from media.ws.dialects.dialect import Dialect, Parser, Playback, TextParser, json_text
from media.ws.messages import CarrierFrame, Counter, MediaBody, MediaFormat, UnknownEvent

DEFAULT_FORMAT = MediaFormat("PCMU", 8000, 1)


class _Frame(WireFrame, tag_field="event", tag=str.lower, frozen=True, gc=False, omit_defaults=True):
    """What all frames share."""


class Start(_Frame, frozen=True):
    """The stream begins."""

    stream_id: str | None = None
    call_uuid: Any = None
    account_id: Any = None
    from_: Any = msgspec.field(default=None, name="from")
    to: Any = None
    custom_parameters: Any = None
    media_format: MediaFormat = DEFAULT_FORMAT

    def common(self) -> CarrierFrame:
        """Return the frame that all dialects share."""
        body = messages.StartBody(
            self.media_format,
            from_=self.from_,
            to=self.to,
            custom_parameters=self.custom_parameters,
            call_uuid=self.call_uuid,
            account_id=self.account_id,
        )
        return messages.Start(body, self.stream_id)


class Media(_Frame, frozen=True):
    """Audio."""

    payload: bytes
    stream_id: str | None = None
    track: str | None = None
    timestamp: Counter | None = None

    def common(self) -> CarrierFrame:
        """Return the frame that all dialects share."""
        return messages.Media(MediaBody(self.payload, self.track, None, self.timestamp), self.stream_id)


class Stop(_Frame, frozen=True):
    """The stream ends."""

    stream_id: str | None = None

    def common(self) -> CarrierFrame:
        """Return the frame that all dialects share."""
        return messages.Stop(None, self.stream_id)


_PARSER = TextParser(FrameDecoder(Start | Media | Stop, UnknownEvent).parse)


def _parser(stream_id: str, track: str) -> Parser:
    return _PARSER


def _serialize(frame: CarrierFrame) -> str:
    if isinstance(frame, messages.Start):
        body = frame.start
        said = Start(
            frame.stream_id,
            body.call_uuid,
            body.account_id,
            body.from_,
            body.to,
            body.custom_parameters,
            body.media_format,
        )
        return json_text(msgspec.to_builtins(said))
    if isinstance(frame, messages.Media):
        media = frame.media
        return json_text(msgspec.to_builtins(Media(media.payload, frame.stream_id, media.track, media.timestamp)))
    if isinstance(frame, messages.Stop):
        return json_text(msgspec.to_builtins(Stop(frame.stream_id)))
    raise TypeError(f"no {type(frame).__name__} frame in this dialect")


TRYVOX = Dialect("tryvox", Playback.NONE, _parser, _serialize)
