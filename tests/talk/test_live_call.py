"""Applications on a real server, over real sockets; the carrier here is a socket that keeps what it gets."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from media import Server, ServerConfig
from media.config import Endpoint
from media.talk.call import LiveCall
from media.talk.contract import PlaybackError
from media.talk.handle import PlayState
from strep.g711 import Codec, decode, encode

pytestmark = pytest.mark.realtime

LOOPBACK = Endpoint("127.0.0.1", 0)
TONE = (8000 * np.sin(np.arange(4000) * 0.3)).astype(np.int16)
LIMIT_S = 10


class Carrier:
    """One media stream of Telnyx's dialect; marks come back at once, as if it played in no time."""

    def __init__(self, socket: ClientConnection, stream_id: str) -> None:
        self.socket, self.stream_id = socket, stream_id
        self.payloads: list[bytes] = []
        self.events: list[str] = []
        self._chunk = 0

    async def start(self, **body: Any) -> None:
        media_format = {"encoding": "PCMU", "sample_rate": 8000, "channels": 1}
        await self.say("start", sequence_number="1", start={"media_format": media_format, **body})

    async def say(self, event: str, **fields: Any) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self.socket.send(json.dumps({"event": event, "stream_id": self.stream_id, **fields}))

    async def talk(self, pcm: np.ndarray[Any, np.dtype[np.int16]]) -> None:
        for start in range(0, len(pcm), 160):
            self._chunk += 1
            payload = base64.b64encode(encode(pcm[start : start + 160], Codec.PCMU).tobytes()).decode()
            number = str(self._chunk)
            media = {"track": "inbound", "chunk": number, "timestamp": str(20 * self._chunk), "payload": payload}
            await self.say("media", sequence_number=str(self._chunk + 1), media=media)

    async def until(self, samples: int) -> None:
        """Wait for so much audio."""
        while len(self.heard) < samples:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    async def listen(self) -> None:
        async for message in self.socket:
            frame = json.loads(message)
            self.events.append(frame["event"])
            if frame["event"] == "media":
                self.payloads.append(base64.b64decode(frame["media"]["payload"]))
            elif frame["event"] == "mark":
                await self.say("mark", mark=frame["mark"])

    @property
    def heard(self) -> bytes:
        return b"".join(self.payloads)


@asynccontextmanager
async def serving(app: Callable[[LiveCall], Any], **config: Any) -> AsyncIterator[Server]:
    async with asyncio.timeout(LIMIT_S):
        async with Server(ServerConfig(ws=LOOPBACK, udp=LOOPBACK, **config), app=app) as server:
            yield server


@asynccontextmanager
async def stream(
    server: Server, stream_id: str = "s1", path: str = "/?playback=rtp", **body: Any
) -> AsyncIterator[Carrier]:
    async with connect(f"ws://{server.addresses['ws']}{path}") as socket:
        carrier = Carrier(socket, stream_id)
        listening = asyncio.create_task(carrier.listen())
        await carrier.start(**body)
        yield carrier
        await carrier.say("stop")
    await listening


class Script:
    """An application that keeps what it did."""

    def __init__(self, act: Callable[[LiveCall], Any]) -> None:
        self._act = act
        self.done = asyncio.Event()
        self.result: Any = None
        self.calls: list[LiveCall] = []

    async def __call__(self, call: LiveCall) -> None:
        self.calls.append(call)
        try:
            self.result = await self._act(call)
        finally:
            self.done.set()


async def test_what_the_carrier_gets_is_what_was_played_bit_by_bit() -> None:
    async def act(call: LiveCall) -> Any:
        first = await call.play(TONE, rate_hz=8000)
        second = await call.play(TONE[:1000], rate_hz=8000, loop=2)
        await call.mark("both")
        return [await first.wait(), await second.wait()]

    script = Script(act)
    async with serving(script) as server, stream(server) as carrier:
        await script.done.wait()
        expected = np.concatenate([TONE, TONE[:1000], TONE[:1000]])
        padded = np.concatenate([expected, np.zeros(-len(expected) % 160, np.int16)])
        assert carrier.heard == encode(padded, Codec.PCMU).tobytes()
        first, *others = [len(payload) for payload in carrier.payloads]
        assert 2 * 320 <= first <= 4 * 320, "the look-ahead, as far as the call's phase has it"
        assert max(others) == 320
    assert [play.state for play in script.result] == [PlayState.FINISHED] * 2
    assert [play.position_samples for play in script.result] == [4000, 2000]
    assert server.snapshot()["talk"]["underruns"] == 0


async def test_an_application_hears_the_caller_and_reads_digits() -> None:
    async def act(call: LiveCall) -> Any:
        digits: list[str] = []

        async def read() -> None:
            async for event in call.events():
                digits.append(event.get("digit", event["event"]))

        reading = asyncio.create_task(read())
        blocks = [block async for block in call.listen(block_ms=100)]
        await reading
        return blocks, digits, await call.ended()

    script = Script(act)
    async with serving(script) as server:
        async with stream(server) as carrier:
            await asyncio.sleep(0.05)  # until it listens
            await carrier.talk(np.tile(TONE, 4))
            await carrier.say("dtmf", dtmf={"digit": "7"})
        await script.done.wait()
    blocks, digits, reason = script.result
    assert np.array_equal(
        np.concatenate([block.pcm for block in blocks]), decode(encode(np.tile(TONE, 4), Codec.PCMU), Codec.PCMU)
    )
    assert [block.position_samples for block in blocks] == list(range(0, 16_000, 800))
    assert (digits, reason) == (["7"], "stop")


