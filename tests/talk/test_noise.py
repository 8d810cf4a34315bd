"""Noise suppression as an application switches it while its call goes on."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from media import PerCall
from media.denoising.rules import Denoised
from media.events.bus import EventBus
from media.sinks.queue import CallEnded, CallStarted
from media.talk.call import LiveCall
from media.talk.mode import PlaybackMode
from media.talk.switchboard import Switchboard
from strep.clock import ManualClock
from strep.errors import UsageError
from strep.g711 import Codec, decode
from strep.header import Direction
from tests.denoising.sounds import as_pcm, denoised, hiss, level_db
from tests.hearing.audio import row_batch
from tests.sinks.rows import call_info, call_report
from tests.talk.live_calls import Script, serving, stream
from tests.talk.test_listening import pass_turns

NOISE = as_pcm(hiss(6, 1000))


class Listener:
    """An application that listens to its caller, and the sink's thread, turn by turn."""

    def __init__(self) -> None:
        clock = ManualClock()
        self.board = Switchboard(self._app, PlaybackMode(), clock, EventBus(clock))
        self.board.start()
        self.sink = self.board.listening
        self.events: list[tuple[str, int | None, str]] = []
        self.heard = np.full(len(NOISE), 7777, np.int16)
        self.told = 0
        self.call: LiveCall | None = None

    async def _app(self, call: LiveCall) -> None:
        self.call = call
        async for block in call.listen():
            assert (self.heard[block.position_samples :][: len(block.pcm)] == 7777).all()
            self.heard[block.position_samples :][: len(block.pcm)] = block.pcm
            self.told += len(block.pcm)

    async def begin(self, *, on: bool) -> LiveCall:
        self.sink.denoise([Direction.INBOUND] if on else [], self._publish)
        self.info = call_info()
        self.board.put(CallStarted(self.info))
        self.sink.call_started(self.info)
        await pass_turns()
        assert self.call is not None
        return self.call

    def _publish(self, _: Any, event: Any) -> None:
        self.events.append((event.state, event.position_samples, event.sink))

    async def say(self, start: int, end: int) -> None:
        for position in range(start, end, 160):
            self.sink.receive(row_batch([NOISE[position : position + 160]], [0], [position]))
        await pass_turns()

    async def end(self) -> None:
        self.sink.call_ended(self.info, call_report(0))
        self.board.put(CallEnded(self.info, call_report(0)))
        await pass_turns()


async def test_what_an_application_hears() -> None:
    listener = Listener()
    call = await listener.begin(on=False)
    await listener.say(0, 16_000)
    call.suppress_noise()
    await listener.say(16_000, 40_000)
    assert listener.told == 40_000 - 160, "20 ms are held"
    call.suppress_noise(on=False)
    await listener.say(40_000, 48_000)
    assert listener.told == 48_000
    await listener.end()
    assert listener.events == [("started", 16_000, "applications"), ("stopped", 40_000, "applications")]
    assert np.array_equal(listener.heard[:16_000], NOISE[:16_000])
    assert np.array_equal(listener.heard[40_000:], NOISE[40_000:])
    quiet = denoised(NOISE[16_000:].astype(float))[: 24_000 - 160]
    np.testing.assert_allclose(listener.heard[16_000 : 40_000 - 160], quiet, atol=0.6)


async def test_on_from_the_start_for_whoever_listens() -> None:
    listener = Listener()
    await listener.begin(on=True)
    await listener.say(0, 48_000)
    await listener.end()
    assert listener.told == 48_000, "the last of it, too"
    np.testing.assert_allclose(listener.heard, denoised(NOISE.astype(float)), atol=0.6)


async def test_what_cannot_be() -> None:
    listener = Listener()
    call = await listener.begin(on=False)
    with pytest.raises(ValueError, match="inbound, outbound or both"):
        call.suppress_noise("left")
    with pytest.raises(ValueError, match="list of names"):
        call.suppress_noise(sinks="applications")
    with pytest.raises(UsageError, match="'recording', only of applications: see --denoise"):
        call.suppress_noise(sinks=["applications", "recording"])
    await listener.say(0, 160)
    assert not listener.events, "all of it or nothing"
    await listener.end()


@pytest.mark.realtime
async def test_sinks_that_it_was_put_in_front_of() -> None:
    """An installed transcriber is switched by its name; the application is told when it is so."""

    async def act(call: LiveCall) -> Any:
        call.suppress_noise(sinks=["transcriber"])
        is_on.set()
        async for event in call.events():
            if event["event"] == "noise_suppression":  # before the end: what a sink tells later comes too late
                return event

    is_on = asyncio.Event()
    script = Script(act)
    pieces: list[np.ndarray] = []
    sink = PerCall(lambda call, direction, position, pcm: pieces.append(pcm), name="transcriber")
    denoise = (Denoised("transcriber", "none"),)
    async with serving(script, [sink], denoise=denoise) as server, stream(server) as carrier:
        await is_on.wait()
        await carrier.talk(NOISE)
        await script.done.wait()
    assert sum(map(len, pieces)) == len(NOISE)
    assert level_db(np.concatenate(pieces)[-16_000:]) < 60 - 12
    event = script.result
    assert {name: event[name] for name in ("track", "state", "sink", "position_ms")} == {
        "track": "inbound",
        "state": "started",
        "sink": "transcriber",
        "position_ms": 0,
    }


@pytest.mark.realtime
async def test_what_is_played() -> None:
    async def act(call: LiveCall) -> Any:
        play = await call.play(NOISE[:16_000], rate_hz=8000, denoise=True)
        return await play.wait()

    script = Script(act)
    async with serving(script) as server, stream(server) as carrier:
        await script.done.wait()
        heard = decode(np.frombuffer(carrier.heard, np.uint8), Codec.PCMU)
    assert len(heard) == 16_000
    assert level_db(heard[12_000:]) < 60 - 9
    assert script.result.position_samples == 16_000
