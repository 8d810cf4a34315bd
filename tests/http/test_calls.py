"""Lists of calls, and how the door says no."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from media.config import Endpoint, ServerConfig
from media.http import companion, house
from media.http.house import CALLS_AT_ONCE
from media.server import Server
from media.status import live_call
from tests.http.door import Hall, hall
from tests.media.world import FRAME, audio
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.realtime


def talk(found: Hall, calls: int, packets: int = 10) -> None:
    for leg_id in range(1, calls + 1):
        for number in range(packets):
            found.world.send_strep(audio(number), leg_id)
    found.world.tick(500)


class TestCalls:
    async def test_with_their_tracks(self) -> None:
        async with hall() as found:
            talk(found, 1)
            status, document, headers = await found.get("/v1/calls")
        assert (status, headers["Content-Type"]) == (200, "application/json")
        assert document["total"] == 1
        [call] = document["calls"]
        assert (call["door"], call["sample_rate_hz"], call["identity"]["leg"]) == ("strep", 8000, "A")
        [track] = call["tracks"]
        assert (track["direction"], track["length_samples"], track["delivered"]) == ("inbound", 10 * FRAME, 10)
        assert track["quiet_ms"] == 500, "the world has gone on so long since"
        assert (call["dialect"], track["codec"]) == (None, "PCMU")

    async def test_by_pages(self) -> None:
        async with hall() as found:
            talk(found, 5)
            pages = [(await found.get(f"/v1/calls?limit=2&offset={at}"))[1] for at in (0, 2, 4, 6)]
            everything = (await found.get("/v1/calls"))[1]["calls"]
        assert [len(page["calls"]) for page in pages] == [2, 2, 1, 0]
        assert [call for page in pages for call in page["calls"]] == everything
        assert {page["total"] for page in pages} == {5}

    async def test_some_at_a_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The media loop, which has packets to take, is not held up by many."""
        looks, count, enter = [0], 2 * CALLS_AT_ONCE + 1, house.in_loop

        def counted(*given: Any) -> dict[str, Any]:
            looks[-1] += 1
            return live_call(*given)

        async def entered(loop: asyncio.AbstractEventLoop, function: Callable[[], Any]) -> Any:
            looks.append(0)
            return await enter(loop, function)

        monkeypatch.setattr(house, "live_call", counted)
        monkeypatch.setattr(house, "in_loop", entered)
        async with hall() as found:
            talk(found, count, packets=1)
            _, document, _ = await found.get("/v1/calls?limit=1000")
        assert len({call["call_id"] for call in document["calls"]}) == count
        assert max(looks) == CALLS_AT_ONCE

    async def test_one(self) -> None:
        async with hall() as found:
            talk(found, 2)
            _, document, _ = await found.get("/v1/calls")
            call = document["calls"][1]
            status, shown, _ = await found.get(f"/v1/calls/{call['call_id']}")
        assert (status, shown) == (200, call)


