"""The WebSocket shell against a server of `websockets` on loopback, on a clock that jumps."""

from __future__ import annotations

import asyncio
import json
import re
import struct
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.utils import accept_key

from media.carrier.dialects.telnyx import TOKEN_HEADER
from media.carrier.network import NetworkModel
from media.carrier.options import PlaybackMode, SimulationOptions, Transport, WebSocketOptions
from media.carrier.pacing import Instant
from media.carrier.simulation import Outcome, Simulation, Target
from strep.clock import NS_PER_SECOND
from strep.errors import ConfigurationError

Reply = Callable[[ServerConnection, dict[str, Any]], Awaitable[None]]


@dataclass
class Session:
    """What the server saw of one socket."""

    headers: dict[str, str]
    frames: list[dict[str, Any]] = field(default_factory=list)
    close_code: int | None = None

    def events(self, event: str) -> list[dict[str, Any]]:
        return [frame for frame in self.frames if frame["event"] == event]


@dataclass
class Server:
    url: str = ""
    sessions: list[Session] = field(default_factory=list)


async def ignore(connection: ServerConnection, frame: dict[str, Any]) -> None:
    """The usual server of these tests only listens."""


@asynccontextmanager
async def serving(reply: Reply = ignore) -> AsyncIterator[Server]:
    server = Server()

    async def handle(connection: ServerConnection) -> None:
        assert connection.request is not None
        session = Session({name.lower(): value for name, value in connection.request.headers.raw_items()})
        server.sessions.append(session)
        try:
            async for text in connection:
                session.frames.append(json.loads(text))
                await reply(connection, session.frames[-1])
        except ConnectionClosed:
            pass
        session.close_code = connection.close_code

    async with serve(handle, "127.0.0.1", 0) as listening:
        host, port = next(iter(listening.sockets)).getsockname()
        server.url = f"ws://{host}:{port}/media"
        yield server


class WaitingFor(Instant):
    """Jumps past the call's beginning only when the far end has done something."""

    def __init__(self, event: asyncio.Event) -> None:
        super().__init__()
        self._event = event

    async def sleep_until(self, deadline_ns: int) -> None:
        if deadline_ns > NS_PER_SECOND // 2:
            await self._event.wait()
        await super().sleep_until(deadline_ns)


def options(network: NetworkModel | None = None, calls: int = 2, **websocket: Any) -> SimulationOptions:
    return SimulationOptions(
        transport=Transport.WEBSOCKET,
        calls=calls,
        seconds=1.0,
        audio=None,
        network=network or NetworkModel(),
        websocket=WebSocketOptions(**websocket),
    )


async def run(server: Server, given: SimulationOptions) -> Outcome:
    return await Simulation(given).run(Target(stream_url=server.url), Instant())


class TestStream:
    async def test_a_socket_for_each_call_from_connected_to_stop(self) -> None:
        async with serving() as server:
            outcome = await run(server, options())
        assert outcome.report.sent == 200
        assert outcome.report.closed_early == 0
        assert len(server.sessions) == 2
        for session in server.sessions:
            kinds = [frame["event"] for frame in session.frames]
            assert kinds == ["connected", "start", *["media"] * 100, "stop"]
            assert session.close_code == 1000
            assert TOKEN_HEADER not in session.headers

    async def test_truth_and_audio(self) -> None:
        simulation = Simulation(options(NetworkModel(loss=0.1, reorder=0.1, duplicate=0.1, jitter_ms=10)))
        async with serving() as server:
            outcome = await simulation.run(Target(stream_url=server.url), Instant())
        by_stream = {session.events("start")[0]["stream_id"]: session for session in server.sessions}
        for number, told in enumerate(outcome.truth.tracks):
            media = [frame["media"] for frame in by_stream[told.stream_id].events("media")]
            mine = {int(m["chunk"]): m["payload"] for m in media if m["track"] == told.direction}
            assert len(mine) == told.delivered
            assert sum(m["track"] == told.direction for m in media) == told.delivered + told.duplicated
            silence = b64encode(b"\xff" * 160).decode()
            audio = b"".join(b64decode(mine.get(chunk, silence)) for chunk in range(1, 51))
            assert audio == simulation.plan().expected_encoded(number).tobytes()

    async def test_token(self) -> None:
        async with serving() as server:
            await run(server, options(auth_token="tok-51", calls=1))
        (session,) = server.sessions
        assert session.headers[TOKEN_HEADER] == "tok-51"
        assert session.frames[0]["connected"] == {TOKEN_HEADER: "tok-51"}

    async def test_without_stop(self) -> None:
        async with serving() as server:
            await run(server, options(stop_frame=False, calls=1))
        assert server.sessions[0].frames[-1]["event"] == "media"
        assert server.sessions[0].close_code == 1000


