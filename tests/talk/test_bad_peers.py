"""Carriers that hardly read, close amid a message, or send what is none."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import connect

from media.sockets import BoundSockets
from media.talk.call import LiveCall
from media.talk.handle import PlayState
from media.talk.playout import MAX_BUFFERED_BYTES
from media.ws.description import MAX_TEXT_CHARACTERS
from tests.talk.beside import WIDE, Traced, World, beside_a_witness
from tests.talk.live_calls import TONE, stream
from tests.talk.test_bad_input import Once
from tests.ws.doors import closing
from tests.ws.raw_client import RawClient, close_frame

pytestmark = pytest.mark.realtime

LOOK_AHEAD_BYTES = 16_384
"""More than what is sent in one go, 120 ms of L16 at 48 kHz, has in base64 and JSON."""


def start(stream_id: str) -> str:
    media_format = {"encoding": "PCMU", "sample_rate": 8000, "channels": 1}
    return json.dumps({"event": "start", "stream_id": stream_id, "start": {"media_format": media_format}})


def narrow() -> BoundSockets:
    """Return a door whose connections have small buffers in the kernel, so that a peer is soon behind."""
    door = socket.create_server(("127.0.0.1", 0))
    door.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return BoundSockets(ws=door)


@asynccontextmanager
async def raw(world: World, *, little: bool = False) -> AsyncIterator[RawClient]:
    async with await RawClient.connect("127.0.0.1", world.port, WIDE, little=little) as client:
        yield client


async def play_for_ever(call: LiveCall) -> None:
    await call.play(np.zeros(48_000, np.int16), rate_hz=48_000, loop=0)
    await call.ended()


class TestPeers:
    @pytest.mark.parametrize("bytes_per_second", [0, 1])
    async def test_one_that_hardly_reads(self, bytes_per_second: int, tmp_path: Path) -> None:
        """Sending stops at a bound; the next ping without a pong ends the connection."""
        async with beside_a_witness(tmp_path, play_for_ever, narrow()) as world, raw(world, little=True) as deaf:
            await deaf.send_text(start("deaf"))
            await world.until(lambda: world.server.snapshot()["talk"]["stalls"] > 0)
            conversation = world.conversation("deaf")
            traced = Traced()
            for _ in range(20):
                await deaf.reader.readexactly(bytes_per_second)
                await world.run(1)
                # A lower bound would be one of what the kernel takes. Played on, it would be 2.5 MB in the end.
                assert conversation.buffered_bytes <= MAX_BUFFERED_BYTES + LOOK_AHEAD_BYTES
            assert traced.grown_bytes() < 1 << 20
            conversation._ping()
            conversation._expect_pong()
            assert (await deaf.rest()).endswith(close_frame(1011, "no pong within 20 s: does not read, or is gone"))
            deaf.writer.close()
            await world.until(lambda: world.door()["connections"] == 1)
            assert world.door()["closed"] == {"1011": 1}

    async def test_one_that_reads_nothing_and_is_told_too_much(self, tmp_path: Path) -> None:
        """What is sent at once, clears and marks, is bounded as well."""

        async def act(call: LiveCall) -> None:
            await call.mark("attached")
            assert call._playout is not None
            assert call._playout.wire is not None
            while call._playout.wire.is_open:
                call._playout.wire.send("x" * 1000)
            await call.ended()

        async with beside_a_witness(tmp_path, act, narrow()) as world, raw(world, little=True) as deaf:
            await deaf.send_text(start("deaf"))
            await world.run(0.1)
            await deaf.reader.readuntil(b"}}")
            await deaf.send_text(json.dumps({"event": "mark", "stream_id": "deaf", "mark": {"name": "attached"}}))
            frame = (await deaf.rest()).rpartition(b"\x88")[2]
            assert frame[1:3] == (1008).to_bytes(2, "big")
            assert frame[3:].startswith(b"does not read: 26")

    @pytest.mark.parametrize("cut", [1, 3, 7, 9, 50, -1])
    async def test_one_that_closes_within_a_message(self, cut: int, tmp_path: Path) -> None:
        async with beside_a_witness(tmp_path, play_for_ever) as world, raw(world) as client:
            await client.send_text(start("gone"))
            await world.until(lambda: world.door()["connections"] == 2)
            message = json.dumps({"event": "mark", "stream_id": "gone", "mark": {"name": "x" * 100}})
            client.writer.write(RawClient.text_frame(message)[:cut])
            await client.writer.drain()
            client.writer.transport.abort()
            await world.until(lambda: world.door()["connections"] == 1)
            assert world.door()["closed"] == {"1006": 1}
            assert world.door()["rejected"] == {}, "half a message is none"
            await world.run(5.1)  # more than the grace for reconnecting
            assert world.server.snapshot()["calls"] == 1

    async def test_one_that_sends_binary(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        async with beside_a_witness(tmp_path, play_for_ever) as world:
            async with connect(f"ws://127.0.0.1:{world.port}{WIDE}") as socket:
                await socket.send(start("binary"))
                for _ in range(100):
                    await socket.send(bytes(160))
                code, reason = await closing(socket)
            assert code == 1003
            said = "100 malformed messages in a row, last: binary message; media frames of this dialect are JSON text"
            assert reason == f"{said}; 160 bytes"
            assert world.door()["rejected"] == {"BINARY": 100}
        told = [record.getMessage() for record in caplog.records if "binary" in record.getMessage()]
        assert len(told) == 1, "one line, not a hundred"
        assert told[0].startswith("stream binary from 127.0.0.1 port ")

    async def test_one_that_returns_marks_which_were_never_sent(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """They are counted, told of once, and no proof of anything; long names are not kept."""
        caplog.set_level(logging.WARNING, "strep.talk")

        async def act(call: LiveCall) -> Any:
            play = await (await call.play(TONE, rate_hz=8000)).wait()
            names = [event["name"] async for event in call.events() if event["event"] == "mark"]
            return play, names

        app = Once(act)
        async with beside_a_witness(tmp_path, app) as world:
            traced = Traced()
            async with stream(world.server, "odd") as odd:
                for number in range(200):
                    name = ("strep.1" if number == 0 else f"{number}") + "x" * 100_000 * (number > 1)
                    await odd.say("mark", mark={"name": name})
                await world.until(lambda: world.door()["messages"] >= 200)
                await world.until(lambda: len(odd.heard) >= len(TONE))
                await world.run(0.5)
            await world.until(lambda: app.is_done)
            assert traced.grown_bytes() < 4 << 20, "20 MB of names"
            assert world.server.snapshot()["talk"]["marks_unknown"] == 200
        play, names = app.result
        assert (play.state, play.position_samples) == (PlayState.FINISHED, len(TONE))
        assert max(map(len, names)) == MAX_TEXT_CHARACTERS
        told = [record.getMessage() for record in caplog.records if "never sent" in record.getMessage()]
        assert told == ["call odd: mark 'strep.1' came back, which was never sent: ignored"]
