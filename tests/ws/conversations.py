"""A conversation that conserves its messages."""

from __future__ import annotations

from typing import Any

from media.admission.tokens import Verdict
from media.ws.host import Handshake
from media.ws.options import ConnectionOptions
from media.ws.protocol import MediaStreamConnection
from media.ws.reject import WsReject
from media.ws.states import State
from tests.ws.fakes import FakeHost, connected, start


class Conversation:
    """A connection and its host; conservation is checked after every message."""

    def __init__(self, host: FakeHost | None = None, **options: Any) -> None:
        self.host = host or FakeHost()
        handshake = Handshake("192.0.2.1 port 5", "/media?t=1", options.pop("credentials", ()))
        judge = options.pop("judge", lambda handshake, shown, stream_id: Verdict.GOOD)
        self.connection = MediaStreamConnection(self.host, 0, handshake, ConnectionOptions(**options), judge=judge)
        self.now_ns = 0
        self.close: tuple[int, str] | None = None

    def send(self, *messages: str | bytes) -> Conversation:
        for message in messages:
            before = self.connection.snapshot().received
            self.close = self.connection.receive(message, self.now_ns)
            after = self.connection.snapshot()
            assert after.received == before + 1
            assert after.received == after.accepted + sum(after.rejected.values())
        return self

    @property
    def state(self) -> State:
        return self.connection.snapshot().state

    @property
    def rejected(self) -> dict[WsReject, int]:
        return self.connection.snapshot().rejected


def streaming(**options: Any) -> Conversation:
    return Conversation(**options).send(connected(), start())
