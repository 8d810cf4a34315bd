"""How a WebSocket is closed: code and reason (RFC 6455 sections 5.5 and 7.4)."""

from __future__ import annotations

from typing import NamedTuple

MAX_REASON_BYTES = 123
"""A control frame has 125 bytes, two of them are the code."""


class Close(NamedTuple):
    """A close code and a reason of at most `MAX_REASON_BYTES` in UTF-8."""

    code: int
    reason: str


def close_with(code: int, reason: str) -> Close:
    """Return a `Close` whose reason fits into the frame, cut between two characters if need be."""
    return Close(code, reason.encode(errors="replace")[:MAX_REASON_BYTES].decode(errors="ignore"))
