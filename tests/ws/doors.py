"""A running server with a fake host, and how a client sees its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from media.ws.options import WsServerOptions
from media.ws.server import MediaWebSocketServer
from strep.clock import Clock
from tests.patience import PATIENCE_S
from tests.ws.fakes import FakeHost

PATIENT = WsServerOptions(ping_interval_s=3600, ping_timeout_s=3600)


class Door:
    """A running server and its host."""

    def __init__(self, options: WsServerOptions, clock: Clock | None = None) -> None:
        self.host = FakeHost()
        self.server = MediaWebSocketServer(self.host, options, clock)
        self.address, self.port = "", 0

    @property
    def url(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"ws://{host}:{self.port}/media"

    async def settled(self, connections: int) -> None:
        """Wait until so many connections have been opened and closed again."""
        while sum(self.server.snapshot().closed.values()) < connections:  # noqa: ASYNC110
            await asyncio.sleep(0)  # a turn of the loop, no time


@asynccontextmanager
async def open_door(options: WsServerOptions = PATIENT, clock: Clock | None = None) -> AsyncIterator[Door]:
    door = Door(options, clock)
    async with asyncio.timeout(PATIENCE_S):  # pytest-timeout's signal does not reach uvloop
        door.address, door.port = await door.server.start()
        try:
            yield door
        finally:
            await door.server.close()
        snapshot = door.server.snapshot()
        assert snapshot.connections == 0
        assert snapshot.received == snapshot.accepted + sum(snapshot.rejected.values())
        assert all(handle.attached == 0 for handle in door.host.streams.values())


async def closing(client: ClientConnection) -> tuple[int | None, str | None]:
    """Read until the server closes, and return how it did."""
    try:
        while True:
            await client.recv()
    except ConnectionClosed:
        return client.close_code, client.close_reason
