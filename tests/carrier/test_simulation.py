"""The composition, over loopback and without waiting."""

from __future__ import annotations

import socket

import pytest

from media.carrier import simulation as simulation_module
from media.carrier.network import NetworkModel
from media.carrier.options import SimulationOptions, Transport
from media.carrier.pacing import Instant
from media.carrier.plan import make_plan
from media.carrier.simulation import Simulation, Target
from strep.errors import ConfigurationError, UsageError

RTP = SimulationOptions(transport=Transport.RTP, calls=2)


class TestTarget:
    def test_strep(self) -> None:
        assert Target(udp=("host", 9)).destinations(SimulationOptions(calls=5)) == [("host", 9)]

    def test_rtp_shared_ports(self) -> None:
        target = Target(rx=("a", 4000), tx=("b", 5000))
        assert target.destinations(RTP) == [("a", 4000), ("b", 5000)] * 2

    def test_rtp_ports_for_each_call(self) -> None:
        target = Target(rx=("a", 4000), tx=("a", 4001), rtp_port_step=2)
        assert target.destinations(RTP) == [("a", 4000), ("a", 4001), ("a", 4002), ("a", 4003)]
        with pytest.raises(ConfigurationError, match="65535"):
            Target(rx=("a", 65_534), tx=("a", 65_535), rtp_port_step=2).destinations(RTP)

    @pytest.mark.parametrize("transport", [Transport.STREP, Transport.RTP])
    def test_missing(self, transport: Transport) -> None:
        with pytest.raises(UsageError, match="no target"):
            Target(stream_url="ws://x").destinations(SimulationOptions(transport=transport))


class TestRun:
    async def test_truth_report_and_progress(self) -> None:
        options = SimulationOptions(seconds=0.5, network=NetworkModel(loss=0.2, duplicate=0.2))
        simulation = Simulation(options)
        progress: list[int] = []
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.bind(("127.0.0.1", 0))
            receiver.setblocking(False)
            target = Target(udp=receiver.getsockname())
            outcome = await simulation.run(target, Instant(), progress.append)
            received = [receiver.recv(2_000) for _ in range(len(simulation.plan()))]
            with pytest.raises(BlockingIOError):
                receiver.recv(2_000)
        assert outcome.truth == simulation.plan().truth()
        assert outcome.report.sent == progress[-1] == len(received) == outcome.truth.datagrams

    @pytest.mark.parametrize("segmented", [False, True])
    async def test_what_can_be_computed_is_not_planned(
        self, segmented: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        options = SimulationOptions(calls=3, seconds=0.4, stagger_ms=0.0, audio=None)
        paper = make_plan(options)
        monkeypatch.setattr(simulation_module, "make_plan", None)
        simulation = Simulation(options)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.bind(("127.0.0.1", 0))
            receiver.setblocking(False)
            outcome = await simulation.run(Target(udp=receiver.getsockname(), segmented=segmented), Instant())
            received = [receiver.recv(2_000) for _ in range(len(simulation))]
        assert received == [paper.datagram(delivery) for delivery in range(len(paper))]
        assert outcome.truth == paper.truth()

    def test_planned_once(self) -> None:
        simulation = Simulation(SimulationOptions(seconds=0.5))
        assert simulation.plan() is simulation.plan()
