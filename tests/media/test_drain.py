"""The orderly end of a server: no new calls, those that there are go on, and then every file is finished."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from media.config import Endpoint, ServerConfig
from media.server import Server
from tests.patience import PATIENCE_S
from tests.ws.doors import closing
from tests.ws.fakes import media, start, stop

pytestmark = pytest.mark.realtime


def config(directory: Path, **options: Any) -> ServerConfig:
    return ServerConfig(ws=Endpoint("127.0.0.1", 0), record=directory, **options)


async def streaming(server: Server, stream_id: str) -> ClientConnection:
    client = await connect(f"ws://{server.addresses['ws']}/")
    await client.send(start(stream_id))
    await client.send(media(1, 2, stream_id=stream_id))
    while stream_id not in server.engine.calls:  # noqa: ASYNC110
        await asyncio.sleep(0)  # a turn of the loop
    return client


async def test_a_call_goes_on_to_its_end_and_none_begins(tmp_path: Path) -> None:
    server = Server(config(tmp_path, drain_timeout_s=3600.0))
    await server.start()
    client = await streaming(server, "s1")
    closed = asyncio.create_task(server.wait_closed())
    server.stop()
    async with connect(f"ws://{server.addresses['ws']}/") as late:
        await late.send(start("s2"))
        assert await closing(late) == (1013, "the server is ending")
    for number in range(2, 51):
        await client.send(media(number, number + 1, stream_id="s1"))
    assert not closed.done()
    await client.send(stop(52, stream_id="s1"))
    await asyncio.wait_for(closed, PATIENCE_S)
    await client.close()
    sidecar = json.loads((tmp_path / "s1.json").read_text())
    assert (sidecar["state"], sidecar["reason"]) == ("complete", "stop")
    assert [track["length_samples"] for track in sidecar["tracks"]] == [50 * 160]
    assert not (tmp_path / "s2.json").exists()


@pytest.mark.parametrize("options", [{"drain_timeout_s": 0.0}, {"drain_timeout_s": 0.2}, {"drain_timeout_s": 3600.0}])
async def test_calls_that_do_not_end_are_ended(tmp_path: Path, options: dict[str, float]) -> None:
    """By the timeout, or by the second signal; finished properly all the same."""
    server = Server(config(tmp_path, **options))
    await server.start()
    client = await streaming(server, "s1")
    closed = asyncio.create_task(server.wait_closed())
    server.stop()
    if options["drain_timeout_s"] == 3600.0:
        server.stop()
    await asyncio.wait_for(closed, PATIENCE_S)
    assert (await closing(client))[0] == 1001
    sidecar = json.loads((tmp_path / "s1.json").read_text())
    assert (sidecar["state"], sidecar["reason"]) == ("complete", "shutdown")
