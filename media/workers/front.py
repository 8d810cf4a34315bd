"""`FrontDesk`: what the supervisor does for all workers together: the HTTP door, announced legs, used tokens."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from media.admission.configured import memory_of
from media.config import Endpoint, ServerConfig
from media.workers.control import Answer, Happened, Listen
from media.workers.inner import InnerDoors
from strep.clock import SystemClock

if TYPE_CHECKING:
    from media.http.api import Api
    from media.http.behind import Behind
    from media.http.relayed import Relayed
    from media.workers.house import AllWorkers, Send


class FrontDesk:
    """Opened when the workers are ready, and closed behind them.

    Attributes:
        config: of the workers, once it is prepared.
        addresses: of the HTTP door, once it is open.
        inner: where workers serve that door; None where there is none.
    """

    def __init__(self, config: ServerConfig, workers: int, send: Send, alarms: Callable[[], dict[str, Any]]) -> None:
        """Prepare; `send` tells a worker something, `alarms` returns what is raised in any of them.

        Raises:
            ConfigurationError: what is configured cannot be.
        """
        self.config = config
        self.addresses: dict[str, str] = {}
        self.inner: InnerDoors | None = None
        self._given, self._workers, self._send, self._alarms = config, workers, send, alarms
        self._house: AllWorkers | None = None
        self._relayed: Relayed | None = None
        self._behind: Behind | None = None
        self._directory: Path | None = None
        self._door = None
        if config.http is not None:
            from media.http.companion import HttpDoor, incoming_of

            self._incoming = incoming_of(config)
            self._door = HttpDoor(config.http, config.http_token, self._make_api)

    def prepare(self) -> None:
        """Make what workers share; in the event loop, before they begin.

        Raises:
            OSError: it cannot be made, or what the supervisor before left cannot be read.
        """
        if self._given.state is None and self._given.ws_key_file is not None:
            self._directory = Path(tempfile.mkdtemp(prefix="strep-"))
        self.config = replace(
            self._given,
            http=Endpoint("127.0.0.1", 0) if self._door is not None else None,  # `inner`, in truth
            http_token="",
            http_recordings="off",
            actions="on" if self._given.acts else "off",
            telnyx_public_keys=(),
            state=self._given.state or self._directory,
        )
        if self._door is not None:
            from media.http.relayed import Relayed
            from media.workers.house import AllWorkers

            self._house = AllWorkers(self._workers, self._send, SystemClock(), memory_of(self._given))
            self._relayed = Relayed(self._listen)
            self.inner = InnerDoors(self._workers)

    async def open(self) -> None:
        """Open the HTTP door.

        Raises:
            OSError: its address cannot be had.
        """
        if self._door is not None:
            await self._door.start()
            self.addresses = dict(self._door.addresses)

    def end(self) -> None:
        """Take no more announcements; what asks for calls and health is answered until `close`."""
        if self._house is not None:
            self._house.is_ending = True

    async def close(self) -> None:
        """Close it; a second call does nothing."""
        if self._door is not None and self.addresses:
            self.addresses = {}
            await self._door.close()
        if self.inner is not None:
            self.inner.close()
        if self._directory is not None:
            await asyncio.to_thread(shutil.rmtree, self._directory, ignore_errors=True)

    def welcome(self, index: int) -> None:
        """Worker `index` has begun."""
        if self._house is not None:
            self._house.welcome(index)
        if self._relayed is not None:
            self._send(index, Listen(self._relayed.is_wanted))

    def bury(self, index: int) -> None:
        """Worker `index` is gone."""
        if self._house is not None:
            self._house.bury(index)

    def take(self, answer: Answer) -> None:
        """A worker has answered."""
        if self._house is not None:
            self._house.take(answer)

    def relay(self, happened: Happened) -> None:
        """A worker tells what has happened."""
        if self._relayed is not None:
            self._relayed.take(happened.events, happened.dropped)

    def _listen(self) -> None:
        if self._relayed is not None:
            for index in range(self._workers):
                self._send(index, Listen(self._relayed.is_wanted))

    def snapshot(self) -> dict[str, Any]:
        """Return counters, in the form of `Server.snapshot`."""
        if self._door is None:
            return {}
        feed = [] if self._behind is None else [{"name": "feed", "details": self._behind.snapshot()}]
        return {"companions": {self._door.name: self._door.snapshot()}, "sinks": feed}

    def _make_api(self) -> Api:
        from media.http.api import Api
        from media.http.behind import Behind
        from media.page.catalogue import catalogue_of

        assert self._house is not None
        assert self.inner is not None
        self._behind = Behind(self.inner.paths, self._house.whose)
        return Api(
            self._house,
            SystemClock(),
            behind=self._behind,
            bus=self._relayed,
            incoming=self._incoming,
            alarms=self._alarms,
            recordings=catalogue_of(self._given, SystemClock()),
        )
