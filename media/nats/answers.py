"""What the server answers to a message or to a question for the last message of a subject.

JSON of JetStream's API: `io.nats.jetstream.api.v1.pub_ack_response` and `...stream_msg_get_response`, as
https://github.com/nats-io/jsm.go/tree/main/schemas has them.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

from media.nats.names import Place, place_of

_NO_MESSAGE = 10037
_ID_HEADER = "nats-msg-id"


@dataclass(frozen=True, slots=True)
class Stored:
    """The stream has the message; it is on disk there as far as the stream's configuration goes."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The stream has it not; or there is no stream, and then `is_gone`."""

    reason: str
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class Last:
    """The last message of a subject is this; None: there is none, or it is not one of ours."""

    place: Place | None


Answer = Stored | Refused | Last
STORED = Stored()


def parse_answer(data: bytes, status: str = "") -> Answer:
    """Return what an answer means.

    Args:
        data: its body; bytes of the network.
        status: the status of its header, if it has one: 503 is said by the server when nobody listens.
    """
    if status or not data:
        return Refused(
            f"nobody answers (status {status or 'none'}): no such stream, or JetStream is off", is_gone=True
        )
    if b'"error"' not in data and b'"seq"' in data and b'"message"' not in data:
        return STORED
    try:
        said: dict[str, Any] = json.loads(data)
        error = said.get("error")
        if error is not None:
            if error.get("err_code") == _NO_MESSAGE:
                return Last(None)
            return Refused(f"{error.get('description', 'error')} ({error.get('err_code', error.get('code'))})")
        return Last(_place_in(base64.b64decode(said["message"].get("hdrs", ""), validate=True)))
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as failure:
        return Refused(f"an answer that is none: {failure}")


def _place_in(headers: bytes) -> Place | None:
    for line in headers.decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == _ID_HEADER:
            return place_of(value.strip())
    return None
