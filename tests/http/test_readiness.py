"""`/readyz` of a whole server: no call may begin, for each of the reasons."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from media import Server, ServerConfig
from media.admission import capacity
from media.config import Endpoint
from media.doors import reception
from tests.nats.nats_server import until
from tests.patience import PATIENCE_S

LOOPBACK = Endpoint("127.0.0.1", 0)


async def status(server: Server, path: str = "/readyz") -> int:
    def ask() -> int:
        try:
            with urllib.request.urlopen(f"http://{server.addresses['http']}{path}", timeout=PATIENCE_S) as reply:
                return int(reply.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    return await asyncio.to_thread(ask)


async def becomes(server: Server, wanted: int) -> None:
    while await status(server) != wanted:  # noqa: ASYNC110 - it is asked over HTTP
        await asyncio.sleep(0.05)
    assert await status(server, "/healthz") == 200


def config(tmp_path: Path, **more: Any) -> ServerConfig:
    pytest.importorskip("aiohttp")
    return ServerConfig(**{"udp": LOOPBACK, "http": LOOPBACK, "record": tmp_path, **more})


async def test_ready_then_full_then_ready_again(tmp_path: Path) -> None:
    async with Server(config(tmp_path, max_calls=1)) as server:
        await becomes(server, 200)
        call = server.engine.open_call("a", "ws", {}, server.engine.now_ns())
        await becomes(server, 503)
        server.engine.end_call(call, "stop")
        await becomes(server, 200)


async def test_no_room_on_the_disk(tmp_path: Path) -> None:
    async with Server(config(tmp_path, min_free_bytes=1 << 60)) as server:
        await becomes(server, 503)


async def test_no_descriptors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reception, "free_descriptors", lambda: capacity.SPARE_DESCRIPTORS - 1)
    async with Server(config(tmp_path)) as server:
        await becomes(server, 503)


async def test_draining(tmp_path: Path) -> None:
    async with Server(config(tmp_path, drain_timeout_s=PATIENCE_S)) as server:
        call = server.engine.open_call("a", "ws", {}, server.engine.now_ns())
        await becomes(server, 200)
        server.stop()
        ending = asyncio.create_task(server.wait_closed())
        await becomes(server, 503)
        server.engine.end_call(call, "stop")
        await ending
        await until(ending.done)
