"""What frames say of a call and what happened in it, as JSON values for the host and the sidecar."""

from __future__ import annotations

from typing import Any

import msgspec

from media.ws.messages import (
    Connected,
    Dtmf,
    Error,
    Frame,
    Mark,
    StartBody,
    StartWithMedia,
    UnknownEvent,
    ascii_excerpt,
)  # fmt: skip
from media.ws.reject import WsReject
from strep.header import Direction

DIRECTIONS = {"inbound": Direction.INBOUND, "outbound": Direction.OUTBOUND}
"""Track names; any other is not guessed."""
_IDENTITY = (
    "user_id", "call_control_id", "call_session_id", "to", "tags", "client_state", "custom_parameters", "call_sid",
    "account_sid", "call_uuid", "account_id",
)  # fmt: skip
MAX_TEXT_CHARACTERS = 1000
"""Of a text in an event, which is kept as long as the call; what is longer ends in three dots."""
MAX_DEPTH = 3
"""Levels of nesting that identity keeps; what is deeper becomes JSON text."""


def event(frame: Dtmf | Mark | Error) -> dict[str, Any]:
    """Return the frame as the sidecar and applications get it: flat, and of bounded size."""
    said: dict[str, Any] = {"event": type(frame).__name__.lower(), "sequence_number": frame.sequence_number}
    if isinstance(frame, Dtmf):
        said |= {"digit": frame.dtmf.digit, "occurred_at": frame.occurred_at}
        track = frame.dtmf.track if frame.dtmf.track in DIRECTIONS else None
        said |= {"track": track, "duration_ms": frame.dtmf.duration_ms}
    elif isinstance(frame, Mark):
        said |= {"name": frame.mark.name}
    else:
        said |= {"code": frame.body.code, "title": frame.body.title, "detail": frame.body.detail}
    return {name: _short(value) for name, value in said.items() if value is not None}


def _short(value: Any) -> Any:
    is_long = isinstance(value, str) and len(value) > MAX_TEXT_CHARACTERS
    return value[: MAX_TEXT_CHARACTERS - 3] + "..." if is_long else value


def identity(body: StartBody) -> dict[str, Any]:
    """Return what the start frame says of the call, without the format."""
    said = {name: getattr(body, name) for name in _IDENTITY} | {"from": body.from_}
    return {name: _shallow(value, MAX_DEPTH) for name, value in said.items() if value is not None}


def _shallow(value: Any, depth: int) -> Any:
    """Return a JSON value whose nesting is bounded, so that no consumer has to fear it."""
    if not isinstance(value, dict | list):
        return value
    if not depth:
        return msgspec.json.encode(value).decode()
    if isinstance(value, dict):
        return {key: _shallow(item, depth - 1) for key, item in value.items()}
    return [_shallow(item, depth - 1) for item in value]


def announced_tracks(tracks: Any) -> tuple[Direction, ...]:
    """Return the directions in a list of track names; empty if it is no list."""
    if not isinstance(tracks, list):
        return ()
    return tuple(sorted({DIRECTIONS[track] for track in tracks if track in ("inbound", "outbound")}))


def detail_of(frame: Frame, reject: WsReject) -> str:
    """Return what is worth telling of a frame that was not taken."""
    if isinstance(frame, UnknownEvent):
        return ascii_excerpt(frame.event)
    if reject is WsReject.OTHER_STREAM and not isinstance(frame, Connected | StartWithMedia):
        return f"{type(frame).__name__.lower()} of {ascii_excerpt(frame.stream_id)}"
    return ""
