"""Our server under observation: what `benchmarks.contenders.recording` is, and questions may be put to it.

The latency probe costs a little (a sink more, and a few microseconds per batch), so what a packet costs is measured
without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.kernel import RECEIVE_BUFFER_BYTES
from benchmarks.own import OwnServer
from benchmarks.probe import Probe, Tap, save
from media import Server
from media.config import Endpoint, ServerConfig
from media.nats.companion import NatsCompanion
from media.nats.config import NatsConfig


class ObservedOptions(msgspec.Struct, frozen=True):
    """What is different from a plain server.

    Attributes:
        probe_one_in: measure the latency of every so many-th call; 0 measures nothing.
        idle_timeout_s: as of `ServerConfig`.
        nats: URL of a server to publish to; empty publishes nothing.
    """

    probe_one_in: int = 0
    idle_timeout_s: float = 30.0
    nats: str = ""


class Observed(OwnServer):
    """A recording server that says how it is."""

    def __init__(self, argument: str, directory: Path) -> None:
        """Record into `directory`; `argument` is `ObservedOptions` in JSON."""
        options = msgspec.json.decode(argument, type=ObservedOptions)
        config = ServerConfig(
            udp=Endpoint("127.0.0.1", 0),
            record=directory,
            receive_buffer_bytes=RECEIVE_BUFFER_BYTES,
            idle_timeout_s=options.idle_timeout_s,
            nats=NatsConfig((options.nats,) if options.nats else ()),
        )
        self._directory, self._publisher_ns = directory, 0
        self._probe, self._tap = Probe(), Tap(max(options.probe_one_in, 1))
        self._is_probing = options.probe_one_in > 0
        if self._is_probing:
            super().__init__(config, [self._probe], lambda server: self._tap.listen(server.doors.strep))
        else:
            super().__init__(config)

    def run(self, ready: Callable[[int], None]) -> None:
        """Receive until `stop`; a process that publishes may run on any core."""

        def let_go(port: int) -> None:
            if (pid := self._publisher()) is not None:
                os.sched_setaffinity(pid, range(os.cpu_count() or 1))
            ready(port)

        super().run(let_go)

    async def _until_ready(self, server: Server) -> None:
        """Wait until the process that publishes has its stream: a run may be shorter than its start."""
        for companion in server.companions:
            while isinstance(companion, NatsCompanion) and not companion.snapshot().get("connected"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    def cpu_ns(self) -> int:
        """Return the processor time of the process that publishes, if there is one."""
        pid = self._publisher()
        if pid is not None:
            with contextlib.suppress(OSError):  # it has just ended
                tasks = Path(f"/proc/{pid}/task").iterdir()
                self._publisher_ns = sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)
        return self._publisher_ns

    def _publisher(self) -> int | None:
        companions = self._server.companions if self._server is not None else ()
        return next((one.pid for one in companions if isinstance(one, NatsCompanion)), None)

    def evidence(self) -> dict[str, Any]:
        """Return the server's last totals, and where the ages of blocks are."""
        totals = self.status()
        if self._is_probing:
            path = self._directory / "ages.npy"
            save(self._probe, self._tap, path)
            totals["ages"] = str(path)
        return totals
