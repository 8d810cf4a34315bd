"""Bad input, from sources and from peers: a clear error or close code, only that call notices, memory is bounded.

Every test has a witness: another call on the same server, before, beside and after what goes wrong. What it is played
and what is recorded of it must be bit by bit what it would be alone. The server's clock is moved by hand.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import socket
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import connect

from media import Server, ServerConfig
from media.sockets import BoundSockets
from media.talk.call import LiveCall
from media.talk.contract import PlaybackError
from media.talk.handle import PlayState
from media.talk.playout import MAX_BUFFERED_BYTES
from media.talk.sources import open_source
from media.ws.conversation import Conversation
from media.ws.description import MAX_TEXT_CHARACTERS
from strep.clock import NS_PER_MS, NS_PER_SECOND, ManualClock
from strep.g711 import Codec, decode, encode
from tests.media.harness import pcm_channels, sidecar
from tests.patience import PATIENCE_S
from tests.talk.live_calls import LOOPBACK, TONE, stream
from tests.talk.sources.listening import file_of, hum
from tests.talk.sources.test_urls import HERE, LONG, PART_BYTES
from tests.talk.sources.test_urls import answer as http_answer
from tests.talk.sources.test_urls import server as web_server
from tests.ws.doors import closing
from tests.ws.raw_client import RawClient, close_frame

pytestmark = pytest.mark.realtime

WIDE = "/?playback=rtp&playback_codec=L16&playback_rate=48000"
SAID = np.random.default_rng(7).integers(-9000, 9000, 16_000).astype(np.int16)
STEP_NS = 20 * NS_PER_MS
LOOK_AHEAD_BYTES = 16_384
"""More than what is sent in one go, 120 ms of L16 at 48 kHz, has in base64 and JSON."""


class World:
    """A server whose time passes when it is told to."""

    def __init__(self, server: Server, clock: ManualClock) -> None:
        self.server, self._clock = server, clock

    async def run(self, seconds: float) -> None:
        """Let time go by, and everybody have a turn in every step of it."""
        for _ in range(round(seconds * NS_PER_SECOND / STEP_NS)):
            await self._step()

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Let time go by until something is so; the test's limit of time is the limit."""
        while not is_so():
            await self._step()

    async def _step(self) -> None:
        self._clock.advance(STEP_NS)
        switchboard = self.server._switchboard
        assert switchboard is not None
        timer = switchboard._timer
        if timer._armed is not None:
            timer._armed.cancel()
        timer.tick()
        self.server.doors._pulse._drain_safely(self._clock.now_ns())
        for _ in range(3):
            await asyncio.sleep(0)  # turns of the loop: no time

    def conversation(self, stream_id: str) -> Conversation:
        """Return the server's end of a socket."""
        assert self.server.doors._ws is not None
        open_ones = self.server.doors._ws._desk.open
        return next(one for one in open_ones if one.connection.snapshot().stream_id == stream_id)

    @property
    def port(self) -> int:
        return int(self.server.addresses["ws"].rpartition(":")[2])

    def door(self) -> dict[str, Any]:
        door: dict[str, Any] = self.server.snapshot()["doors"]["ws"]
        return door


@asynccontextmanager
async def beside_a_witness(
    folder: Path, act: Callable[[LiveCall], Any], sockets: BoundSockets | None = None
) -> AsyncIterator[World]:
    """Run a server with `act` for every call but the witness, who talks and is played to; check that it was well."""
    clock = ManualClock(NS_PER_SECOND)
    finished: list[PlayState] = []

    async def app(call: LiveCall) -> None:
        if call.call_id == "witness":
            finished.append((await (await call.play(SAID, rate_hz=8000)).wait()).state)
        else:
            await act(call)

    config = ServerConfig(ws=LOOPBACK, record=folder, idle_timeout_s=86_400)  # days may go by in a test
    async with asyncio.timeout(PATIENCE_S), Server(config, clock=clock, app=app, sockets=sockets) as server:
        world = World(server, clock)
        async with stream(server, "witness") as witness:
            await witness.talk(SAID[:8000])
            await world.run(0.5)
            yield world
            await witness.talk(SAID[8000:])
            await world.until(lambda: bool(finished))
            await witness.until(lambda: len(witness.heard) >= len(SAID))
    assert finished == [PlayState.FINISHED]
    assert witness.heard == encode(SAID, Codec.PCMU).tobytes()
    recorded = pcm_channels(folder / "witness.wav")[:, 0]
    assert np.array_equal(recorded, decode(encode(SAID, Codec.PCMU), Codec.PCMU))
    track = sidecar(folder, "witness")["tracks"][0]
    assert track["totals"]["received"] == len(SAID) == track["length_samples"]
    snapshot = server.snapshot()
    assert (snapshot["conservation_errors"], snapshot["failed_beats"], snapshot["talk"]["app_failures"]) == (0, 0, 0)
    assert server.snapshot()["doors"]["ws"]["failed"] == 0


