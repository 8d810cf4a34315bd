"""What ended calls leave to the garbage collector, which hardly ever comes (`media.runtime.freeze_heap`): nothing."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from media import Server, ServerConfig
from media.carrier.options import SimulationOptions, Transport, WebSocketOptions
from media.carrier.pacing import Instant
from media.carrier.simulation import Simulation, Target
from media.config import Endpoint, RtpPorts

pytestmark = pytest.mark.realtime
HERE = Endpoint("127.0.0.1", 0)
CALLS = 3


@contextmanager
def left_behind() -> Iterator[Counter[str]]:
    """Count the objects of ours that only the collector finds, by type, of what happens meanwhile."""
    found = Counter[str]()
    gc.collect()
    gc.disable()
    try:
        yield found
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        names = (f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.garbage)
        found.update(name for name in names if name.startswith(("media.", "strep.")) and ".carrier." not in name)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


async def call(server: Server, kind: str, seed: int) -> None:
    """Send calls, and return when they have ended and are recorded."""
    transport = {"strep": Transport.STREP, "rtp": Transport.RTP}.get(kind, Transport.WEBSOCKET)
    dialect = WebSocketOptions(dialect=kind if transport is Transport.WEBSOCKET else "telnyx")
    options = SimulationOptions(transport, calls=CALLS, seconds=2, audio=None, seed=seed, websocket=dialect)
    host, ports = "127.0.0.1", server.addresses.get("rtp", {}).get("lab", {})
    target = Target(
        udp=(host, int(server.addresses["udp"].rpartition(":")[2])),
        rx=(host, int(ports["rx"].rpartition(":")[2])),
        tx=(host, int(ports["tx"].rpartition(":")[2])),
        stream_url=f"ws://{server.addresses['ws']}/{kind}",
    )
    before = server.engine.calls_ended
    await Simulation(options).run(target, Instant())
    await until(lambda: server.engine.calls_ended > before and not server.engine.calls)
    await until(lambda: not any(runner.snapshot().queued_items for runner in server.runners))
    await until(lambda: not server.doors.totals()["doors"]["ws"]["connections"])


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(6000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it does not come to that")


@pytest.mark.parametrize("kind", ["strep", "rtp", "telnyx", "twilio"])
async def test_an_ended_call_is_gone(kind: str, tmp_path: Path) -> None:
    config = ServerConfig(udp=HERE, ws=HERE, rtp=(RtpPorts("lab", HERE, HERE),), record=tmp_path, idle_timeout_s=0.3)
    async with Server(config) as server:
        await call(server, kind, 1)  # what is made once is made now
        with left_behind() as found:
            await call(server, kind, 2)
            await asyncio.sleep(0.1)
        assert found == Counter()
