"""Bad input, from sources and from peers: a clear error or close code, only that call notices, memory is bounded.

Every test has a witness: another call on the same server, before, beside and after what goes wrong. What it is played
and what is recorded of it must be bit by bit what it would be alone. The server's clock is moved by hand.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media.talk.call import LiveCall
from media.talk.contract import PlaybackError
from media.talk.handle import PlayState
from media.talk.sources import open_source
from tests.talk.beside import Traced, beside_a_witness, files
from tests.talk.live_calls import TONE, stream
from tests.talk.sources.listening import file_of, hum
from tests.talk.sources.test_urls import HERE, LONG, PART_BYTES
from tests.talk.sources.test_urls import answer as http_answer
from tests.talk.sources.test_urls import server as web_server

pytestmark = pytest.mark.realtime


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
