"""Servers that a page looks at: one process, or a supervisor with workers; what they spend, and what they get."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from media.config import Endpoint, LogConfig, ServerConfig
from media.server import Server
from media.workers.supervisor import Supervisor

PACKETS_PER_CALL_PER_S = 100
"""Of both directions, 20 ms each."""


class Looked(Protocol):
    """A server.

    Attributes:
        addresses: of its doors.
    """

    addresses: dict[str, Any]

    def calls(self) -> int:
        """Return how many are live."""

    def spent_s(self) -> float:
        """Return the processor time of all its processes so far."""

    def packets(self) -> int:
        """Return how many have come so far."""


class OneProcess(Looked):
    """See `Looked`; it is this process."""

    def __init__(self, server: Server) -> None:
        """Look at a server that runs."""
        self._server, self.addresses = server, server.addresses

    def calls(self) -> int:
        """See `Looked`."""
        return len(self._server.engine.calls)

    def spent_s(self) -> float:
        """See `Looked`."""
        return time.process_time()

    def packets(self) -> int:
        """See `Looked`."""
        return self._server.doors.strep.datagrams


class Workers(Looked):
    """See `Looked`; the supervisor is this process, which has no other children yet.

    Workers report once a second: packets are those that are due.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        """Look at workers that run."""
        self._supervisor, self.addresses = supervisor, supervisor.addresses
        children = [path.read_text().split() for path in Path("/proc/self/task").glob("*/children")]
        self._stats = [Path(f"/proc/{pid}/stat") for pids in children for pid in pids]

    def calls(self) -> int:
        """See `Looked`."""
        return int(self._supervisor.totals.snapshot().get("calls", 0))  # none has reported yet

    def spent_s(self) -> float:
        """See `Looked`."""
        ticks = [sum(map(int, stat.read_text().rpartition(")")[2].split()[11:13])) for stat in self._stats]
        return time.process_time() + sum(ticks) / os.sysconf("SC_CLK_TCK")

    def packets(self) -> int:
        """See `Looked`."""
        return round(self.calls() * PACKETS_PER_CALL_PER_S * time.monotonic())


@asynccontextmanager
async def serving(workers: int) -> AsyncIterator[Looked]:
    """Receive calls and show them, in so many processes."""
    loopback = Endpoint("127.0.0.1", 0)
    config = ServerConfig(udp=loopback, http=loopback)
    if workers == 1:
        async with Server(config) as server:
            yield OneProcess(server)
        return
    async with Supervisor(config, LogConfig(level="warning"), workers) as supervisor:
        yield Workers(supervisor)
