"""Calls of a simulated carrier that a server in this process records, and what is to be in their files."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np

from media import Server, ServerConfig
from media.carrier.options import SimulationOptions
from media.carrier.pacing import RealTime
from media.carrier.simulation import Outcome, Simulation, Target
from media.carrier.truth import TrackTruth
from media.config import Endpoint, RtpPorts
from strep.clock import NEVER_NS, NS_PER_MS, SystemClock
from strep.g711 import Codec, decode
from tests.media.harness import encoded_channels, pcm_channels, sidecar
from tests.media.serving import address

LOOPBACK = Endpoint("127.0.0.1", 0)
CHANNEL = {"inbound": 0, "outbound": 1}


class SharedTime(SystemClock):
    """The machine's clock, for server and carriers, that never runs ahead of the carriers' last look at it.

    However busy the machine is, by this clock a carrier is not late. By the machine's it may be late for seconds: a
    server rightly takes that for a hold (`strep.realign`).
    """

    BOUND_NS = 20 * NS_PER_MS

    def __init__(self) -> None:
        self.carriers = CarriersTime(self)
        now_ns = super().now_ns()
        self._look = (
            now_ns,
            now_ns,
        )  # by the machine's clock, and what this one said; one value, for there are threads
        self._bound_ns = self.BOUND_NS

    def now_ns(self) -> int:
        looked_ns, said_ns = self._look
        return said_ns + min(max(super().now_ns() - looked_ns, 0), self._bound_ns)

    def wall_ns(self) -> int:
        """Say 1970: so that the kernel's stamps, which are of the machine's clock, count as now (`strep.mmsg`)."""
        return self.now_ns()

    def look(self) -> int:
        machine_ns, said_ns = super().now_ns(), self.now_ns()
        self._look = machine_ns, said_ns
        return said_ns

    def let_run(self) -> None:
        """There is no carrier any more."""
        self.look()
        self._bound_ns = NEVER_NS


class CarriersTime(SystemClock):
    """The same, as carriers look at it."""

    def __init__(self, shared: SharedTime) -> None:
        self._shared = shared

    def now_ns(self) -> int:
        return self._shared.look()


async def record(directory: Path, options: SimulationOptions, **config: Any) -> tuple[Server, Simulation, Outcome]:
    """As `record_all`, of one simulation."""
    server, [(simulation, outcome)] = await record_all(directory, options, **config)
    return server, simulation, outcome


async def run_all(simulations: list[Simulation], target: Target, time: SharedTime | None = None) -> list[Outcome]:
    """Send them at once."""
    pacer = RealTime(time.carriers) if time else None
    outcomes = await asyncio.gather(*(simulation.run(target, pacer) for simulation in simulations))
    if time:
        time.let_run()
    return outcomes


async def record_all(
    directory: Path, *several: SimulationOptions, time: SharedTime | None = None, **config: Any
) -> tuple[Server, list[tuple[Simulation, Outcome]]]:
    """Run a server with all doors, send `several` at once to the right ones; return when all files are finished."""
    ports = (RtpPorts("tap", LOOPBACK, LOOPBACK),)
    settings: dict[str, Any] = {"udp": LOOPBACK, "ws": LOOPBACK, "rtp": ports, "record": directory, **config}
    simulations = [Simulation(options) for options in several]
    for simulation in simulations:
        simulation.plan()
    async with Server(ServerConfig(**settings), clock=time) as server:
        taps = server.addresses["rtp"]["tap"]
        target = Target(
            udp=address(server.addresses["udp"]),
            rx=address(taps["rx"]),
            tx=address(taps["tx"]),
            stream_url=f"ws://{server.addresses['ws']}/",
        )
        outcomes = await run_all(simulations, target, time)
    return server, list(zip(simulations, outcomes, strict=True))


def check(directory: Path, call_id: str, simulation: Simulation, number: int, truth: TrackTruth) -> None:
    """Compare a passthrough recording's track with the truth: places of all samples, and all counters."""
    report = next(t for t in sidecar(directory, call_id)["tracks"] if t["direction"] == truth.direction)
    statistics, totals = report["statistics"], report["totals"]
    assert statistics["delivered"] + statistics["late"] == truth.delivered
    assert statistics["duplicate"] == truth.duplicated
    assert statistics["never_arrived"] == truth.lost
    assert statistics["reordered"] == truth.reordered
    assert totals["received"] + totals["late-patched"] == truth.received_samples
    assert sum(totals.values()) == report["length_samples"] == truth.total_samples
    channel = encoded_channels(directory / f"{call_id}.wav")[:, CHANNEL[truth.direction]]
    start, expected = report["start_samples"], simulation.plan().expected_encoded(number)
    assert np.array_equal(channel[start : start + len(expected)], expected)


def check_pcm(directory: Path, simulation: Simulation, number: int, truth: TrackTruth, codec: Codec) -> None:
    """Compare a recording's track of a clean call with what was sent: the same bits, and nothing to account for."""
    tracks = sidecar(directory, truth.call_leg_id)["tracks"]
    report = next(track for track in tracks if track["direction"] == truth.direction)
    assert report["ledger"] == []
    channel = pcm_channels(directory / f"{truth.call_leg_id}.wav")[:, CHANNEL[truth.direction]]
    start, expected = report["start_samples"], decode(simulation.plan().expected_encoded(number), codec)
    assert np.array_equal(channel[start : start + len(expected)], expected)


def call_ids(directory: Path) -> list[str]:
    return sorted(path.stem for path in directory.glob("*.wav"))
