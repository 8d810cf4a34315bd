"""The doors of workers behind one door: what becomes of readers when a worker closes, is gone, or is not heard."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from unittest.mock import Mock

import pytest
from aiohttp import WSCloseCode, web
from aiohttp.test_utils import TestServer
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from media.http import behind, pcm, pcm_all, streams, watch
from media.http.api import API, Api
from media.http.behind import ENDED, REPLACED, Behind
from media.http.streams import TOO_SLOW
from media.page.messages import CALLS_AT_ONCE
from media.page.viewer import MAX_VISIBLE
from strep.clock import SystemClock
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.realtime
GREETING = '{"event":"subscribed","selection":"all"}'
ONE = "/v1/calls/x/pcm"
Talk = Callable[[web.WebSocketResponse], Awaitable[object]]


async def greet(socket: web.WebSocketResponse) -> None:
    """Say that one has subscribed, and nothing more."""
    await socket.send_str(GREETING)
    await socket.receive()


async def rest(connection: ClientConnection) -> list[str | bytes]:
    """Return what is said up to the end."""
    said = list[str | bytes]()
    with suppress(ConnectionClosed):
        while True:
            said.append(await connection.recv())
    return said


async def whose(call_id: str) -> int | None:
    return 0


@asynccontextmanager
async def worker(path: Path, talk: Talk, status: int = 101) -> AsyncIterator[None]:
    """Let a worker say something to everybody, or refuse everybody."""

    async def speak(request: web.Request) -> web.StreamResponse:
        if status != 101:
            return web.Response(status=status)
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
async def asking(door: Behind, path: str) -> AsyncIterator[connect]:
    """Serve what stands before workers, and yield a connection to it that is to be opened."""
    app = web.Application()
    app[API] = Api(Mock(), SystemClock(), behind=door)
    app.router.add_routes([*pcm.routes(), *watch.routes()])
    async with asyncio.timeout(PATIENCE_S), TestServer(app) as server:
        yield connect(f"ws://127.0.0.1:{server.port}{path}", compression=None, proxy=None, max_size=None, max_queue=1)


async def test_how_a_worker_closes_is_how_the_reader_is_closed(tmp_path: Path) -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.send_str(GREETING)
        await socket.send_bytes(b"audio")
        await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"too slow")

    door = Behind([tmp_path / "0"], whose)
    async with worker(tmp_path / "0", talk), asking(door, ONE) as opened:
        async with opened as connection:
            assert (await rest(connection))[1:] == [b"audio"]
        assert (connection.close_code, connection.close_reason) == TOO_SLOW
    assert door.cut_off == 0, "the worker has counted it"


async def test_a_worker_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    async with asking(Behind([tmp_path / "0"], whose), ONE) as opened, opened as connection:
        assert len(await rest(connection)) == 1
    assert (connection.close_code, connection.close_reason) == REPLACED


async def test_a_call_that_ended_while_it_was_asked_for_has_ended(tmp_path: Path) -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        raise AssertionError

    door = Behind([tmp_path / "0"], whose)
    async with worker(tmp_path / "0", talk, status=404), asking(door, ONE) as opened, opened as connection:
        assert len(await rest(connection)) == 1
    assert (connection.close_code, connection.close_reason) == ENDED


async def test_a_worker_that_is_replaced_is_heard_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behind, "RETRY_S", 0.01)
    begun = 0

    async def talk(socket: web.WebSocketResponse) -> None:
        nonlocal begun
        begun += 1
        await socket.send_str(GREETING)
        await socket.send_str(f"life {begun}")
        await socket.close(code=WSCloseCode.GOING_AWAY)

    door = Behind([tmp_path / "0", tmp_path / "1"], whose)
    async with (
        worker(tmp_path / "0", talk),
        worker(tmp_path / "1", greet),
        asking(door, "/v1/pcm") as opened,
        opened as connection,
    ):
        heard = [await connection.recv() for _ in range(4)]
    assert json.loads(heard[0])["event"] == "subscribed"
    assert heard[1:] == ["life 1", "life 2", "life 3"]


async def test_a_reader_that_leaves_is_not_read_for(tmp_path: Path) -> None:
    left = asyncio.Event()

    async def talk(socket: web.WebSocketResponse) -> None:
        await greet(socket)
        left.set()

    async with worker(tmp_path / "0", talk), asking(Behind([tmp_path / "0"], whose), ONE) as opened:
        async with opened as connection:
            await connection.recv()
        await left.wait()


@pytest.mark.parametrize("path", ["/v1/pcm", "/v1/calls/next/pcm"])
async def test_nobody_speaks_before_all_are_subscribed(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pcm_all, "GREETING_TIMEOUT_S", None)
    may_greet = asyncio.Event()

    async def early(socket: web.WebSocketResponse) -> None:
        await socket.send_str(GREETING)
        await socket.send_str("early")
        may_greet.set()
        await socket.receive()

    async def late(socket: web.WebSocketResponse) -> None:
        await may_greet.wait()
        await greet(socket)

    door = Behind([tmp_path / "0", tmp_path / "1"], whose)
    async with (
        worker(tmp_path / "0", early),
        worker(tmp_path / "1", late),
        asking(door, path) as opened,
        opened as connection,
    ):
        first, second = await connection.recv(), await connection.recv()
    assert (json.loads(first)["event"], second) == ("subscribed", "early")


async def test_a_worker_that_hangs_keeps_nobody_from_hearing_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pcm_all, "GREETING_TIMEOUT_S", 0.01)

    async def hang(socket: web.WebSocketResponse) -> None:
        await socket.receive()

    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.send_str(GREETING)
        await socket.send_bytes(b"audio")
        await socket.receive()

    door = Behind([tmp_path / "0", tmp_path / "1"], whose)
    async with (
        worker(tmp_path / "0", hang),
        worker(tmp_path / "1", talk),
        asking(door, "/v1/pcm") as opened,
        opened as connection,
    ):
        assert json.loads(await connection.recv())["event"] == "subscribed"
        assert await connection.recv() == b"audio"


class TestPages:
    async def test_the_calls_of_a_worker_that_is_gone_end_in_pieces(self, tmp_path: Path) -> None:
        count = 2 * CALLS_AT_ONCE + 5

        async def talk(socket: web.WebSocketResponse) -> None:
            begun = [{"call": number} for number in range(count)]
            await socket.send_str(json.dumps({"event": "calls", "begun": begun, "ended": []}))
            await socket.close(code=WSCloseCode.GOING_AWAY)

        door = Behind([tmp_path / "0"], whose)
        async with worker(tmp_path / "0", talk), asking(door, "/v1/watch") as opened, opened as page:
            assert json.loads(await page.recv())["event"] == "hello"
            assert len(json.loads(await page.recv())["begun"]) == count
            ended = [json.loads(await page.recv())["ended"] for _ in range(3)]
        assert [len(numbers) for numbers in ended] == [CALLS_AT_ONCE, CALLS_AT_ONCE, 5]
        assert sorted(number for numbers in ended for number in numbers) == list(range(count))

    async def test_no_more_are_in_sight_than_with_one_process(self, tmp_path: Path) -> None:
        told: asyncio.Queue[list[int]] = asyncio.Queue()

        async def talk(socket: web.WebSocketResponse) -> None:
            told.put_nowait((await socket.receive_json())["visible"])
            await socket.receive()

        door = Behind([tmp_path / "0", tmp_path / "1"], whose)
        async with (
            worker(tmp_path / "0", talk),
            worker(tmp_path / "1", talk),
            asking(door, "/v1/watch") as opened,
            opened as page,
        ):
            await page.send(json.dumps({"visible": list(range(3 * MAX_VISIBLE))}))
            assert [await told.get() for _ in range(2)] == 2 * [list(range(MAX_VISIBLE // 2))]


class TestSlowReaders:
    """They lose by the rule of one process, and are told; what waits for them is bounded."""

    MESSAGES, MOST_BYTES = 400, 1 << 18

    async def _read_late(
        self, when_slow: str, folder: Path
    ) -> tuple[list[str | bytes], tuple[int | None, str | None]]:
        """Read nothing before a worker has said it all, 25 MB."""
        said_all, is_done = asyncio.Event(), asyncio.Event()

        async def talk(socket: web.WebSocketResponse) -> None:
            await socket.send_str(GREETING)
            with suppress(ConnectionError):  # it hangs up on whom it need not hear any more
                for number in range(self.MESSAGES):
                    await socket.send_bytes(number.to_bytes(4) + bytes(1 << 16))
                    assert door.snapshot()["waiting_bytes"] <= self.MOST_BYTES
            said_all.set()
            await is_done.wait()
            await socket.close(code=ENDED[0])

        door = Behind([folder / "0"], whose)
        path = f"{ONE}?when_slow={when_slow}"
        async with worker(folder / "0", talk), asking(door, path) as opened, opened as connection:
            await connection.recv()
            connection.transport.pause_reading()
            await said_all.wait()
            connection.transport.resume_reading()
            is_done.set()
            heard = await rest(connection)
        assert door.snapshot() == {"waiting_bytes": 0, "cut_off": int(when_slow == "disconnect")}
        return heard, (connection.close_code, connection.close_reason)

    @pytest.fixture(autouse=True)
    def _small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pcm, "QUEUE_BYTES", self.MOST_BYTES)
        monkeypatch.setattr(pcm, "QUEUE_SECONDS", 1e6)

    async def test_disconnected(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(streams, "CUT_OFF_TIMEOUT_S", PATIENCE_S)
        heard, closing = await self._read_late("disconnect", tmp_path)
        assert closing == TOO_SLOW
        numbers = [int.from_bytes(message[:4]) for message in heard if isinstance(message, bytes)]
        assert numbers == list(range(len(numbers)))
        assert 0 < len(numbers) < self.MESSAGES

    async def test_the_oldest_dropped(self, tmp_path: Path) -> None:
        heard, closing = await self._read_late("drop-oldest", tmp_path)
        assert closing == ENDED
        numbers, gone = list[int](), 0
        for message in heard:
            if isinstance(message, str):
                told = json.loads(message)["messages"]
                gone += told
                continue
            numbers.append(int.from_bytes(message[:4]))
        assert numbers == sorted(numbers)
        assert numbers[-1] == self.MESSAGES - 1
        assert gone == self.MESSAGES - len(numbers) > 0