class TestBrokenSocket:
    async def test_dials_again(self) -> None:
        given = options(calls=1, drop_at_ns=NS_PER_SECOND // 2, redial_after_ns=NS_PER_SECOND // 10)
        async with serving() as server:
            outcome = await run(server, given)
        first, second = server.sessions
        assert first.close_code == 1006
        assert second.close_code == 1000
        assert [session.frames[0]["event"] for session in server.sessions] == ["connected"] * 2
        assert first.events("start")[0]["stream_id"] == second.events("start")[0]["stream_id"]
        numbers = [int(f["sequence_number"]) for s in server.sessions for f in s.frames[1:]]
        assert numbers == sorted(set(numbers))
        received = len(first.events("media")) + len(second.events("media"))
        assert received == outcome.truth.total("delivered") == 90
        assert outcome.truth.total("lost") == 10

    async def test_far_end_closes(self) -> None:
        async def hang_up(connection: ServerConnection, frame: dict[str, Any]) -> None:
            if frame["event"] == "start":
                await connection.close()
                closed.set()

        closed = asyncio.Event()
        async with serving(hang_up) as server:
            outcome = await Simulation(options(calls=1)).run(Target(stream_url=server.url), WaitingFor(closed))
        assert outcome.report.closings == {(1000, ""): 1}
        assert outcome.report.sent < 100

    async def test_no_more_is_told_than_was_sent(self) -> None:
        """The truth is about frames that were written, and when no socket is left the simulation is over."""

        async def refuse(connection: ServerConnection, frame: dict[str, Any]) -> None:
            if frame["event"] == "media":
                await connection.close(1008, "refused: no token")
                closed.set()

        closed = asyncio.Event()
        pacer = WaitingFor(closed)
        given = replace(options(NetworkModel(loss=0.2, duplicate=0.2), calls=1), seconds=100.0)
        async with serving(refuse) as server:
            outcome = await Simulation(given).run(Target(stream_url=server.url), pacer)
        assert outcome.report.closings == {(1008, "refused: no token"): 1}
        assert pacer.now_ns() < 50 * NS_PER_SECOND
        truth = outcome.truth
        assert 1 <= truth.total("delivered") + truth.total("duplicated") == outcome.report.sent < 5_000
        assert truth.total("sent") == truth.total("delivered") + truth.total("dropped")

    async def test_a_goodbye_that_comes_with_the_answer(self) -> None:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            request = await reader.readuntil(b"\r\n\r\n")
            key = re.search(rb"Sec-WebSocket-Key: (\S+)", request, re.IGNORECASE)[1]  # type: ignore[index]
            answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            answer += f"Sec-WebSocket-Accept: {accept_key(key.decode())}\r\n\r\n"
            writer.write(answer.encode() + b"\x88\x04" + struct.pack("!H", 1008) + b"no")
            await reader.read()
            writer.close()
            await writer.wait_closed()
            done.release()

        done = asyncio.Semaphore(0)
        async with await asyncio.start_server(handle, "127.0.0.1", 0) as listening:
            host, port = listening.sockets[0].getsockname()
            outcome = await Simulation(options()).run(Target(stream_url=f"ws://{host}:{port}/"), Instant())
            for _ in range(2):
                await done.acquire()
        assert outcome.report.closings == {(1008, "no"): 2}
        assert (outcome.report.sent, outcome.truth.tracks) == (0, [])


class TestAnswers:
    async def test_marks_errors_and_audio(self) -> None:
        audio = bytes(range(160))

        async def talk(connection: ServerConnection, frame: dict[str, Any]) -> None:
            if frame["event"] == "start":
                await connection.send('{"event":"mark","mark":{"name":"at-once"}}')
                media = {"event": "media", "media": {"payload": b64encode(audio * 1_000).decode()}}
                await connection.send(json.dumps(media))
                await connection.send('{"event":"mark","mark":{"name":"cleared"}}')
                await connection.send('{"event":"clear"}')
                await connection.send("rubbish")
            elif frame["event"] == "error":
                told.set()

        told = asyncio.Event()

        async with serving(talk) as server:
            target = Target(stream_url=server.url)
            given = options(calls=1, playback_mode=PlaybackMode.RTP)
            outcome = await Simulation(given).run(target, WaitingFor(told))
        (session,) = server.sessions
        assert [frame["mark"]["name"] for frame in session.events("mark")] == ["at-once", "cleared"]
        assert [frame["payload"]["code"] for frame in session.events("error")] == [100003]
        numbers = [int(f["sequence_number"]) for f in session.frames if "sequence_number" in f]
        assert sorted(numbers) == list(range(1, len(numbers) + 1))
        (playback,) = outcome.report.playbacks
        assert (playback.heard.message_bytes, playback.heard.cut_samples) == (160_000, 160_000)

    async def test_a_mark_comes_back_when_its_audio_has_been_played(self) -> None:
        async def talk(connection: ServerConnection, frame: dict[str, Any]) -> None:
            if frame["event"] == "start":
                media = {"event": "media", "media": {"payload": b64encode(bytes(160)).decode()}}
                await connection.send(json.dumps(media))
                await connection.send('{"event":"mark","mark":{"name":"played"}}')
            elif frame["event"] == "mark":
                returned.set()

        returned = asyncio.Event()

        async with serving(talk) as server:
            given = options(calls=1, playback_mode=PlaybackMode.RTP)
            await Simulation(given).run(Target(stream_url=server.url), WaitingFor(returned))
        assert [frame["mark"]["name"] for frame in server.sessions[0].events("mark")] == ["played"]


class TestRefusal:
    async def test_nobody_there(self) -> None:
        async with serving() as server:
            url = server.url
        with pytest.raises(ConfigurationError, match="ws: cannot open"):
            await Simulation(options()).run(Target(stream_url=url), Instant())

    async def test_wrong_token(self) -> None:
        def refuse(connection: ServerConnection, request: Request) -> Response:
            return connection.respond(HTTPStatus.UNAUTHORIZED, "no\n")

        async def handle(connection: ServerConnection) -> None:
            raise AssertionError

        async with serve(handle, "127.0.0.1", 0, process_request=refuse) as listening:
            host, port = next(iter(listening.sockets)).getsockname()
            with pytest.raises(ConfigurationError, match="401"):
                await Simulation(options()).run(Target(stream_url=f"ws://{host}:{port}/"), Instant())

    async def test_not_a_url(self) -> None:
        with pytest.raises(ConfigurationError, match="cannot open"):
            await Simulation(options()).run(Target(stream_url="nonsense"), Instant())
