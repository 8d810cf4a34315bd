"""The shell over loopback: a real client, a fake host. Nothing here sleeps; every wait is for an event."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from media.ws.host import StreamRefused
from media.ws.protocol import ConnectionOptions
from media.ws.reject import WsReject
from media.ws.server import AUTH_HEADER, MediaWebSocketServer, WsServerOptions
from strep.clock import NS_PER_MS, Clock, ManualClock
from tests.ws.fakes import STREAM_ID, FakeHost, connected, dtmf, media, start, stop

pytestmark = pytest.mark.realtime

PATIENT = WsServerOptions(ping_interval_s=3600, ping_timeout_s=3600)
SOON = ConnectionOptions(start_timeout_ns=50 * NS_PER_MS, linger_ns=50 * NS_PER_MS)


class Door:
    """A running server and its host."""

    def __init__(self, options: WsServerOptions, clock: Clock | None = None) -> None:
        self.host = FakeHost()
        self.server = MediaWebSocketServer(self.host, options, clock)
        self.address, self.port = "", 0

    @property
    def url(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"ws://{host}:{self.port}/media"

    async def settled(self, connections: int) -> None:
        """Wait until so many connections have been opened and closed again."""
        while sum(self.server.snapshot().closed.values()) < connections:  # noqa: ASYNC110
            await asyncio.sleep(0)  # a turn of the loop, no time


@asynccontextmanager
async def open_door(options: WsServerOptions = PATIENT, clock: Clock | None = None) -> AsyncIterator[Door]:
    door = Door(options, clock)
    door.address, door.port = await door.server.start()
    try:
        yield door
    finally:
        await door.server.close()
        snapshot = door.server.snapshot()
        assert snapshot.connections == 0
        assert snapshot.received == snapshot.accepted + sum(snapshot.rejected.values())
        assert all(handle.attached == 0 for handle in door.host.streams.values())


async def closing(client: ClientConnection) -> tuple[int | None, str | None]:
    """Read until the server closes, and return how it did."""
    try:
        while True:
            await client.recv()
    except ConnectionClosed:
        return client.close_code, client.close_reason


class TestStream:
    async def test_from_connected_to_stop(self) -> None:
        payload = os.urandom(160)
        async with open_door() as door:
            async with connect(door.url, additional_headers={AUTH_HEADER: "tok"}) as client:
                assert client.response is not None
                assert "Sec-WebSocket-Extensions" not in client.response.headers, "compression is off"
                for frame in (connected(), start(), media(1, 2, payload=payload), dtmf("5", 3), stop()):
                    await client.send(frame)
                await door.host.until("stopped")
            await door.settled(1)
            (told,) = door.host.starts
            assert (told.auth_token, told.handshake.path) == ("tok", "/media")
            assert told.handshake.remote.startswith("127.0.0.1 port ")
            assert door.host.calls == ["started", "media", "event", "stopped"]
            assert door.host.streams[STREAM_ID].media[0][2] == payload
            assert door.server.snapshot().closed == {1000: 1}
            assert door.server.snapshot().accepted == 5

    async def test_fragments(self) -> None:
        async with open_door() as door, connect(door.url) as client:
            text = start()
            await client.send([text[:20], text[20:21], "", text[21:]])
            await door.host.until("started")

    async def test_second_connection_for_the_same_stream(self) -> None:
        async with open_door() as door:
            async with connect(door.url) as first:
                await first.send(start())
                await first.send(media(1, 2))
                await door.host.until("media", 1)
                async with connect(door.url) as second:
                    await second.send(start(sequence_number=3))
                    await second.send(media(2, 4))
                    await door.host.until("media", 2)
                    assert door.host.streams[STREAM_ID].attached == 2
                await door.host.until("detached", 1)
                await first.send(media(3, 5))
                await door.host.until("media", 3)
            await door.host.until("detached", 2)
            placements = [placement for _, placement, _ in door.host.streams[STREAM_ID].media]
            assert [p.sequence_number for p in placements] == [1, 2, 3]

    async def test_ipv6(self) -> None:
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError:
            pytest.skip("no IPv6 on this machine")
        async with open_door(replace(PATIENT, host="::1")) as door, connect(door.url) as client:
            await client.send(start())
            await door.host.until("started")


class TestHostileClients:
    async def test_garbage_and_binary(self) -> None:
        async with open_door() as door, connect(door.url) as client:
            for message in ("nonsense", b"\x00\xff", '{"event":"media"}', '{"event":"x"}', media(1)):
                await client.send(message)
            await client.send(start())
            await door.host.until("started")
            rejects = dict.fromkeys(
                (
                    WsReject.NOT_JSON,
                    WsReject.BINARY,
                    WsReject.BAD_FIELD,
                    WsReject.UNKNOWN_EVENT,
                    WsReject.BEFORE_START,
                ),
                1,
            )
            assert door.server.snapshot().rejected == rejects

    async def test_nothing_but_garbage(self) -> None:
        async with open_door() as door, connect(door.url) as client:
            for _ in range(100):
                await client.send("[")
            code, reason = await closing(client)
            assert (code, (reason or "")[:33]) == (1007, "100 malformed messages in a row, ")

    async def test_text_that_is_not_utf8(self) -> None:
        async with open_door() as door, connect(door.url) as client:
            await client.send(start())
            await client.send(b'{"event":"\xff"}', text=True)
            assert (await closing(client))[0] == 1007
            await door.host.until("detached")

    async def test_a_start_of_another_stream_ends_nothing(self) -> None:
        async with open_door() as door, connect(door.url) as client:
            for frame in (start(), start("another"), media(1, 2)):
                await client.send(frame)
            await door.host.until("media")
            assert door.server.snapshot().rejected == {WsReject.OTHER_STREAM: 1}

    async def test_too_large(self) -> None:
        async with open_door(replace(PATIENT, max_message_bytes=4096)) as door, connect(door.url) as client:
            await client.send(start())
            await client.send(media(1, payload=bytes(4096)))
            assert (await closing(client))[0] == 1009
            await door.host.until("detached")
            await door.settled(1)
            assert door.server.snapshot().closed == {1009: 1}

    async def test_too_large_in_fragments(self) -> None:
        async with open_door(replace(PATIENT, max_message_bytes=4096)) as door, connect(door.url) as client:
            with pytest.raises(ConnectionClosed):
                await client.send("x" * 1024 for _ in range(1 << 20))
            assert client.close_code == 1009

    @pytest.mark.parametrize(
        ("frames", "code"),
        [
            ([start(body={"media_format": {"encoding": "OPUS", "sample_rate": 8000}})], 1003),
            ([start(None)], 1002),
        ],
    )
    async def test_closed_with_a_reason(self, frames: list[str], code: int) -> None:
        async with open_door() as door, connect(door.url) as client:
            for frame in frames:
                await client.send(frame)
            found, reason = await closing(client)
            assert found == code
            assert reason

    async def test_refused_by_the_host(self) -> None:
        async with open_door() as door, connect(door.url) as client:
            door.host.refusal = StreamRefused(1008, "wrong token")
            await client.send(start())
            assert await closing(client) == (1008, "wrong token")

    async def test_host_that_fails(self) -> None:
        async with open_door() as door:
            door.host.failure = RuntimeError("broken")
            async with connect(door.url) as client:
                await client.send(start())
                assert await closing(client) == (1011, "internal error")
            door.host.failure = None
            async with connect(door.url) as client:
                await client.send(start())
                await door.host.until("started", 2)


class TestTime:
    async def test_half_open_that_never_starts(self) -> None:
        async with open_door(replace(PATIENT, connection=SOON)) as door, connect(door.url) as client:
            await client.send(connected())
            assert await closing(client) == (1002, "no start frame within 0.05 s")

    async def test_stopped_but_never_closed(self) -> None:
        async with open_door(replace(PATIENT, connection=replace(SOON, start_timeout_ns=1 << 50))) as door:
            async with connect(door.url) as client:
                await client.send(start())
                await client.send(stop())
                assert await closing(client) == (1000, "stream stopped")
            assert door.host.calls == ["started", "stopped"]

    async def test_started_streams_may_be_silent(self) -> None:
        async with open_door(replace(PATIENT, connection=SOON)) as door, connect(door.url) as silent:
            await silent.send(start())
            await door.host.until("started")
            async with connect(door.url) as other:
                await closing(other)  # takes as long as the limit for a start frame
            await silent.send(media(1, 2))
            await door.host.until("media")

    async def test_handshake_that_never_comes(self) -> None:
        async with open_door(replace(PATIENT, open_timeout_s=0.05)) as door:
            reader, writer = await asyncio.open_connection(door.address, door.port)
            assert await reader.read() == b""
            writer.close()
            assert (door.server.snapshot().opened, door.server.snapshot().bad_handshakes) == (0, 1)

    async def test_peer_that_answers_no_ping(self) -> None:
        options = replace(PATIENT, ping_interval_s=0.05, ping_timeout_s=0.05, close_timeout_s=0.05)
        async with open_door(options) as door:
            client = await RawClient.connect(door)
            await client.send_text(start())
            await door.host.until("started")
            await door.host.until("detached")
            await door.settled(1)
            assert door.server.snapshot().closed == {1011: 1}
            client.writer.close()

    async def test_peer_that_vanishes(self) -> None:
        async with open_door() as door:
            client = await RawClient.connect(door)
            await client.send_text(start())
            await door.host.until("started")
            client.writer.transport.abort()
            await door.host.until("detached")
            await door.settled(1)
            assert door.server.snapshot().closed == {1006: 1}

    async def test_slow_peer_byte_by_byte(self) -> None:
        async with open_door() as door:
            client = await RawClient.connect(door)
            for byte in RawClient.text_frame(start() + " " * 10):
                client.writer.write(bytes([byte]))
                await client.writer.drain()
            await door.host.until("started")
            client.writer.write(RawClient.text_frame(media(1, 2))[:50])
            await client.writer.drain()
            client.writer.close()
            await door.host.until("detached")
            assert "media" not in door.host.calls


class TestDoor:
    async def test_plain_http_gets_an_explanation(self) -> None:
        async with open_door() as door:
            reader, writer = await asyncio.open_connection(door.address, door.port)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = (await reader.read()).decode()
            writer.close()
            assert answer.startswith("HTTP/1.1 426 ")
            assert "Upgrade: websocket" in answer
            assert "stream_url" in answer
            assert door.server.snapshot().turned_away == {426: 1}
            assert door.server.snapshot().bad_handshakes == 0

    @pytest.mark.parametrize(
        ("request_line", "told"),
        [
            (b"\x16\x03\x01\x02\x00\x01\n\n", "it speaks TLS"),
            (b"SSH-2.0-x\r\n\r\n", "it began with b'SSH-2.0-x"),
            (b"GET /\r\n\r\n", "it began with b'GET /"),
            (b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n", "answered with 4"),
            (b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 500 + b"\r\n", "no WebSocket handshake"),
        ],
    )
    async def test_what_is_no_handshake_is_dropped_and_counted(
        self, request_line: bytes, told: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with open_door() as door:
            reader, writer = await asyncio.open_connection(door.address, door.port)
            writer.write(request_line)
            await reader.read()
            writer.close()
            while not door.server.snapshot().bad_handshakes:  # noqa: ASYNC110
                await asyncio.sleep(0)
            snapshot = door.server.snapshot()
            assert (snapshot.opened, snapshot.bad_handshakes, snapshot.turned_away) == (0, 1, {})
        assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
        (text,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert text.startswith("connection from 127.0.0.1 port ")
        assert told in text

    async def test_many_of_them_are_one_line(self, caplog: pytest.LogCaptureFixture) -> None:
        async with open_door(clock=ManualClock()) as door:
            for _ in range(20):
                reader, writer = await asyncio.open_connection(door.address, door.port)
                writer.write(os.urandom(2000) + b"\n")
                writer.write_eof()
                await reader.read()
                writer.close()
            while door.server.snapshot().bad_handshakes < 20:  # noqa: ASYNC110
                await asyncio.sleep(0)
        assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1

    async def test_a_probe_without_a_byte_is_counted_and_not_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        async with open_door() as door:
            _, writer = await asyncio.open_connection(door.address, door.port)
            writer.close()
            while not door.server.snapshot().bad_handshakes:  # noqa: ASYNC110
                await asyncio.sleep(0)
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]

    async def test_good_handshakes_and_refusals_are_none_of_these(self) -> None:
        async with open_door() as door:
            async with connect(door.url) as client:
                await client.send(start())
                await door.host.until("started")
            await door.settled(1)
            assert door.server.snapshot().bad_handshakes == 0

    async def test_limit_on_connections(self) -> None:
        async with open_door(replace(PATIENT, max_connections=1)) as door:
            async with connect(door.url) as first:
                await first.send(start())
                await door.host.until("started")
                with pytest.raises(InvalidStatus) as refused:
                    await connect(door.url)
                assert refused.value.response.status_code == 503
            await door.settled(1)
            async with connect(door.url) as third:
                await third.send(start())
                await door.host.until("started", 2)
            assert door.server.snapshot().turned_away == {503: 1}

    async def test_stopping(self) -> None:
        async with open_door() as door:
            clients = [await connect(door.url) for _ in range(3)]
            for client in clients[:2]:
                await client.send(start())
            await door.host.until("started", 2)
            reading = [asyncio.create_task(closing(client)) for client in clients]
            await door.server.close()
            assert await asyncio.gather(*reading) == [(1001, "server stopping")] * 3
            assert door.host.calls.count("detached") == 2
            await door.server.close()

    async def test_close_without_start(self) -> None:
        await MediaWebSocketServer(FakeHost()).close()

    async def test_port_in_use(self) -> None:
        async with open_door() as door:
            again = MediaWebSocketServer(FakeHost(), replace(PATIENT, port=door.port))
            with pytest.raises(OSError, match="in use"):
                await again.start()

    async def test_opening_and_closing_are_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO):
            async with open_door() as door:
                async with connect(door.url) as client:
                    await client.send(start())
                    await door.host.until("started")
                await door.settled(1)
        texts = [record.getMessage() for record in caplog.records if record.name == "media.ws.server"]
        assert any("for '/media'" in text for text in texts)
        assert any(f"stream {STREAM_ID}, 1 messages, 0 rejected" in text for text in texts)


class RawClient:
    """A client that does the opening handshake and then only what it is told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, door: Door) -> RawClient:
        reader, writer = await asyncio.open_connection(door.address, door.port)
        key = base64.b64encode(bytes(16)).decode()
        writer.write(
            f"GET /media HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        return cls(reader, writer)

    @staticmethod
    def text_frame(text: str) -> bytes:
        """Return a masked text frame of 126 to 65535 bytes (RFC 6455 section 5.2)."""
        payload = text.encode()
        return b"\x81" + bytes([0x80 | 126]) + len(payload).to_bytes(2, "big") + bytes(4) + payload

    async def send_text(self, text: str) -> None:
        self.writer.write(self.text_frame(text))
        await self.writer.drain()


def test_frames_of_the_fakes_are_json() -> None:
    frames: list[Any] = [json.loads(text) for text in (connected(), start(), media(1), dtmf("5", 1), stop())]
    assert [frame["event"] for frame in frames] == ["connected", "start", "media", "dtmf", "stop"]
