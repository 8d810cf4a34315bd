"""The shell over loopback: a real client, a fake host. Nothing here sleeps; every wait is for an event."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
from dataclasses import replace
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from media.admission.credentials import AUTH_HEADER
from media.ws.server import MediaWebSocketServer
from strep.clock import ManualClock
from tests.ws.doors import PATIENT, closing, open_door
from tests.ws.fakes import STREAM_ID, FakeHost, connected, dtmf, media, start, stop

pytestmark = pytest.mark.realtime


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
            assert (told.handshake.credentials, told.handshake.path) == (("tok",), "/media")
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
        texts = [record.getMessage() for record in caplog.records if record.name == "media.ws.desk"]
        assert any("for '/media'" in text for text in texts)
        assert any(f"stream {STREAM_ID}, 1 messages, 0 rejected" in text for text in texts)


def test_frames_of_the_fakes_are_json() -> None:
    frames: list[Any] = [json.loads(text) for text in (connected(), start(), media(1), dtmf("5", 1), stop())]
    assert [frame["event"] for frame in frames] == ["connected", "start", "media", "dtmf", "stop"]