class Once:
    """An application that does one thing in one call, and remembers what came of it."""

    def __init__(self, act: Callable[[LiveCall], Any]) -> None:
        self._act, self.is_done = act, False
        self.result: Any = None

    async def __call__(self, call: LiveCall) -> None:
        try:
            self.result = await self._act(call)
        finally:
            self.is_done = True


def files(folder: Path) -> dict[str, Any]:
    """Return what cannot be played, and what is said of it."""
    (folder / "empty.wav").touch()
    (folder / "page.mp3").write_text("<!doctype html><p>Not found")
    return {
        str(folder / "empty.wav"): "empty.wav is empty: was it written yet?",
        str(folder / "page.mp3"): "page.mp3 is no audio that can be decoded",
        str(folder / "none.wav"): "none.wav cannot be opened: No such file",
        "http://127.0.0.1:9/a.wav": "127.0.0.1 is no address of the public internet, which is not allowed; fetch it",
        "http://example.com/" + "a" * 9000: "a URL of 9019 characters; 8000 are allowed",
    }


class TestSources:
    async def test_what_cannot_be_played_is_an_error_of_that_play(self, tmp_path: Path) -> None:
        bad: dict[Any, str] = files(tmp_path) | {
            b"": "no bytes in it: give all bytes of an audio file",
            b"this is no audio": "is no audio that can be decoded",
            file_of(np.zeros(0, np.int16), 8000): "has no audio in it that can be decoded",
        }

        async def act(call: LiveCall) -> Any:
            said = []
            for source in bad:
                with pytest.raises(PlaybackError) as caught:
                    await call.play(source)
                said.append(str(caught.value))
            return said, (await (await call.play(TONE, rate_hz=8000)).wait()).state

        app = Once(act)
        async with beside_a_witness(tmp_path / "rec", app) as world, stream(world.server, "bad"):
            await world.until(lambda: app.is_done)
        said, state = app.result
        assert state is PlayState.FINISHED, "the call goes on"
        for text, expected in zip(said, bad.values(), strict=True):
            assert expected in text
            assert "\n" not in text

    async def test_a_url_that_stalls_midway_fails_its_play_when_it_was_heard_so_far(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("media.talk.call.open_source", partial(open_source, urls=HERE))

        async def act(call: LiveCall) -> Any:
            play = await call.play(url)
            is_open.set()
            stalled = await play.wait()
            return stalled, (await (await call.play(TONE, rate_hz=8000)).wait()).state

        app, is_open = Once(act), asyncio.Event()
        with web_server(http_answer(LONG[:PART_BYTES], length=len(LONG)), hangs=True) as (url, _):
            async with beside_a_witness(tmp_path, app) as world, stream(world.server, "bad"):
                await is_open.wait()
                await world.until(lambda: app.is_done)
        stalled, after = app.result
        assert (stalled.state, after) == (PlayState.FAILED, PlayState.FINISHED)
        assert "stalled (0.5 s to connect, 0.3 s without a byte are allowed); fetch it first" in str(stalled.error)
        assert 100_000 < stalled.position_samples < 150_000

    @pytest.mark.parametrize("path", ["/?playback=rtp", "/?playback=mp3"])
    async def test_ten_hours_take_no_more_memory_than_a_minute(self, path: str, tmp_path: Path) -> None:
        long = sparse_wav(tmp_path / "long.wav", seconds=36_000)

        async def act(call: LiveCall) -> None:
            await call.play(long)
            await call.ended()

        async with beside_a_witness(tmp_path / "rec", act) as world, stream(world.server, "bad", path) as bad:
            await world.until(lambda: len(bad.payloads) > 0)
            await world.run(10)
            before_bytes, traced = resident_bytes(), Traced()
            for _ in range(6):
                await world.run(10)
                bad.payloads.clear()
            assert traced.grown_bytes() < 1 << 20
            assert resident_bytes() - before_bytes < 16 << 20, "ten hours of PCM are 576 MB"


def sparse_wav(path: Path, seconds: int) -> Path:
    """Write a WAV of a second of hum and nothing else, which takes no room on the disk."""
    samples = 8000 * seconds
    header = bytearray(file_of(hum(8000), 8000)[:44])
    header[4:8] = (36 + 2 * samples).to_bytes(4, "little")
    header[40:44] = (2 * samples).to_bytes(4, "little")
    path.write_bytes(header + hum(8000).tobytes())
    os.truncate(path, 44 + 2 * samples)
    return path


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


class Traced:
    """Memory of Python and numpy since it was made."""

    def __init__(self) -> None:
        tracemalloc.start()
        gc.collect()
        self._before_bytes = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()

    def grown_bytes(self) -> int:
        """Return the growth at its highest, and stop."""
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak_bytes - self._before_bytes


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
