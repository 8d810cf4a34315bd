"""Which dialect a connection speaks: its path says so, or its first frames do, and then it stays.

At a path that names a dialect nothing else is understood. At any other, frames are read as Telnyx's until one tells:

* ``connected`` of version 0.2.0: SignalWire;
* ``start`` with a ``streamSid``: Twilio if that or the ``callSid`` has Twilio's prefix (MZ, CA), else SignalWire;
* ``start`` with a ``call_uuid`` or ``media`` with a ``payload`` at the top level: TryVox;
* ``content-type`` or ``format`` and no event: a SignalWire tap;
* any other ``start``: Telnyx.
"""

from __future__ import annotations

from typing import Any

import msgspec

from media.ws.dialects.dialect import Dialect, Parser
from media.ws.dialects.signalwire import SIGNALWIRE
from media.ws.dialects.signalwire import VERSION as SIGNALWIRE_VERSION
from media.ws.dialects.signalwire_tap import SIGNALWIRE_TAP, media_type_of
from media.ws.dialects.telnyx import TELNYX
from media.ws.dialects.tryvox import TRYVOX
from media.ws.dialects.twilio import TWILIO
from media.ws.messages import Frame
from strep.errors import WireError

DIALECTS = (TELNYX, TWILIO, SIGNALWIRE, SIGNALWIRE_TAP, TRYVOX)
_BY_PATH = {dialect.path: dialect for dialect in DIALECTS}


def dialect_of_path(path: str) -> Dialect | None:
    """Return the dialect that `path`, with or without a query, names; None if it names none."""
    return _BY_PATH.get(path.partition("?")[0].rstrip("/").lower())


class Choice:
    """The dialect of one connection, perhaps not known yet.

    Attributes:
        dialect: what it is taken for now; it does not change any more once a stream has started.
    """

    def __init__(self, path: str, stream_id: str, track: str) -> None:
        """Begin with what `path` says; the others are for `Dialect.parser`."""
        named = dialect_of_path(path)
        self.dialect = named or TELNYX
        self._about = stream_id, track
        self._is_open = named is None
        self._parser = self.dialect.parser(*self._about)

    def parse(self, text: str | bytes) -> Frame:
        """Parse a text message of a stream that has not started yet; see `Parser`."""
        if self._is_open:
            dialect = _sniff(text)
            if dialect is not None:
                self.dialect, self._is_open = dialect, False
                self._parser = dialect.parser(*self._about)
        return self._parser.parse(text)

    def parse_binary(self, data: bytes) -> Frame:
        """Parse a binary message of a stream that has not started yet."""
        return self._parser.parse_binary(data)

    def settle(self) -> Parser:
        """Return the parser for the rest of the connection: its stream starts."""
        self._is_open = False
        return self._parser


class _Clues(msgspec.Struct, frozen=True, gc=False):
    """What tells the dialects apart; any value, for nothing may fail here."""

    event: Any = None
    version: Any = None
    stream_sid: Any = msgspec.field(default=None, name="streamSid")
    call_uuid: Any = None
    payload: Any = None
    start: Any = None
    content_type: Any = msgspec.field(default=None, name="content-type")
    format: Any = None


_CLUES = msgspec.json.Decoder(_Clues)


def _sniff(message: str | bytes) -> Dialect | None:
    """Return the dialect that `message` gives away, None if it could be any."""
    try:
        clues = _CLUES.decode(message)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _sniff_header(message)
    if clues.event is None:
        return SIGNALWIRE_TAP if clues.content_type is not None or clues.format is not None else None
    if clues.event == "connected":
        return SIGNALWIRE if clues.version == SIGNALWIRE_VERSION else None
    if clues.event == "media":
        return TRYVOX if isinstance(clues.payload, str) else None
    return _sniff_start(clues) if clues.event == "start" else None


def _sniff_start(clues: _Clues) -> Dialect:
    body = clues.start if isinstance(clues.start, dict) else {}
    stream_sid = clues.stream_sid or body.get("streamSid")
    if stream_sid is not None:
        return TWILIO if _begins(stream_sid, "MZ") or _begins(body.get("callSid"), "CA") else SIGNALWIRE
    return TRYVOX if clues.call_uuid is not None and clues.start is None else TELNYX


def _sniff_header(message: str | bytes) -> Dialect | None:
    try:
        media_type = media_type_of(message)
    except WireError:
        return None
    return SIGNALWIRE_TAP if media_type is not None and media_type.lower().startswith("audio/") else None


def _begins(value: Any, prefix: str) -> bool:
    return isinstance(value, str) and value.upper().startswith(prefix)
