"""The shell and clients that are hostile, slow or silent, over loopback."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from media.ws.closing import Close
from media.ws.host import StreamRefused
from media.ws.options import ConnectionOptions
from media.ws.reject import WsReject
from strep.clock import NS_PER_MS
from tests.ws.doors import PATIENT, closing, open_door
from tests.ws.fakes import connected, media, start, stop
from tests.ws.raw_client import RawClient

pytestmark = pytest.mark.realtime
SOON = ConnectionOptions(start_timeout_ns=50 * NS_PER_MS, linger_ns=50 * NS_PER_MS)


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
            ([start(body={"media_format": {"encoding": "AMR-WB", "sample_rate": 8000}})], 1003),
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
            client = await RawClient.connect(door.address, door.port)
            await client.send_text(start())
            await door.host.until("started")
            await door.host.until("detached")
            await door.settled(1)
            assert door.server.snapshot().closed == {1011: 1}
            client.writer.close()

    async def test_a_pong_that_this_side_has_not_read_yet(self) -> None:
        """A server that is behind with reading hangs up on nobody for it."""
        async with open_door(replace(PATIENT, ping_interval_s=0.05, ping_timeout_s=1)) as door, connect(door.url):
            [conversation] = door.server._desk.open
            conversation._transport.pause_reading()
            while not conversation._looks:  # noqa: ASYNC110 - nothing to wait for but this
                await asyncio.sleep(0.001)
            conversation._transport.resume_reading()
            late = conversation._pings
            while conversation._pings == late and conversation.is_open:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            assert conversation.is_open

    async def test_peer_that_vanishes(self) -> None:
        async with open_door() as door:
            client = await RawClient.connect(door.address, door.port)
            await client.send_text(start())
            await door.host.until("started")
            client.writer.transport.abort()
            await door.host.until("detached")
            await door.settled(1)
            assert door.server.snapshot().closed == {1006: 1}

    async def test_slow_peer_byte_by_byte(self) -> None:
        async with open_door() as door:
            client = await RawClient.connect(door.address, door.port)
            for byte in RawClient.text_frame(start() + " " * 10):
                client.writer.write(bytes([byte]))
                await client.writer.drain()
            await door.host.until("started")
            client.writer.write(RawClient.text_frame(media(1, 2))[:50])
            await client.writer.drain()
            client.writer.close()
            await door.host.until("detached")
            assert "media" not in door.host.calls


class TestWayBack:
    async def test_messages_in_order(self) -> None:
        async with open_door() as door, connect(door.url) as client:
            await client.send(start())
            await door.host.until("started")
            wire = door.host.starts[0].wire
            assert wire is not None
            for message in ("ä", b"\xff" * 70_000, "ö"):
                wire.send(message)
            assert [await client.recv() for _ in range(3)] == ["ä", b"\xff" * 70_000, "ö"]
            assert wire.buffered_bytes == 0
            wire.close(Close(1000, "hung up"))
            assert not wire.is_open
            wire.send("late")
            assert await closing(client) == (1000, "hung up")

    async def test_peer_that_never_reads(self) -> None:
        connection = replace(PATIENT.connection, max_unsent_bytes=10_000)
        async with open_door(replace(PATIENT, close_timeout_s=0.05, connection=connection)) as door:
            client = await RawClient.connect(door.address, door.port)
            await client.send_text(start())
            await door.host.until("started")
            wire = door.host.starts[0].wire
            assert wire is not None
            most = 0
            while wire.is_open:
                wire.send("x" * 1000)
                most = max(most, wire.buffered_bytes)
            assert 10_000 < most < 12_000
            await door.host.until("detached")
            await door.settled(1)
            assert door.server.snapshot().closed == {1008: 1}
            client.writer.close()

    async def test_peer_that_pings_and_never_reads(self) -> None:
        connection = replace(PATIENT.connection, max_unsent_bytes=10_000)
        async with open_door(replace(PATIENT, close_timeout_s=0.05, connection=connection)) as door:
            client = await RawClient.connect(door.address, door.port)
            await client.send_text(start())
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            ping = b"\x89\xfd" + bytes(4) + bytes(125)
            with contextlib.suppress(ConnectionError):
                while not client.writer.is_closing():
                    client.writer.write(ping * 1000)
                    await client.writer.drain()
            await door.host.until("detached")
            await door.settled(1)
            assert door.server.snapshot().closed == {1008: 1}
