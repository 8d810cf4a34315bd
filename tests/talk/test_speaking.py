"""`LiveCall.speak` with an engine that another package brings along."""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest

from media.talk.call import LiveCall
from media.talk.contract import PlaybackError
from media.talk.handle import PlayState
from media.voices import plugins
from media.voices.contract import Speech, Voice
from strep.errors import ConfigurationError
from strep.g711 import Codec, encode
from tests.talk.live_calls import TONE, Script, serving, stream

pytestmark = pytest.mark.realtime


class ModelSpeech:
    """`TONE`, at its own rate, in two pieces."""

    rate_hz = 8000

    def __init__(self) -> None:
        self._pieces: list[bytes] = [TONE[1000:].tobytes(), TONE[:1000].tobytes()]

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._pieces:
            raise StopAsyncIteration
        return self._pieces.pop()

    async def aclose(self) -> None:
        self._pieces.clear()


asked: list[str] = []
"""Texts that the engine was to speak."""


class ModelVoices:
    """Says the same whatever the text."""

    async def voices(self) -> list[Voice]:
        return [Voice("model", "en-US")]

    async def check(self, language: str, voice: str | None) -> Voice:
        return Voice("model", language)

    async def speak(self, text: str, language: str, voice: str | None) -> Speech:
        asked.append(text)
        return ModelSpeech()


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    points = EntryPoints([EntryPoint("model", f"{__name__}:ModelVoices", plugins.GROUP)])
    monkeypatch.setattr(plugins, "entry_points", points.select)
    monkeypatch.setattr(EntryPoint, "load", lambda _: ModelVoices)
    plugins.load_voices.cache_clear()


async def test_what_it_says_is_heard() -> None:
    async def act(call: LiveCall) -> Any:
        return await (await call.speak("hello " * 10, engine="model")).wait()

    script = Script(act)
    async with serving(script) as server, stream(server) as carrier:
        await script.done.wait()
    assert (script.result.state, script.result.label) == (
        PlayState.FINISHED,
        "hello hello hello hello hello hello h...",
    )
    assert carrier.heard.startswith(encode(TONE, Codec.PCMU).tobytes())


async def test_a_text_is_checked_whatever_the_engine() -> None:
    async def act(call: LiveCall) -> Any:
        refusals = []
        for text in ("\n", "x" * 3001):
            with pytest.raises(PlaybackError) as caught:
                await call.speak(text, engine="model")
            refusals.append(str(caught.value))
        asked.clear()
        await call.speak(" one\x00two\n", engine="model")
        return refusals

    script = Script(act)
    async with serving(script) as server, stream(server):
        await script.done.wait()
    assert script.result[0] == "there is no text to speak"
    assert "3001 characters is too long to speak" in script.result[1]
    assert asked == ["one two"]


async def test_an_engine_is_made_before_there_are_calls() -> None:
    async def act(call: LiveCall) -> None:
        await call.ended()

    async with serving(Script(act)):
        assert plugins.load_voices.cache_info().currsize == 1


async def test_one_that_is_not_installed_is_named() -> None:
    async def act(call: LiveCall) -> str:
        with pytest.raises(ConfigurationError) as caught:
            await call.speak("hello", engine="madel")
        return str(caught.value)

    script = Script(act)
    async with serving(script) as server, stream(server):
        await script.done.wait()
    assert "no 'madel'; there is espeak-ng, model" in script.result
