"""Telnyx media streaming: JSON text frames as documented and as met; errors are frames of their own.

Where documents disagree the `WebSocketOptions` choose: counters as strings or numbers, two names for a
codec, two shapes of an error frame. See `media.carrier.stream` for what is sent when.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from media.carrier.dialects.contract import Dialect, Frame, FrameWriter
from media.carrier.dialects.reading import Manner, make_reader

TOKEN_HEADER = "x-telnyx-streaming-auth-token"
VERSION = "1.0.0"
MIME_TYPES = {"PCMU": "audio/x-mulaw", "PCMA": "audio/x-alaw", "L16": "audio/x-L16"}

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


class TelnyxWriter(FrameWriter):
    """Serialises the frames of one stream."""

    encodings: ClassVar = {name: name for name in ("PCMU", "PCMA", "G722", "L16", "OPUS")}

    @property
    def frames(self) -> dict[str, Frame]:
        """All that there are."""
        return {
            "start": Frame(self.start),
            "dtmf": Frame(self.dtmf),
            "mark": Frame(self.mark),
            "error": Frame(self.error, is_numbered=False),
            "old_error": Frame(self.old_error),
            "unknown": Frame(self.unknown),
            "stop": Frame(self.stop),
        }

    def _frame(self, event: str, sequence_number: int, **fields: Any) -> str:
        stream_id = self.identity.stream_id
        head = {"event": event, "sequence_number": self.number(sequence_number), "stream_id": stream_id}
        return json.dumps(head | fields)

    def connected(self) -> str:
        """Return the first frame of a socket, with the token if there is one."""
        frame: dict[str, Any] = {"event": "connected", "version": VERSION}
        if self.options.auth_token:
            frame["connected"] = {TOKEN_HEADER: self.options.auth_token}
        return json.dumps(frame)

    def start(self, sequence_number: int) -> str:
        """Return the frame that names the call and the format."""
        identity = self.identity
        encoding = self.encodings[self.codec]
        if self.options.mime_encoding:
            encoding = MIME_TYPES.get(self.codec, encoding)
        start: dict[str, Any] = {
            "user_id": identity.user_id,
            "call_control_id": identity.call_control_id,
            "call_session_id": identity.call_session_id,
            "from": f"+1555{identity.call:07d}",
            "to": "+15550100",
            "tags": ["simulated"],
            "client_state": None,
            "custom_parameters": {"call": str(identity.call)},
            "media_format": {"encoding": encoding, "sample_rate": self.sample_rate_hz, "channels": 1},
        }
        if self.options.oddities:
            start["field_of_the_future"] = {"nested": [1, 2, 3]}
        return self._frame("start", sequence_number, start=start)

    def media(self, sequence_number: int, track: str, chunk: int, timestamp: int, payload: str | bytes) -> str:
        """Return a media frame; the only one that is written often, hence without `json`."""
        quote = self.quote
        return (
            f'{{"event":"media","sequence_number":{quote}{sequence_number}{quote},'
            f'"stream_id":"{self.identity.stream_id}","media":{{"track":"{track}",'
            f'"chunk":{quote}{chunk}{quote},"timestamp":{quote}{timestamp}{quote},'
            f'"payload":"{payload!s}"}}}}'
        )

    def dtmf(self, sequence_number: int, digit: str, offset_ns: int) -> str:
        """Return a key press, `offset_ns` after an arbitrary moment."""
        occurred_at = _FIRST_OCCURRENCE + timedelta(microseconds=offset_ns // 1000)
        text = occurred_at.isoformat(timespec="microseconds").replace("+00:00", "Z")
        return self._frame("dtmf", sequence_number, occurred_at=text, dtmf={"digit": digit})

    def mark(self, sequence_number: int, name: str) -> str:
        """Return a mark."""
        return self._frame("mark", sequence_number, mark={"name": name})

    def error(self, _: int, code: int, detail: str) -> str:
        """Return an error frame of the present shape, which has no sequence number."""
        payload = {"code": code, "title": ERROR_TITLES[code], "detail": detail}
        return json.dumps({"event": "error", "stream_id": self.identity.stream_id, "payload": payload})

    def old_error(self, sequence_number: int, code: int, detail: str) -> str:
        """Return an error frame of the shape documented from 2022 to 2024."""
        error = {"title": ERROR_TITLES[code], "code": str(code), "detail": detail}
        return self._frame("error", sequence_number, error=error)

    def unknown(self, sequence_number: int) -> str:
        """Return a frame of a kind that no document names."""
        return self._frame("weather", sequence_number, weather={"sky": "clear", "degrees": 21})

    def stop(self, sequence_number: int) -> str:
        """Return the last frame."""
        identity = self.identity
        stop = {"user_id": identity.user_id, "call_control_id": identity.call_control_id}
        return self._frame("stop", sequence_number, stop=stop)


# A message needs no stream_id, and is often sent one; every stream takes audio, whatever its tracks.
reader = make_reader(Manner(one_way=None, binary=MALFORMED_FRAME, invalid=MALFORMED_FRAME, bad_audio=INVALID_MEDIA))

TELNYX = Dialect(
    writer=TelnyxWriter,
    reader=reader,
    headers=lambda token: {TOKEN_HEADER: token} if token else {},
    tracks=("inbound", "outbound"),
    takes_mp3=True,
    message_ms=(20, 30_000),
    invalid_media=INVALID_MEDIA,
)
