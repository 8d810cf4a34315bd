"""Several workers under observation: what ``strep serve --workers N --record DIRECTORY`` is.

The supervisor lives in this process, its workers in processes of their own; processor time is that of all of them,
the spare included. How many datagrams came is known from the workers' reports, which are up to a second old.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.kernel import RECEIVE_BUFFER_BYTES, own_buffer
from media.config import Endpoint, LogConfig, ServerConfig
from media.metrics.totals import added
from media.runtime import loop_factory
from media.workers.supervisor import Supervisor

_GAUGES = ("calls", "tracks")


class Supervised:
    """A supervisor and its workers."""

    def __init__(self, workers: int, directory: Path) -> None:
        """Record into `directory`."""
        self._config = ServerConfig(
            udp=Endpoint("127.0.0.1", 0), record=directory, receive_buffer_bytes=RECEIVE_BUFFER_BYTES
        )
        self._workers = workers
        self._reports: list[dict[str, Any]] = [{} for _ in range(workers)]
        self._most = [dict.fromkeys(_GAUGES, 0) for _ in range(workers)]
        self._supervisor: Supervisor | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, ready: Callable[[int], None]) -> None:
        """Receive until `stop`, then let the workers end all calls and finish all files."""
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(self._run(ready))

    async def _run(self, ready: Callable[[int], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._supervisor = supervisor = Supervisor(self._config, LogConfig(level="warning"), self._workers)
        self._listen(supervisor)
        async with supervisor:
            port = int(supervisor.addresses["udp"].rpartition(":")[2])
            own_buffer(port)
            ready(port)
            await supervisor.wait_closed()

    def _listen(self, supervisor: Supervisor) -> None:
        """Keep what every worker reports, its last words as well."""
        report = supervisor.totals.report

        def keep(index: int, snapshot: dict[str, Any]) -> None:
            self._reports[index] = snapshot
            for name in _GAUGES:
                self._most[index][name] = max(self._most[index][name], snapshot[name])
            report(index, snapshot)

        supervisor.totals.report = keep  # type: ignore[method-assign]

    def stop(self) -> None:
        """End `run`."""
        assert self._loop is not None
        assert self._supervisor is not None
        self._loop.call_soon_threadsafe(self._supervisor.stop)

    def received(self) -> int:
        """Return the datagrams that have been reported so far."""
        return sum(report["doors"]["udp"]["datagrams"] for report in self._reports if report)

    def cpu_ns(self) -> int:
        """Return the processor time of the workers, so far."""
        children = [path.read_text() for path in Path("/proc/self/task").glob("*/children")]
        pids = {pid for line in children for pid in line.split()}
        return sum(_cpu_ns(stat) for pid in pids for stat in Path(f"/proc/{pid}/task").glob("*/schedstat"))

    def evidence(self) -> dict[str, Any]:
        """Return the sum of all workers' totals, and what each of them had."""
        workers = [
            {"datagrams": report["doors"]["udp"]["datagrams"], "calls_started": report["calls_started"], **most}
            for report, most in zip(self._reports, self._most, strict=True)
        ]
        return {**added(self._reports), "workers": workers}


def _cpu_ns(schedstat: Path) -> int:
    try:
        return int(schedstat.read_text().split()[0])
    except (OSError, IndexError):  # it has just ended
        return 0
