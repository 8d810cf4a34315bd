"""`Dialect`: all that is different between carriers, as one record."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgspec

from media.ws.messages import CarrierFrame, Frame

Parse = Callable[[str | bytes], Frame]
"""One message from the network, text as str and binary as bytes, to a frame.

Raises `WireError` with the name of a `WsReject` (NOT_JSON, BAD_FIELD, BINARY), and nothing else.
"""


class Playback(Enum):
    """What the carrier takes to be played into the call."""

    NONE = "nothing"
    RTP = "raw payloads"
    MP3_OR_RTP = "MP3 files, or raw payloads, as the stream was asked for"


@dataclass(frozen=True)
class Dialect:
    """How one carrier writes.

    What is sent needs the stream's id as the carrier spelled it, see `StreamStart.stream_id_as_sent`; dialects
    that want none ignore it. A dialect without one of the optional three has no such frame.

    Attributes:
        name: in lower case, as a path has it.
        playback: what may be sent in `media`.
        parser: makes the `Parse` of one connection, from (a stream_id, a track) for dialects that say neither.
        serialize: a frame as the carrier sends it, for tests and simulation; `parser` is its inverse.
        media: (stream_id, payload) to a message that plays the payload.
        mark: (stream_id, name) to a message that comes back when all before it has been played.
        clear: (stream_id) to a message that makes the carrier forget what it has not played yet.
        dtmf: (stream_id, digit) to a message that sends a digit into the call.
    """

    name: str
    playback: Playback
    parser: Callable[[str, str], Parse]
    serialize: Callable[[CarrierFrame], str | bytes]
    media: Callable[[str, bytes], str] | None = None
    mark: Callable[[str, str], str] | None = None
    clear: Callable[[str], str] | None = None
    dtmf: Callable[[str, str], str] | None = None

    @property
    def path(self) -> str:
        """The path that chooses it."""
        return f"/{self.name}"


def base64_text(payload: bytes) -> str:
    """Return `payload` as standard base64 (RFC 4648 section 4), fit for a JSON string as it is."""
    return b64encode(payload).decode()


def json_text(document: dict[str, Any]) -> str:
    """Return `document` as one message of JSON text."""
    return msgspec.json.encode(document).decode()
