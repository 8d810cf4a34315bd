"""Calls that come and go: a server, and thousands of short calls that end by their idle timeout."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Self

import msgspec

from benchmarks.child import Child, ChildError
from benchmarks.observed import ObservedOptions
from benchmarks.receiver import OBSERVED
from benchmarks.recordings import check_recordings
from benchmarks.referee import Truth, limited
from benchmarks.weight import Weight, weigh
from media.carrier.options import SimulationOptions
from media.carrier.simulation import Simulation, Target

SHORT_CALL_SECONDS = 0.5
CALLS_PER_SECOND = 250
MOST_AT_ONCE = 5000
"""Calls of one simulation: it has a sound of its own for each."""
_IDLE_TIMEOUT_S = 1.0
_POLL_S = 0.2
_GONE_TIMEOUT_S = 120.0


class ShortCalls:
    """A server with a short idle timeout that many calls are sent to.

    Attributes:
        complaints: what the referee found.
    """

    def __init__(self, scratch: Path) -> None:
        """Start it."""
        self.complaints: list[str] = []
        self._directory = Path(mkdtemp(prefix="short-", dir=scratch))
        options = msgspec.json.encode(ObservedOptions(idle_timeout_s=_IDLE_TIMEOUT_S)).decode()
        log = scratch / f"{self._directory.name}.log"
        self._server = Child("benchmarks.receiver", OBSERVED, str(self._directory), options, log=log)
        self._port = int(self._server.answer()["port"])
        self._calls = 0

    def run(self, calls: int, seed: int) -> tuple[Weight, Weight]:
        """Send calls, wait until the server has forgotten them, and weigh it: as it is, and without reserves."""
        while calls > MOST_AT_ONCE:
            self._send(MOST_AT_ONCE, seed)
            calls, seed = calls - MOST_AT_ONCE, seed + 1000
        return self._send(calls, seed)

    def _send(self, calls: int, seed: int) -> tuple[Weight, Weight]:
        options = SimulationOptions(
            calls=calls, seconds=SHORT_CALL_SECONDS, stagger_ms=1000 / CALLS_PER_SECOND, audio=None, seed=seed
        )
        simulation = Simulation(options)
        asyncio.run(simulation.run(Target(udp=("127.0.0.1", self._port))))
        self._calls += calls
        totals = self._when_gone()
        weight = weigh(self._server.pid)
        self._server.ask("trim")
        held = weigh(self._server.pid)
        self.complaints += limited(self._judge(Truth(simulation.plan()), totals))
        for path in self._directory.iterdir():
            path.unlink()
        return weight, held

    def _when_gone(self) -> dict[str, Any]:
        """Return the totals when all calls have ended, and their files are finished."""
        deadline, totals = time.monotonic() + _GONE_TIMEOUT_S, {}
        while time.monotonic() < deadline:
            totals = self._server.ask("status")
            if totals["calls_ended"] == self._calls and not any(sink["queued_items"] for sink in totals["sinks"]):
                return totals
            time.sleep(_POLL_S)
        raise ChildError(f"calls had not gone after {_GONE_TIMEOUT_S:g} s: {totals}")

    def _judge(self, truth: Truth, totals: dict[str, Any]) -> Iterator[str]:
        for name in ("conservation_errors", "failed_beats", "receive_errors", "kernel_drops"):
            if totals[name]:
                yield f"{name} is {totals[name]}"
        yield from check_recordings(truth, self._directory, "recording")

    def __enter__(self) -> Self:
        """Do nothing more."""
        return self

    def __exit__(self, *exception: object) -> None:
        """End the server, and remove what it wrote."""
        self._server.tell("stop")
        self._server.close()
        shutil.rmtree(self._directory, ignore_errors=True)