class TestRefusals:
    """One form for all of them."""

    @pytest.mark.parametrize(
        ("path", "method", "status", "code", "says"),
        [
            ("/v1/calls/nobody", "GET", 404, "no_such_call", "'nobody'"),
            ("/v1/calls/nobody/pcm", "GET", 404, "no_such_call", "'nobody'"),
            ("/v1/cals", "GET", 404, "not_found", "there are /healthz, /openapi.json, /readyz, /v1/alarms"),
            ("/v1/calls", "DELETE", 405, "method_not_allowed", "GET"),
            ("/v1/calls?limit=1001", "GET", 400, "parameter", "0 to 1000"),
            ("/v1/calls?offset=-1", "GET", 400, "parameter", "offset: '-1'"),
            ("/v1/calls?offset=" + 5000 * "9", "GET", 400, "parameter", "is not a number from 0 to 1000000000"),
            ("/v1/pcm", "GET", 426, "websocket", "WebSockets"),
            ("/v1/pcm?rate=1", "GET", 400, "parameter", "rate: '1' is not one of"),
            ("/v1/pcm?when_slow=never", "GET", 400, "parameter", "there are disconnect and drop-oldest"),
            ("/v1/calls/next/pcm?calls=x", "GET", 400, "parameter", "calls: the path names the call already"),
            ("/v1/events?kinds=x", "GET", 400, "parameter", "kinds: no such parameter"),
        ],
    )
    async def test_form(self, path: str, method: str, status: int, code: str, says: str) -> None:
        async with hall() as found:
            got, document, _ = await found.get(path, method)
            refused = found.door.snapshot()["refused"]
        assert (got, document["error"]["code"]) == (status, code)
        assert says in document["error"]["message"]
        assert set(document) == {"error"}
        assert refused == {code: 1}

    async def test_a_token(self) -> None:
        async with hall("secret") as found:
            status, document, headers = await found.get("/v1/calls")
            assert (status, document["error"]["code"], headers["WWW-Authenticate"]) == (401, "unauthorized", "Bearer")
            assert (await found.get("/v1/calls", Authorization="Bearer secret"))[0] == 200
            assert (await found.get("/healthz"))[:2] == (200, {"status": "ok", "alarms": []})

    async def test_a_web_page(self) -> None:
        async with hall() as found:
            assert (await found.get("/v1/calls", Origin="https://evil.example"))[0] == 403
            assert (await found.get("/v1/calls", Host="evil.example"))[0] == 403

    async def test_a_mistake_of_ours(self, caplog: pytest.LogCaptureFixture) -> None:
        async with hall() as found:
            del found.world.engine.calls
            status, document, _ = await found.get("/v1/calls")
        assert (status, document["error"]["code"]) == (500, "internal")
        assert "GET /v1/calls failed" in caplog.text

    @pytest.mark.parametrize(
        "request_line", [b"GET /\xff HTTP/1.1", b"\x16\x03\x01\x02", b"GET http://[::1 HTTP/1.1"]
    )
    async def test_what_is_no_http_is_counted_and_not_logged(
        self, request_line: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with hall() as found:
            host, _, port = found.netloc.rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(request_line + b"\r\nHost: a\r\n\r\n")
            assert b" 400 " in await reader.read()
            writer.close()
            assert found.door.snapshot()["refused"] == {"no_http": 1}
        assert not caplog.records

    async def test_connections_beyond_the_bound_are_closed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(companion, "MAX_CONNECTIONS", 20)
        async with hall() as found:
            host, port = found.netloc.split(":")
            with ExitStack() as stack:
                clients = [
                    stack.enter_context(socket.create_connection((host, int(port)), timeout=PATIENCE_S))
                    for _ in range(companion.MAX_CONNECTIONS + 1)
                ]
                assert await asyncio.to_thread(is_closed, clients[0]), "the oldest of those that ask for nothing"
                assert found.door.turned_away == 1
                assert (await found.get("/healthz"))[0] == 200
                assert await asyncio.to_thread(is_closed, clients[1])

    async def test_who_has_shown_a_token_stays(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(companion, "MAX_CONNECTIONS", 3)
        async with hall(token="secret") as found:
            host, port = found.netloc.split(":")
            asked = b"GET /v1/calls HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer secret\r\n\r\n"
            streams = [await asyncio.open_connection(host, int(port)) for _ in range(3)]
            for reader, writer in streams[:2]:
                writer.write(asked)
                assert b" 200 " in await reader.readline()
            streams.append(await asyncio.open_connection(host, int(port)))
            assert await streams[2][0].read() == b"", "a stranger, though the youngest, makes room"
            reader, writer = streams[3]
            writer.write(asked)
            assert b" 200 " in await reader.readline()
            streams.append(await asyncio.open_connection(host, int(port)))
            with suppress(ConnectionResetError):
                assert await streams[4][0].read() == b"", "nobody goes for it"
            assert found.door.turned_away == 2
            for _, writer in streams:
                writer.close()

    async def test_one_address_does_not_take_them_all(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """But for this machine's: 127.0.0.2 stands for a stranger here."""
        monkeypatch.setattr(companion, "MAX_OF_ONE_ADDRESS", 5)
        monkeypatch.setattr(companion, "is_loopback", lambda host: host == "127.0.0.1")
        async with hall() as found:
            host, port = found.netloc.split(":")
            with ExitStack() as stack:
                clients = [
                    stack.enter_context(socket.create_connection((host, int(port)), PATIENCE_S, ("127.0.0.2", 0)))
                    for _ in range(companion.MAX_OF_ONE_ADDRESS + 1)
                ]
                assert await asyncio.to_thread(is_closed, clients[0])
                assert (await found.get("/healthz"))[0] == 200
            assert found.door.turned_away == 1

    @pytest.mark.parametrize("said", [b"", b"GET /v1/calls HTTP/1.1\r\n"])
    async def test_connections_on_which_nothing_is_asked_are_closed(
        self, said: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(companion, "IDLE_TIMEOUT_S", 0.01)
        async with hall() as found:
            host, port = found.netloc.split(":")
            with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as client:
                client.sendall(said)
                assert await asyncio.to_thread(is_closed, client)


def is_closed(client: socket.socket) -> bool:
    """Wait for the end of a connection."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


class TestServer:
    """As `ServerConfig.http` fits it."""

    async def test_it_says_where(self) -> None:
        loopback = Endpoint("127.0.0.1", 0)
        async with Server(ServerConfig(ws=loopback, http=loopback)) as server:
            assert server.addresses["http"].startswith("127.0.0.1:")
            assert server.snapshot()["companions"]["http"] == {"readers": 0, "refused": {}, "turned_away": 0}
        assert server.unfinished_sinks == []

    async def test_an_address_that_is_taken(self) -> None:
        async with hall() as found:
            taken = Endpoint("127.0.0.1", int(found.netloc.split(":")[1]))
            with pytest.raises(OSError, match=f"cannot serve HTTP on {taken}: Address already in use"):
                async with Server(ServerConfig(ws=Endpoint("127.0.0.1", 0), http=taken)):
                    pass
