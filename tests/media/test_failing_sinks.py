"""A server whose sinks hang, crash and leave beside its recordings: these are bit-exact, and all of it is told."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from media import Server, ServerConfig
from media.blocks import PcmBatch
from media.carrier.options import SimulationOptions, Transport
from media.carrier.pacing import Instant
from media.carrier.simulation import Outcome, Simulation, Target
from media.config import Endpoint
from media.sinks.contract import CallInfo, CallReport, SinkOptions
from media.sinks.sidecar import SCHEMA_PATH
from media.sinks.watching import SinkWatch
from tests.http.door import until
from tests.media.harness import sidecar
from tests.media.recorded import check

LOOPBACK = Endpoint("127.0.0.1", 0)
LIMIT_S = 120
CALLS = 4


class Counting:
    """A sink that counts its blocks, by call."""

    options = SinkOptions("counting")

    def __init__(self) -> None:
        self.calls: dict[int, CallInfo] = {}
        self.blocks: Counter[str] = Counter()
        self.known: dict[str, CallInfo] = {}

    def call_started(self, call: CallInfo) -> None:
        self.calls[call.index] = self.known[call.call_id] = call

    def receive(self, batch: PcmBatch) -> None:
        self.blocks.update(self.calls[index].call_id for index in batch.call.tolist())

    def call_ended(self, call: CallInfo, report: CallReport) -> None:
        del self.calls[call.index]

    def close(self) -> None:
        pass


@pytest.mark.realtime
async def test_recordings_are_bit_exact_beside_them(tmp_path: Path) -> None:
    made: dict[str, list[Any]] = {"hanging": [], "crashing": [], "leaving": []}
    release = threading.Event()

    class Hanging(Counting):
        options = SinkOptions("hanging", hang_s=0.05)

        def __init__(self) -> None:
            super().__init__()
            made[self.options.name].append(self)
            self.is_first = len(made[self.options.name]) == 1

        def receive(self, batch: PcmBatch) -> None:
            if self.is_first and len(batch):
                self.fail()
            super().receive(batch)

        def fail(self) -> None:
            release.wait(LIMIT_S)

    class Crashing(Hanging):
        options = SinkOptions("crashing", max_failures=1)

        def fail(self) -> None:
            raise RuntimeError("a bug")

    class Leaving(Hanging):
        options = SinkOptions("leaving")

        def fail(self) -> None:
            raise SystemExit

    config = ServerConfig(ws=LOOPBACK, http=LOOPBACK, record=tmp_path, record_format="passthrough")
    counting = Counting()
    server = Server(config, sinks=[Hanging, Crashing, counting, Leaving])
    server._sink_watch = SinkWatch(server.runners, every_s=0.01)
    sent: list[tuple[Simulation, Outcome]] = []

    async def call(seed: int) -> None:
        options = SimulationOptions(transport=Transport.WEBSOCKET, calls=CALLS, seconds=3, seed=seed)
        simulation = Simulation(options)
        target = Target(stream_url=f"ws://{server.addresses['ws']}/")
        sent.append((simulation, await simulation.run(target, Instant())))

    try:
        async with asyncio.timeout(LIMIT_S), server:
            await call(1)
            await until(lambda: all(len(instances) > 1 for instances in made.values()))
            server.alarms.look()
            healthy = await ask(server.addresses["http"], "/healthz")
            raised = await ask(server.addresses["http"], "/v1/alarms")
            await call(2)
            release.set()
    finally:
        release.set()
    assert server.unfinished_sinks == []
    assert {"sink_failing", "sink_dropped"} & set(healthy["alarms"])
    assert raised["status"] == healthy["status"] == "warning"
    assert all(alarm["remedy"] for alarm in raised["alarms"])
    assert server.bus.published["sink_failed"] >= len(made)
    assert server.bus.published["sink_restarted"] >= 1
    snapshots = {sink["name"]: sink for sink in server.snapshot()["sinks"]}
    for simulation, outcome in sent:
        for number, truth in enumerate(outcome.truth.tracks):
            check(tmp_path, truth.stream_id, simulation, number, truth)
            document = sidecar(tmp_path, truth.stream_id)
            jsonschema.validate(document, json.loads(SCHEMA_PATH.read_bytes()))
            uses = {use["name"]: use for use in document["sinks"]}
            ours = ["feed", "takes", "transcription", "hearing"]
            assert list(uses) == ["recording", "hanging", "crashing", "counting", "leaving", *ours]
            assert (uses["recording"]["dropped_blocks"], uses["recording"]["errors"]) == (0, 0)
    for call_id, info in counting.known.items():
        books = {use.name: use for use in server.uses_of(info)}
        whole = books["counting"]
        assert (whole.delivered_blocks, whole.dropped_blocks) == (counting.blocks[call_id], 0)
        for name, instances in made.items():
            use = books[name]
            taken = sum(sink.blocks[call_id] for sink in instances if not sink.is_first)
            assert use.delivered_blocks + use.dropped_blocks == whole.delivered_blocks
            assert taken <= use.delivered_blocks <= taken + (snapshots[name]["errors"] and whole.delivered_blocks)
    assert snapshots["recording"]["restarts"] == snapshots["counting"]["restarts"] == 0
    assert all(snapshots[name]["restarts"] == len(instances) - 1 for name, instances in made.items())


async def ask(netloc: str, path: str) -> Any:
    reader, writer = await asyncio.open_connection(*netloc.rsplit(":", 1))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {netloc}\r\nConnection: close\r\n\r\n".encode())
    reply = await reader.read()
    writer.close()
    assert reply.startswith(b"HTTP/1.1 200")
    return json.loads(reply.partition(b"\r\n\r\n")[2])
