"""Applications on a real server, over real sockets."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import connect

from media.hearing.ear import Ear
from media.talk.call import LiveCall
from media.talk.contract import PlaybackError
from media.talk.handle import PlayState
from media.talk.listening import Block
from media.talk.player import MAX_PLAYS
from strep.g711 import Codec, decode, encode
from tests.hearing.audio import digits, hear, line
from tests.talk.live_calls import TONE, Carrier, Script, serving, stream

pytestmark = pytest.mark.realtime


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
        assert len(carrier.payloads[0]) >= 2 * 320, "the look-ahead"
        assert {len(payload) % 160 for payload in carrier.payloads} == {0}
    assert [play.state for play in script.result] == [PlayState.FINISHED] * 2
    assert [play.position_samples for play in script.result] == [4000, 2000]


async def test_an_application_hears_the_caller_and_reads_digits() -> None:
    async def act(call: LiveCall) -> Any:
        digits: list[str] = []

        async def read() -> None:
            async for event in call.events():
                digits.append(event.get("digit", event["event"]))

        async def hear() -> list[Block]:
            return [block async for block in call.listen(block_ms=100)]

        reading, hearing = asyncio.create_task(read()), asyncio.create_task(hear())
        await asyncio.sleep(0)  # a turn of the loop: both have begun
        is_listening.set()
        await reading
        return await hearing, digits, await call.ended()

    is_listening = asyncio.Event()
    script = Script(act)
    async with serving(script) as server:
        async with stream(server) as carrier:
            await is_listening.wait()
            await carrier.talk(np.tile(TONE, 4))
            await carrier.say("dtmf", dtmf={"digit": "7"})
        await script.done.wait()
    blocks, digits, reason = script.result
    assert np.array_equal(
        np.concatenate([block.pcm for block in blocks]), decode(encode(np.tile(TONE, 4), Codec.PCMU), Codec.PCMU)
    )
    assert [block.position_samples for block in blocks] == list(range(0, 16_000, 800))
    assert (digits, reason) == (["call_started", "7", "call_ended"], "stop")


async def test_playing_goes_on_on_another_socket() -> None:
    async def act(call: LiveCall) -> Any:
        return await (await call.play(np.tile(TONE, 4), rate_hz=8000)).wait()

    script = Script(act)
    async with serving(script) as server:
        async with connect(f"ws://{server.addresses['ws']}/?playback=rtp") as socket:
            first = Carrier(socket, "s1")
            await first.start()
            listening = asyncio.create_task(first.listen())
            await first.until_samples(6400)
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
            await good.until_samples(4000)
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
                await carrier.until_samples(3200)
            await script.done.wait()
        play, was_played, reason = script.result
        assert (play.state, was_played, reason) == (PlayState.CUT_OFF, False, "stop")

    async def test_marks_that_nobody_waits_for_any_more_take_no_room(self) -> None:
        async def act(call: LiveCall) -> Any:
            await call.play(TONE, rate_hz=8000, loop=0)
            for number in range(MAX_PLAYS):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0):
                        await call.mark(f"mark {number}")
            return await call.play(TONE, rate_hz=8000)

        script = Script(act)
        async with serving(script) as server, stream(server):
            await script.done.wait()
        assert script.result.state is PlayState.CUT_OFF

    async def test_marks_of_ours_are_nobodys_business_nor_what_no_frame_can_hold(self) -> None:
        async def act(call: LiveCall) -> Any:
            await (await call.play(TONE, rate_hz=8000)).wait()
            for name in ("strep.1", "", "x" * 201, "\ud800"):
                with pytest.raises(ValueError, match="mark"):
                    await call.mark(name)
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
                await good.until_samples(4000)
                assert good.heard == encode(TONE, Codec.PCMU).tobytes()
            deaf.transport.abort()
        assert not caplog.records


async def test_keys_that_are_pressed_are_heard() -> None:
    over = asyncio.Event()

    async def app(call: LiveCall) -> None:
        with pytest.raises(ValueError, match="digits="):
            await call.send_dtmf("5x")
        await (await call.send_dtmf("42#", duration_ms=60, pause_ms=60)).wait()
        over.set()

    async with serving(app) as server, stream(server) as carrier:
        await over.wait()
        pcm = decode(np.frombuffer(carrier.heard, np.uint8), Codec.PCMU)
    assert digits(hear(Ear({"dtmf"}), [line(pcm.astype(float), np.zeros(1600))])) == "42#"
