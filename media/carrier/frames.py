"""The carrier's side of Telnyx media streaming: JSON text frames as documented and as met.

Where documents disagree the `WebSocketOptions` choose: counters as strings or numbers, two names for a
codec, two shapes of an error frame. See `media.carrier.stream` for what is sent when.
"""

from __future__ import annotations

import json
from binascii import b2a_base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from media.carrier.options import WebSocketOptions
from strep.g711 import SAMPLE_RATE_HZ, Codec

TOKEN_HEADER = "x-telnyx-streaming-auth-token"
VERSION = "1.0.0"
MIME_TYPES = {Codec.PCMU: "audio/x-mulaw", Codec.PCMA: "audio/x-alaw"}

UNKNOWN_ERROR = 100002
MALFORMED_FRAME = 100003
INVALID_MEDIA = 100004
RATE_LIMIT_REACHED = 100005
ERROR_TITLES = {
    UNKNOWN_ERROR: "unknown_error",
    MALFORMED_FRAME: "malformed_frame",
    INVALID_MEDIA: "invalid_media",
    RATE_LIMIT_REACHED: "rate_limit_reached",
}

_FIRST_OCCURRENCE = datetime(2026, 2, 3, 10, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class StreamIdentity:
    """The names of one stream.

    Attributes:
        stream_id: UUID text.
        call_control_id: opaque.
        call_session_id: UUID text.
        user_id: UUID text.
        call: number of the call, sent as the custom parameter ``call``.
    """

    stream_id: str
    call_control_id: str
    call_session_id: str
    user_id: str
    call: int


class FrameWriter:
    """Serialises the frames of one stream."""

    def __init__(self, identity: StreamIdentity, codec: Codec, options: WebSocketOptions) -> None:
        self._identity, self._codec, self._options = identity, codec, options
        self._quote = '"' if options.numbers_as_strings else ""

    def _number(self, value: int) -> str | int:
        return str(value) if self._options.numbers_as_strings else value

    def _frame(self, event: str, sequence_number: int, **fields: Any) -> str:
        stream_id = self._identity.stream_id
        head = {"event": event, "sequence_number": self._number(sequence_number), "stream_id": stream_id}
        return json.dumps(head | fields)

    def connected(self) -> str:
        """Return the first frame of a socket, with the token if there is one."""
        frame: dict[str, Any] = {"event": "connected", "version": VERSION}
        if self._options.auth_token:
            frame["connected"] = {TOKEN_HEADER: self._options.auth_token}
        return json.dumps(frame)

    def start(self, sequence_number: int) -> str:
        """Return the frame that names the call and the format."""
        identity = self._identity
        encoding = MIME_TYPES[self._codec] if self._options.mime_encoding else self._codec.name
        start: dict[str, Any] = {
            "user_id": identity.user_id,
            "call_control_id": identity.call_control_id,
            "call_session_id": identity.call_session_id,
            "from": f"+1555{identity.call:07d}",
            "to": "+15550100",
            "tags": ["simulated"],
            "client_state": None,
            "custom_parameters": {"call": str(identity.call)},
            "media_format": {"encoding": encoding, "sample_rate": SAMPLE_RATE_HZ, "channels": 1},
        }
        if self._options.oddities:
            start["field_of_the_future"] = {"nested": [1, 2, 3]}
        return self._frame("start", sequence_number, start=start)

    def media(self, sequence_number: int, track: str, chunk: int, timestamp: int, payload: bytes) -> str:
        """Return a media frame; the only one that is written often, hence without `json`."""
        quote = self._quote
        return (
            f'{{"event":"media","sequence_number":{quote}{sequence_number}{quote},'
            f'"stream_id":"{self._identity.stream_id}","media":{{"track":"{track}",'
            f'"chunk":{quote}{chunk}{quote},"timestamp":{quote}{timestamp}{quote},'
            f'"payload":"{b2a_base64(payload, newline=False).decode("ascii")}"}}}}'
        )

    def dtmf(self, sequence_number: int, digit: str, offset_ns: int) -> str:
        """Return a key press, `offset_ns` after an arbitrary moment."""
        occurred_at = _FIRST_OCCURRENCE + timedelta(microseconds=offset_ns // 1000)
        text = occurred_at.isoformat(timespec="microseconds").replace("+00:00", "Z")
        return self._frame("dtmf", sequence_number, occurred_at=text, dtmf={"digit": digit})

    def mark(self, sequence_number: int, name: str) -> str:
        """Return a mark: the audio sent before it has been played."""
        return self._frame("mark", sequence_number, mark={"name": name})

    def error(self, code: int, detail: str) -> str:
        """Return an error frame of the present shape, which has no sequence number."""
        payload = {"code": code, "title": ERROR_TITLES[code], "detail": detail}
        return json.dumps({"event": "error", "stream_id": self._identity.stream_id, "payload": payload})

    def old_error(self, sequence_number: int, code: int, detail: str) -> str:
        """Return an error frame of the shape documented from 2022 to 2024."""
        error = {"title": ERROR_TITLES[code], "code": str(code), "detail": detail}
        return self._frame("error", sequence_number, error=error)

    def unknown(self, sequence_number: int, body: Mapping[str, Any]) -> str:
        """Return a frame of a kind that no document names."""
        return self._frame("weather", sequence_number, weather=dict(body))

    def stop(self, sequence_number: int) -> str:
        """Return the last frame."""
        identity = self._identity
        stop = {"user_id": identity.user_id, "call_control_id": identity.call_control_id}
        return self._frame("stop", sequence_number, stop=stop)
