"""Our server under observation: what `benchmarks.contenders.recording` is, and questions may be put to it.

The latency probe costs a little (a sink more, and a few microseconds per batch), so what a packet costs is measured
without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.kernel import RECEIVE_BUFFER_BYTES, own_buffer
from benchmarks.probe import Probe, Tap, save
from benchmarks.receiver import ObservedOptions
from media.config import Endpoint, ServerConfig
from media.serve import freeze_heap, loop_factory
from media.server import Server


class Observed:
    """A recording server that says how it is."""

    def __init__(self, argument: str, directory: Path) -> None:
        """Record into `directory`; `argument` is `ObservedOptions` in JSON."""
        options = msgspec.json.decode(argument, type=ObservedOptions)
        config = ServerConfig(
            udp=Endpoint("127.0.0.1", 0),
            record=directory,
            receive_buffer_bytes=RECEIVE_BUFFER_BYTES,
            idle_timeout_s=options.idle_timeout_s,
        )
        self._directory = directory
        self._probe, self._tap = Probe(), Tap(max(options.probe_one_in, 1))
        self._is_probing = options.probe_one_in > 0
        self._config = config
        self._server: Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, ready: Callable[[int], None]) -> None:
        """Receive until `stop`, then end all calls and finish all files."""
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(self._run(ready))

    async def _run(self, ready: Callable[[int], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._server = Server(self._config, [self._probe] if self._is_probing else [])
        if self._is_probing:
            self._tap.listen(self._server.strep)
        async with self._server as server:
            port = int(server.addresses["udp"].rpartition(":")[2])
            own_buffer(port)
            ready(port)
            freeze_heap()
            await server.wait_closed()

    def stop(self) -> None:
        """End `run`."""
        assert self._loop is not None
        assert self._server is not None
        self._loop.call_soon_threadsafe(self._server.stop)

    def received(self) -> int:
        """Return the datagrams so far."""
        return self._server.strep.datagrams if self._server else 0

    def status(self) -> dict[str, Any]:
        """Return the server's totals of this moment."""
        return self._server.snapshot() if self._server else {}

    def evidence(self) -> dict[str, Any]:
        """Return the server's last totals, and where the ages of blocks are."""
        totals = self.status()
        if self._is_probing:
            path = self._directory / "ages.npy"
            save(self._probe, self._tap, path)
            totals["ages"] = str(path)
        return totals
