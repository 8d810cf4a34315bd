"""Our server as a contender, whatever it is configured to do: as ``strep serve`` makes it, and asked from outside."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.kernel import own_buffer
from media.config import ServerConfig
from media.runtime import freeze_heap, loop_factory
from media.server import Server
from media.sinks.contract import Sink


class OwnServer:
    """A server with one door, on uvloop where that is installed."""

    def __init__(
        self, config: ServerConfig, sinks: Iterable[Sink] = (), on_made: Callable[[Server], None] | None = None
    ) -> None:
        """Prepare; `on_made` gets the server before it listens."""
        self._config, self._sinks, self._on_made = config, sinks, on_made
        self._server: Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, ready: Callable[[int], None]) -> None:
        """Receive until `stop`, then end all calls and finish all files."""
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(self._run(ready))

    async def _run(self, ready: Callable[[int], None]) -> None:
        self._loop, self._server = asyncio.get_running_loop(), Server(self._config, self._sinks)
        if self._on_made is not None:
            self._on_made(self._server)
        async with self._server as server:
            door = "udp" if self._config.udp is not None else "ws"
            port = int(server.addresses[door].rpartition(":")[2])
            if door == "udp":
                own_buffer(port)
            await self._until_ready(server)
            ready(port)
            freeze_heap()
            await server.wait_closed()

    async def _until_ready(self, server: Server) -> None:
        """Wait for what the measurement needs beside the server."""

    def stop(self) -> None:
        """End `run`."""
        assert self._loop is not None
        assert self._server is not None
        self._loop.call_soon_threadsafe(self._server.stop)

    def received(self) -> int:
        """Return the datagrams or the media frames so far."""
        if self._server is None:
            return 0
        return (
            self._server.doors.strep.datagrams if self._config.udp is not None else self._server.doors.stream.frames
        )

    def status(self) -> dict[str, Any]:
        """Return the server's totals of this moment."""
        return self._server.snapshot() if self._server is not None else {}

    def evidence(self) -> dict[str, Any]:
        """Return the server's last totals; the rest of the evidence is in the files."""
        return self.status()
