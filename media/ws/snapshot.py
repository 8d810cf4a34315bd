"""`ConnectionSnapshot`: the counters of one connection at one moment."""

from __future__ import annotations

from dataclasses import dataclass

from media.ws.reject import WsReject
from media.ws.states import State


@dataclass(frozen=True, slots=True)
class ConnectionSnapshot:
    """Counters of one connection: ``received == accepted + sum(rejected.values())``; `sent` messages went back."""

    state: State
    stream_id: str
    received: int
    accepted: int
    rejected: dict[WsReject, int]
    sent: int = 0