async def test_playing_goes_on_on_another_socket() -> None:
    async def act(call: LiveCall) -> Any:
        return await (await call.play(np.tile(TONE, 4), rate_hz=8000)).wait()

    script = Script(act)
    async with serving(script) as server:
        async with connect(f"ws://{server.addresses['ws']}/?playback=rtp") as socket:
            first = Carrier(socket, "s1")
            await first.start()
            listening = asyncio.create_task(first.listen())
            await first.until(6400)
        await listening
        async with stream(server) as second:
            await script.done.wait()
            assert script.result.state is PlayState.FINISHED
            assert script.result.position_samples == 16_000
            whole = encode(np.tile(TONE, 4), Codec.PCMU).tobytes()
            assert whole.startswith(first.heard)
            assert second.heard
            assert whole.rstrip(b"\xff").endswith(second.heard.rstrip(b"\xff"))
    assert len(script.calls) == 1


class TestWhatGoesWrong:
    async def test_an_application_that_fails_ends_only_itself(self, caplog: pytest.LogCaptureFixture) -> None:
        async def act(call: LiveCall) -> None:
            if call.call_id == "bad":
                raise RuntimeError("a bug in it")
            await (await call.play(TONE, rate_hz=8000)).wait()

        script = Script(act)
        async with serving(script) as server, stream(server, "bad"), stream(server, "good") as good:
            await good.until(4000)
            assert server.snapshot()["calls"] == 2
        assert "a bug in it" in caplog.text
        assert server.snapshot()["talk"]["app_failures"] == 1

    @pytest.mark.parametrize(
        ("path", "body", "why"),
        [
            ("/signalwire-tap", {}, "goes one way"),
            ("/?playback=opera", {}, "neither mp3 nor rtp"),
            ("/?playback=rtp&playback_codec=amr", {}, "none of PCMU"),
            ("/?playback=rtp", {"custom_parameters": {"playback_rate": "44100"}}, "PCMU has no rate of 44100"),
        ],
    )
    async def test_a_stream_that_cannot_be_played_to_says_why(
        self, path: str, body: dict[str, Any], why: str
    ) -> None:
        async def act(call: LiveCall) -> str:
            with pytest.raises(PlaybackError) as caught:
                await call.play(TONE, rate_hz=8000)
            return str(caught.value)

        script = Script(act)
        async with serving(script) as server, connect(f"ws://{server.addresses['ws']}{path}") as socket:
            if "tap" in path:
                await socket.send('{"content-type": "audio/mulaw;rate=8000"}')
            else:
                await Carrier(socket, "s1").start(**body)
            await script.done.wait()
        assert why in script.result

    async def test_audio_that_is_none_is_an_error_of_the_play_alone(self) -> None:
        async def act(call: LiveCall) -> Any:
            with pytest.raises(PlaybackError):
                await call.play(b"this is no audio")
            with pytest.raises(ValueError, match="volume"):
                await call.play(TONE, rate_hz=8000, volume_db=99)
            with pytest.raises(PlaybackError, match="overlay"):
                await call.play(TONE, rate_hz=8000, overlay=True)
            return await (await call.play(TONE[:160], rate_hz=8000)).wait()

        script = Script(act)
        async with serving(script) as server, stream(server):
            await script.done.wait()
        assert script.result.state is PlayState.FINISHED

    async def test_a_call_that_ends_wakes_everybody(self) -> None:
        async def act(call: LiveCall) -> Any:
            play = await call.play(TONE, rate_hz=8000, loop=0)
            marked = asyncio.create_task(call.mark("never"))
            return await play.wait(), await marked, await call.ended()

        script = Script(act)
        async with serving(script) as server:
            async with stream(server) as carrier:
                await carrier.until(3200)
            await script.done.wait()
        play, was_played, reason = script.result
        assert (play.state, was_played, reason) == (PlayState.CUT_OFF, False, "stop")

    async def test_marks_of_ours_are_nobodys_business(self) -> None:
        async def act(call: LiveCall) -> Any:
            await (await call.play(TONE, rate_hz=8000)).wait()
            with pytest.raises(ValueError, match="mark"):
                await call.mark("strep.1")
            await call.mark("mine")
            await call.hang_up()
            return [event["name"] async for event in call.events() if event["event"] == "mark"]

        script = Script(act)
        async with serving(script, reconnect_grace_s=0.1) as server:
            async with connect(f"ws://{server.addresses['ws']}/?playback=rtp") as socket:
                carrier = Carrier(socket, "s1")
                await carrier.start()
                await carrier.listen()
                assert (socket.close_code, socket.close_reason) == (1000, "the application hung up")
            await script.done.wait()
        assert script.result == ["mine"]

    async def test_a_peer_that_does_not_read_is_held_and_harms_nobody(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.ERROR)

        async def act(call: LiveCall) -> Any:
            if call.call_id == "deaf":
                await call.play(np.zeros(48_000, np.int16), rate_hz=48_000, loop=0)
                return None
            return await (await call.play(TONE, rate_hz=8000)).wait()

        script = Script(act)
        async with (
            serving(script) as server,
            connect(f"ws://{server.addresses['ws']}/?playback=rtp&playback_codec=L16&playback_rate=48000") as deaf,
        ):
            await Carrier(deaf, "deaf").start()
            async with stream(server, "good") as good:
                await good.until(4000)
                assert good.heard == encode(TONE, Codec.PCMU).tobytes()
            deaf.transport.abort()
        assert not caplog.records
