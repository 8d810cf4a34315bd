"""What is told of plays, on a real server whose carrier plays in no time."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from media.talk.call import LiveCall
from tests.talk.live_calls import TONE, Script, serving, stream

pytestmark = pytest.mark.realtime
TOLD = ("playback_started", "playback_ended")


async def told(act: Any, **body: Any) -> list[dict[str, Any]]:
    """Run an application, and return what everybody is told of its plays."""
    said: list[dict[str, Any]] = []
    script = Script(act)
    async with serving(script) as server:
        server.bus.subscribe(lambda one: said.append(one.to_json()) if one.event.NAME in TOLD else None)
        async with stream(server, **body):
            await script.done.wait()
    return said


def brief(said: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    return [tuple(one[name] for name in ("event", "kind", "status") if name in one) for one in said]


async def test_a_play_that_is_heard_to_its_end() -> None:
    async def act(call: LiveCall) -> None:
        await (await call.play(TONE, rate_hz=8000)).wait()

    began, ended = await told(act)
    assert (began["event"], began["kind"], began["overlay"]) == ("playback_started", "play", False)
    assert began["playback_id"] == ended["playback_id"]
    assert "source" not in began, "an array has no name"
    about = {name: ended[name] for name in ("status", "heard_ms", "track")}
    assert about == {"status": "completed", "heard_ms": 500, "track": "outbound"}


async def test_each_play_has_one_end_also_one_that_was_never_heard() -> None:
    async def act(call: LiveCall) -> None:
        await call.play(np.tile(TONE, 20), rate_hz=8000)
        await call.play(TONE, rate_hz=8000)
        async for event in call.events():
            if event["event"] == "playback_started":
                await call.clear()
                return

    said = await told(act)
    ends = [("playback_ended", "play", "cancelled")] * 2
    assert brief(said) == [("playback_started", "play"), *ends]
    assert said[1]["heard_ms"] > 0
    assert said[2]["heard_ms"] == 0


async def test_one_that_is_cut_off_by_the_end_of_the_call() -> None:
    async def act(call: LiveCall) -> None:
        await call.play(np.tile(TONE, 20), rate_hz=8000)

    said = await told(act)
    assert brief(said)[-1] == ("playback_ended", "play", "call_hangup")


async def test_one_whose_source_breaks_off_says_why() -> None:
    async def broken() -> Any:
        yield TONE.tobytes()
        raise OSError("the network")

    async def act(call: LiveCall) -> None:
        await (await call.play(broken(), rate_hz=8000)).wait()

    ended = (await told(act))[-1]
    assert (ended["status"], "the network" in ended["error"]) == ("failed", True)


async def test_keys_are_told_apart() -> None:
    async def act(call: LiveCall) -> None:
        await (await call.send_dtmf("1", duration_ms=40, pause_ms=40)).wait()

    assert brief(await told(act)) == [("playback_started", "keys"), ("playback_ended", "keys", "completed")]


async def test_speech_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    class Speech:
        rate_hz = 8000

        def __init__(self) -> None:
            self._parts = iter([TONE])

        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> Any:
            try:
                return next(self._parts)
            except StopIteration:
                raise StopAsyncIteration from None

        async def aclose(self) -> None:
            pass

    class Engine:
        async def speak(self, *_: Any) -> Speech:
            return Speech()

    monkeypatch.setattr("media.talk.call.load_voices", functools.cache(lambda _: Engine()))

    async def act(call: LiveCall) -> None:
        await (await call.speak("secret")).wait()

    said = await told(act)
    assert brief(said) == [("playback_started", "speak"), ("playback_ended", "speak", "completed")]
    assert "secret" not in repr(said), "what is said is the application's business"
