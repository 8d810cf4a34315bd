"""What is posted: Telnyx's envelope round an event, and which events.

::

    {
        "data": {
            "record_type": "event",
            "event_type": "call.dtmf.received",
            "id": "<uuid>",
            "occurred_at": "2026-01-31T12:00:00.000000Z",
            "payload": {...},
        },
        "meta": {"attempt": 1, "delivered_to": "https://..."},
    }

``data`` is the same in every attempt, its ``id`` is the event's: whoever sees an id again has had it. The payload
has what the carrier said of the call, the fields of the vocabulary, and under ``strep`` the event in our own words.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import msgspec

from media.events.bus import Told
from media.webhooks.vocabulary import translate

MAX_IDENTITY_BYTES = 8192
"""Of what the carrier said of a call, as JSON; beyond it only its short texts are passed on."""
SHORT_CHARACTERS = 200
_ELSEWHERE = ("event_id", "occurred_at", "identity")  # of what an event says, in the envelope and the payload


class Selection:
    """Which event types are wanted: names with ``*`` for any characters, ``call.*``."""

    def __init__(self, patterns: tuple[str, ...]) -> None:
        parts = [".*".join(re.escape(piece) for piece in pattern.split("*")) for pattern in patterns]
        self._wanted = re.compile("|".join(parts))

    def __contains__(self, event_type: str) -> bool:
        """Whether events of this type are wanted."""
        return self._wanted.fullmatch(event_type) is not None


def data_of(told: Told, wanted: Selection) -> bytes | None:
    """Return ``data`` of the envelope as JSON; None if its type is not among those that are wanted."""
    said = told.to_json()
    event_type, fields = translate(said, told.call)
    if event_type not in wanted:
        return None
    ours = {name: value for name, value in said.items() if name not in _ELSEWHERE}
    payload = {"client_state": None, **_identity(told.call.identity), **fields, "strep": ours}
    data = {
        "record_type": "event",
        "event_type": event_type,
        "id": told.event_id,
        "occurred_at": said["occurred_at"],
        "payload": payload,
    }
    return msgspec.json.encode(data)


def body_of(data: bytes, attempt: int, url: str) -> bytes:
    """Return the whole envelope as JSON."""
    meta = {"attempt": attempt, "delivered_to": without_password(url)}
    return msgspec.json.encode({"data": msgspec.Raw(data), "meta": meta})


def without_password(url: str) -> str:
    """Return a URL without user and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _identity(identity: dict[str, Any]) -> dict[str, Any]:
    if len(msgspec.json.encode(identity)) <= MAX_IDENTITY_BYTES:
        return identity
    return {
        name: value for name, value in identity.items() if isinstance(value, str) and len(value) <= SHORT_CHARACTERS
    }
