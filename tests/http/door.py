"""An HTTP door in front of an engine and a feed that the test moves by hand."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from media.admission.desk import LegDesk
from media.admission.legs import LegGuard
from media.config import Endpoint
from media.doors.strep import StrepDoor
from media.http.api import Api
from media.http.companion import HttpDoor
from media.http.house import OneServer
from media.page.catalogue import Catalogue
from media.page.overview import Lookout, Overview, figures_of
from media.webhooks.incoming import Incoming
from tests.control.acting import line_of
from tests.feed.room import Room
from tests.media.world import World
from tests.patience import PATIENCE_S


class Hall:
    """A door, and what is behind it.

    Attributes:
        world: the engine and the bus.
        room: the feed.
    """

    def __init__(
        self, token: str = "", incoming: Incoming | None = None, recordings: Catalogue | None = None
    ) -> None:
        self.world, self.room, self.token = World(), Room(), token
        loopback = Endpoint("127.0.0.1", 0)
        self.strep = StrepDoor(self.world.engine, LegGuard("registered"))
        self.legs = LegDesk(self.strep, self.world.clock)
        self.incoming, self.recordings = incoming, recordings
        self.door = HttpDoor(loopback, token, self._api)

    def _api(self) -> Api:
        house = OneServer(self.world.engine, self.legs, asyncio.get_running_loop())
        return Api(
            house,
            self.world.clock,
            self.room.feed,
            self.world.bus,
            self.incoming,
            lookout=Lookout(lambda: house.ask(self._look), self.world.clock),
            recordings=self.recordings,
        )

    def _look(self) -> Overview:
        return Overview(self.world.engine.snapshot(), figures_of(self.world.engine))

    @property
    def netloc(self) -> str:
        return self.door.addresses["http"]

    async def get(
        self, path: str, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> tuple[int, Any, dict[str, str]]:
        """Return status, JSON and headers of a reply."""
        request = urllib.request.Request(f"http://{self.netloc}{path}", body, headers, method=method)

        def ask() -> tuple[int, Any, dict[str, str]]:
            try:
                with urllib.request.urlopen(request, timeout=PATIENCE_S) as reply:
                    return reply.status, line_of(reply.read()), dict(reply.headers)
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, line_of(error.read()), dict(error.headers)

        return await asyncio.to_thread(ask)

    def connect(self, path: str, **headers: str) -> connect:
        """Return a connection to be: ``async with hall.connect(...) as socket``."""
        return connect(f"ws://{self.netloc}{path}", additional_headers=headers, compression=None, proxy=None)

    async def listening(self, socket: ClientConnection) -> str:
        """Wait until the server has subscribed, and return what to."""
        message = json.loads(await socket.recv())
        assert message["event"] == "subscribed"
        return str(message["selection"])


@asynccontextmanager
async def hall(
    token: str = "", incoming: Incoming | None = None, recordings: Catalogue | None = None
) -> AsyncIterator[Hall]:
    """Open a door."""
    async with asyncio.timeout(PATIENCE_S):
        found = Hall(token, incoming, recordings)
        await found.door.start()
        try:
            yield found
        finally:
            found.room.feed.close()
            await found.door.close()


async def until(condition: Callable[[], bool], step: Callable[[], object] = lambda: None) -> None:
    """Take steps, and let other threads run, until something is so."""
    while not condition():
        step()
        await asyncio.to_thread(lambda: None)
