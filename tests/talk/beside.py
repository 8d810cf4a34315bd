"""A call that goes wrong beside one that must not notice."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np

from media import Server, ServerConfig
from media.sockets import BoundSockets
from media.talk.call import LiveCall
from media.talk.handle import PlayState
from media.ws.conversation import Conversation
from strep.clock import NS_PER_MS, NS_PER_SECOND, ManualClock
from strep.g711 import Codec, decode, encode
from tests.media.harness import pcm_channels, sidecar
from tests.patience import PATIENCE_S
from tests.talk.live_calls import LOOPBACK, stream

WIDE = "/?playback=rtp&playback_codec=L16&playback_rate=48000"
SAID = np.random.default_rng(7).integers(-9000, 9000, 16_000).astype(np.int16)
STEP_NS = 20 * NS_PER_MS


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
    said, recorded = decode(encode(SAID, Codec.PCMU), Codec.PCMU), pcm_channels(folder / "witness.wav")
    assert np.array_equal(recorded[: len(SAID), 0], said)
    track, played = sidecar(folder, "witness")["tracks"]
    assert track["totals"]["received"] == len(SAID) == track["length_samples"]
    assert played["totals"]["received"] == len(SAID) == played["length_samples"]
    assert np.array_equal(recorded[played["start_samples"] :, 1], said)
    snapshot = server.snapshot()
    assert (snapshot["conservation_errors"], snapshot["failed_beats"], snapshot["talk"]["app_failures"]) == (0, 0, 0)
    assert server.snapshot()["doors"]["ws"]["failed"] == 0


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
