"""The whole server over real sockets, both receivers, against the simulated carrier's truth."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from media import Server, ServerConfig
from media.carrier.network import NetworkModel
from media.carrier.options import SimulationOptions, Transport
from media.ws.chunks import Placement
from media.ws.server import MediaWebSocketServer
from strep.g711 import Codec
from strep.header import Direction
from strep.mmsg import IS_SUPPORTED
from tests.media.harness import pcm_channels, sidecar
from tests.media.recorded import LOOPBACK, SharedTime, call_ids, check, check_pcm, record, record_all
from tests.media.world import start

RECEIVERS = [
    pytest.param("recvmmsg", marks=pytest.mark.skipif(not IS_SUPPORTED, reason="needs Linux")),
    "asyncio-dgram",
]


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
