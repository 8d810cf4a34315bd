"""`Dialect`: all that is different between carriers, as one record."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import msgspec

from media.ws.messages import CarrierFrame, Frame
from strep.errors import WireError


class Parser(Protocol):
    """From one connection's messages to frames.

    Both raise `WireError` with the name of a `WsReject` (NOT_JSON, BAD_FIELD, BINARY), and nothing else.
    """

    @property
    def parse(self) -> Callable[[str | bytes], Frame]:
        """Parses a text message, given as str or in UTF-8."""

    def parse_binary(self, data: bytes) -> Frame:
        """Parse a binary message."""


class TextParser:
    """The parser of a dialect that is all text and has no memory.

    Attributes:
        parse: see `Parser`.
    """

    def __init__(self, parse: Callable[[str | bytes], Frame]) -> None:
        """Parse texts with `parse`."""
        self.parse = parse

    def parse_binary(self, data: bytes) -> Frame:
        """Refuse it."""
        raise WireError("BINARY", f"{len(data)} bytes")


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
        parser: makes the `Parser` of one connection, from (a stream_id, a track) for dialects that say neither.
        serialize: a frame as the carrier sends it, for tests and simulation; `parser` is its inverse.
        media: (stream_id, payload) to a message that plays the payload.
        mark: (stream_id, name) to a message that comes back when all before it has been played.
        clear: (stream_id) to a message that makes the carrier forget what it has not played yet.
        dtmf: (stream_id, digit) to a message that sends a digit into the call.
        has_stop: the carrier says when a stream is over; else its socket closes, and that is no trouble.
    """

    name: str
    playback: Playback
    parser: Callable[[str, str], Parser]
    serialize: Callable[[CarrierFrame], str | bytes]
    media: Callable[[str, bytes], str] | None = None
    mark: Callable[[str, str], str] | None = None
    clear: Callable[[str], str] | None = None
    dtmf: Callable[[str, str], str] | None = None
    has_stop: bool = True

    @property
    def path(self) -> str:
        """The path that chooses it."""
        return f"/{self.name}"


def base64_text(payload: bytes) -> str:
    """Return `payload` as standard base64 (RFC 4648 section 4), fit for a JSON string as it is."""
    return b2a_base64(payload, newline=False).decode()


def json_text(document: dict[str, Any]) -> str:
    """Return `document` as one message of JSON text."""
    return msgspec.json.encode(document).decode()
