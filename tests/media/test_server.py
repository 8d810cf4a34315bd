"""The whole server over real sockets, both receivers, against the simulated carrier's truth."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media import Server, ServerConfig
from media.carrier.network import NetworkModel
from media.carrier.options import SimulationOptions, Transport
from media.carrier.pacing import RealTime
from media.carrier.simulation import Outcome, Simulation, Target
from media.carrier.truth import TrackTruth
from media.config import Endpoint, RtpPorts
from media.ws.chunks import Placement
from media.ws.server import MediaWebSocketServer
from strep.clock import NEVER_NS, NS_PER_MS, SystemClock
from strep.g711 import Codec, decode
from strep.header import Direction
from strep.mmsg import IS_SUPPORTED
from tests.media.harness import encoded_channels, pcm_channels, sidecar
from tests.media.world import start

LOOPBACK = Endpoint("127.0.0.1", 0)
RECEIVERS = [
    pytest.param("recvmmsg", marks=pytest.mark.skipif(not IS_SUPPORTED, reason="needs Linux")),
    "asyncio-dgram",
]
CHANNEL = {"inbound": 0, "outbound": 1}


def address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


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


class TestStrep:
    @pytest.mark.parametrize("receiver", RECEIVERS)
    async def test_bad_network(self, tmp_path: Path, receiver: str) -> None:
        network = NetworkModel(loss=0.02, reorder=0.1, reorder_delay_ms=40, duplicate=0.02)
        options = SimulationOptions(calls=10, seconds=2, network=network)
        server, simulation, outcome = await record(
            tmp_path, options, receiver=receiver, record_format="passthrough", reorder_wait_ms=200
        )
        for number, truth in enumerate(outcome.truth.tracks):
            check(tmp_path, truth.call_leg_id, simulation, number, truth)
        totals = server.snapshot()
        assert totals["calls_started"] == totals["calls_ended"] == 10
        assert totals["doors"]["udp"] == {"datagrams": outcome.truth.datagrams, "rejected": {}}
        assert totals["kernel_drops"] == totals["conservation_errors"] == totals["failed_beats"] == 0

    async def test_500_clean_calls_bit_identical(self, tmp_path: Path) -> None:
        """Half of them mu-law, half of them A-law, all at once."""
        several = [
            SimulationOptions(calls=250, seconds=2, codec=codec, stagger_ms=2, audio=None, seed=seed)
            for seed, codec in enumerate(Codec)
        ]
        server, sent = await record_all(tmp_path, *several, time=SharedTime())
        assert server.snapshot()["kernel_drops"] == 0
        assert len(call_ids(tmp_path)) == 500
        for codec, (simulation, outcome) in zip(Codec, sent, strict=True):
            for number, truth in enumerate(outcome.truth.tracks):
                check_pcm(tmp_path, simulation, number, truth, codec)


class TestWebSocket:
    @pytest.mark.parametrize("codec", list(Codec))
    async def test_clean_calls_bit_identical(self, tmp_path: Path, codec: Codec) -> None:
        options = SimulationOptions(transport=Transport.WEBSOCKET, calls=20, seconds=2, codec=codec, audio=None)
        _, simulation, outcome = await record(tmp_path, options, record_format="passthrough")
        for number, truth in enumerate(outcome.truth.tracks):
            check(tmp_path, truth.stream_id, simulation, number, truth)
            assert sidecar(tmp_path, truth.stream_id)["reason"] == "stop"

    async def test_bad_network(self, tmp_path: Path) -> None:
        network = NetworkModel(loss=0.02, reorder=0.1, reorder_delay_ms=40, duplicate=0.02)
        options = SimulationOptions(transport=Transport.WEBSOCKET, calls=5, seconds=2, network=network)
        _, simulation, outcome = await record(tmp_path, options, record_format="passthrough", reorder_wait_ms=200)
        for number, truth in enumerate(outcome.truth.tracks):
            check(tmp_path, truth.stream_id, simulation, number, truth)


class TestPlainRtp:
    @pytest.mark.parametrize("receiver", RECEIVERS)
    async def test_one_call_on_its_pair_of_ports(self, tmp_path: Path, receiver: str) -> None:
        network = NetworkModel(loss=0.02, reorder=0.1, reorder_delay_ms=40, duplicate=0.02)
        options = SimulationOptions(transport=Transport.RTP, calls=1, seconds=3, network=network)
        _, simulation, outcome = await record(
            tmp_path, options, receiver=receiver, record_format="passthrough", reorder_wait_ms=200
        )
        recordings = call_ids(tmp_path)
        assert len(recordings) == 1
        assert recordings[0].startswith("tap-")
        for number, truth in enumerate(outcome.truth.tracks):
            check(tmp_path, recordings[0], simulation, number, truth)


def test_talking_back_is_imported_with_the_server_and_only_for_an_application() -> None:
    """Not at the first call, where it would hold up all others."""
    program = """
import sys
from media import Server, ServerConfig
from media.config import Endpoint

async def app(call): ...

for what in ({}, {"app": app}):
    Server(ServerConfig(ws=Endpoint("127.0.0.1", 0)), **what)
    print(*(name in sys.modules for name in ("media.talk.call", "media.talk.sources", "media.voices", "lameenc")))
"""
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert [set(line.split()) for line in said.splitlines()] == [{"False"}, {"True"}]


async def test_a_door_that_fails_to_close_costs_no_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def close(door: MediaWebSocketServer) -> None:
        await before(door)
        raise RuntimeError("a mistake of ours")

    before = MediaWebSocketServer.close
    monkeypatch.setattr(MediaWebSocketServer, "close", close)
    async with Server(ServerConfig(ws=LOOPBACK, record=tmp_path)) as server:
        now_ns = server.engine.now_ns()
        handle = server.doors.stream.stream_started(start(), now_ns)
        server.doors.stream.stream_media(handle, Direction.INBOUND, Placement(0, 0), b"a" * 160, now_ns)
    assert sidecar(tmp_path, "s1")["reason"] == "shutdown"
    assert len(pcm_channels(tmp_path / "s1.wav")) == 160
