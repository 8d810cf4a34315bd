"""The doors of workers behind one door: what becomes of readers when a worker closes, is gone, or is not heard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from aiohttp import WSCloseCode, web
from aiohttp.test_utils import TestServer
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from media.http import behind
from media.http.behind import REPLACED, Behind, Closing
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.realtime
GREETING = '{"event":"subscribed","selection":"all"}'
Talk = Callable[[web.WebSocketResponse], Awaitable[object]]


async def rest(connection: ClientConnection) -> list[str | bytes]:
    """Return what is said up to the end."""
    said = list[str | bytes]()
    with suppress(ConnectionClosed):
        while True:
            said.append(await connection.recv())
    return said


async def whose(call_id: str) -> int | None:
    return None


@asynccontextmanager
async def worker(path: Path, talk: Talk) -> AsyncIterator[None]:
    """Let a worker say something to everybody."""

    async def speak(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await talk(socket)
        return socket

    app = web.Application()
    app.router.add_get("/{any:.*}", speak)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(path)).start()
    try:
        yield
    finally:
        await runner.cleanup()


@asynccontextmanager
async def reading(hand_on: Callable[[web.WebSocketResponse], Awaitable[Closing]]) -> AsyncIterator[connect]:
    """Serve what `hand_on` says, and yield a connection to it that is to be opened."""

    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)

        async def wait() -> Closing:  # until it leaves, as `media.http.streams.Stream` does
            await socket.receive()
            return 1000, ""

        code, reason = await behind.first_of([hand_on(socket), wait()])
        await socket.close(code=code, message=reason.encode())
        return socket

    app = web.Application()
    app.router.add_get("/", serve)
    async with asyncio.timeout(PATIENCE_S), TestServer(app) as server:
        yield connect(f"ws://127.0.0.1:{server.port}/", proxy=None)


async def test_how_a_worker_closes_is_how_the_reader_is_closed(tmp_path: Path) -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.send_bytes(b"audio")
        await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"too slow")

    door = Behind([tmp_path / "0"], whose)
    async with worker(tmp_path / "0", talk), reading(lambda socket: door.one(socket, 0, "/")) as opened:
        async with opened as connection:
            assert await rest(connection) == [b"audio"]
        assert (connection.close_code, connection.close_reason) == (1008, "too slow")


async def test_a_worker_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    door = Behind([tmp_path / "0"], whose)
    async with reading(lambda socket: door.one(socket, 0, "/")) as opened, opened as connection:
        assert await rest(connection) == []
    assert (connection.close_code, connection.close_reason) == REPLACED


async def test_a_worker_that_is_replaced_is_heard_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behind, "RETRY_S", 0.01)
    begun = 0

    async def talk(socket: web.WebSocketResponse) -> None:
        nonlocal begun
        begun += 1
        await socket.send_str(GREETING)
        await socket.send_str(f"life {begun}")
        await socket.close(code=WSCloseCode.GOING_AWAY)

    async def stay(socket: web.WebSocketResponse) -> None:
        await socket.send_str(GREETING)
        await socket.receive()

    door = Behind([tmp_path / "0", tmp_path / "1"], whose)
    async with (
        worker(tmp_path / "0", talk),
        worker(tmp_path / "1", stay),
        reading(lambda socket: door.all(socket, "/")) as opened,
        opened as connection,
    ):
        assert [await connection.recv() for _ in range(4)] == [GREETING, "life 1", "life 2", "life 3"]


async def test_a_reader_that_leaves_is_not_read_for(tmp_path: Path) -> None:
    left = asyncio.Event()

    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.send_str("audio")
        await socket.receive()
        left.set()

    door = Behind([tmp_path / "0"], whose)
    async with worker(tmp_path / "0", talk), reading(lambda socket: door.one(socket, 0, "/")) as opened:
        async with opened as connection:
            assert await connection.recv() == "audio"
        await left.wait()


async def test_nobody_speaks_before_all_are_subscribed(tmp_path: Path) -> None:
    may_greet = asyncio.Event()

    async def early(socket: web.WebSocketResponse) -> None:
        await socket.send_str(GREETING)
        await socket.send_str("early")
        may_greet.set()
        await socket.receive()

    async def late(socket: web.WebSocketResponse) -> None:
        await may_greet.wait()
        await socket.send_str(GREETING)
        await socket.receive()

    door = Behind([tmp_path / "0", tmp_path / "1"], whose)
    async with worker(tmp_path / "0", early), worker(tmp_path / "1", late):
        for hand_on in (door.all, door.next):
            may_greet.clear()
            async with reading(partial(hand_on, path="/")) as opened, opened as connection:
                assert [await connection.recv() for _ in range(2)] == [GREETING, "early"]
