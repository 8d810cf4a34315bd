"""A server that records many calls while somebody asks for all of them and does not read: nothing is lost by that."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from media import Server, ServerConfig
from media.carrier.options import SimulationOptions, Transport
from media.carrier.pacing import Instant
from media.carrier.simulation import Simulation, Target
from media.config import Endpoint
from media.feed.sink import FeedSink
from media.http import pcm
from tests.http.deaf import Deaf
from tests.http.door import until
from tests.media.recorded import check
from tests.patience import PATIENCE_S

LOOPBACK = Endpoint("127.0.0.1", 0)
WISH = "rate=24000&format=float32"
QUEUE_BYTES = 1 << 20
"""Little, for few calls to be more."""


@pytest.mark.realtime
@pytest.mark.parametrize("when_slow", ["disconnect", "drop-oldest"])
async def test_every_recording_is_bit_exact_and_memory_bounded(
    tmp_path: Path, when_slow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pcm, "QUEUE_BYTES", QUEUE_BYTES)
    simulation = Simulation(SimulationOptions(transport=Transport.WEBSOCKET, calls=15, seconds=5))
    simulation.plan()
    most_waiting_bytes = 0
    async with asyncio.timeout(PATIENCE_S):
        async with Server(
            ServerConfig(ws=LOOPBACK, http=LOOPBACK, record=tmp_path, record_format="passthrough")
        ) as server:
            [feed] = [runner.sink for runner in server.runners if isinstance(runner.sink, FeedSink)]
            deaf = Deaf(server.addresses["http"], f"/v1/pcm?{WISH}&when_slow={when_slow}")
            await until(lambda: feed.snapshot()["subscriptions"] == 1)
            target = Target(stream_url=f"ws://{server.addresses['ws']}/")
            sending = asyncio.create_task(simulation.run(target, Instant()))

            def has_lost() -> bool:
                nonlocal most_waiting_bytes
                snapshot = feed.snapshot()
                most_waiting_bytes = max(most_waiting_bytes, snapshot["waiting_bytes"])
                dropped = sum(subscription.dropped_messages for subscription in feed._subscriptions)
                return bool(snapshot["cut_off"] or dropped)

            await until(has_lost)
            outcome = await sending
            reading = asyncio.create_task(asyncio.to_thread(deaf.rest))
        frames = await reading
    assert frames, "it was being fed"
    assert 0 < most_waiting_bytes <= QUEUE_BYTES
    assert server.unfinished_sinks == []
    assert server.engine.conservation_errors == 0
    for number, truth in enumerate(outcome.truth.tracks):
        check(tmp_path, truth.stream_id, simulation, number, truth)
