"""Simulated callers who do what they do when they have heard enough, not at a time; and their clock.

They and an application's server share a clock that runs no faster than both can follow (`SharedTime`). So it is the
same conversation however slow the machine is, and it lasts no longer than it has to.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import soundfile

from media import Server, ServerConfig
from media.apps import load_app
from media.carrier import websocket
from media.carrier.options import PlaybackMode, SimulationOptions, Transport, WebSocketOptions
from media.carrier.pacing import RealTime
from media.carrier.playback import Playback
from media.carrier.simulation import Simulation, Target
from media.carrier.stream_call import END, StreamCall
from media.talk.contract import Pcm
from tests.media.recorded import LOOPBACK, SharedTime

RATE_HZ = 8000
LONGEST_S = 120
"""What a call lasts in which what is waited for never happens."""


class Ears:
    """What a caller has heard by now, since she last had the other side be quiet."""

    def __init__(self, playback: Playback, position: int) -> None:
        self._playback, self._position = playback, position

    @property
    def samples(self) -> int:
        heard = self._playback.heard
        begin = heard.clear_list[-1].position_samples if heard.clears else 0
        spans = [(max(start, begin), min(start + length, self._position)) for start, length, _ in heard.spurts()]
        return sum(max(0, end - start) for start, end in spans)

    @property
    def seconds(self) -> float:
        return self.samples / RATE_HZ

    @property
    def quiet_s(self) -> float:
        """How long nothing has been heard; negative if what is heard goes on."""
        return (self._position - self._playback.tape.end) / RATE_HZ

    @property
    def clears(self) -> int:
        return self._playback.heard.clears


Step = tuple[Callable[[Ears], bool], str]
"""When enough has been heard, and the key that is pressed then; "" is to hang up."""


class Impatient(RealTime):
    """A shared clock, until the call is over: then it is the end of the plan."""

    is_over = False

    def now_ns(self) -> int:
        return super().now_ns() + (LONGEST_S * 2_000_000_000 if self.is_over else 0)


class Attentive(StreamCall):
    """A call whose caller takes one step after another."""

    def __init__(self, *arguments: Any, steps: Sequence[Step]) -> None:
        super().__init__(*arguments)
        self._steps = list(steps)

    def do(self, action: int) -> None:
        """As every packet time; look around as well."""
        super().do(action)
        if self._steps and self._link is not None and self._link.is_open:
            is_time, key = self._steps[0]
            now_ns = self._now_ns()
            if is_time(Ears(self._playback, self._playback.position(now_ns))):
                self._steps.pop(0)
                if key:
                    self._link.send(self._write("dtmf", key, now_ns))
                else:
                    super().do(END)

    async def _close(self) -> None:
        if not self._finished.is_set():
            await super()._close()
        self._hurry()

    def _gone(self) -> None:
        super()._gone()
        if self._is_over:  # the other side has hung up
            self._finished.set()
            self._hurry()

    def _hurry(self) -> None:
        assert isinstance(self._pacer, Impatient)
        self._pacer.is_over = True


class Caller(NamedTuple):
    """What one heard, and the carrier's story of it."""

    dialect: str
    mode: str
    heard: Pcm
    story: dict[str, Any]

    def played(self, begin: int = 0, end: int = 1 << 60) -> Pcm:
        """Return what was heard, without the pauses in which the carrier had nothing to play."""
        played: Pcm = self.heard[self.where(begin, end)]
        return played

    def where(self, begin: int = 0, end: int = 1 << 60) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return the position of each sample that was played, of those from `begin` until `end`."""
        spurts = [(spurt["position"], spurt["samples"]) for spurt in self.story["spurts"]]
        where = np.concatenate([np.arange(position, position + samples) for position, samples in spurts])
        return where[(where >= begin) & (where < min(end, len(self.heard)))]


async def call_all(
    app: str,
    ways: list[tuple[str, str]],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *steps: Step,
    says: tuple[tuple[int, Path], ...] = (),
) -> list[Caller]:
    """Let a caller for each (dialect, mode) act, all at once; return what came of it.

    Args:
        says: when, in nanoseconds of the call, and what.
    """
    monkeypatch.setattr(websocket, "StreamCall", partial(Attentive, steps=steps))
    time = SharedTime()

    async def call(server: Server, seed: int, dialect: str, mode: str) -> Caller:
        telnyx = dialect == "telnyx"
        form = WebSocketOptions(dialect, ("inbound",), playback_mode=PlaybackMode(mode) if telnyx else None)
        options = SimulationOptions(Transport.WEBSOCKET, seconds=LONGEST_S, websocket=form, says=says, seed=seed)
        where = f"ws://{server.addresses['ws']}/?playback={mode}"
        to = folder / f"{dialect}-{mode}"
        await Simulation(options).run(Target(stream_url=where), Impatient(time.carriers), heard_folder=to)
        [story] = to.glob("*.json")
        heard = soundfile.read(story.with_suffix(".wav"), dtype="int16")[0]
        return Caller(dialect, mode, heard, json.loads(story.read_text()))

    config = ServerConfig(ws=LOOPBACK, playback="rtp")
    async with Server(config, clock=time, app=load_app(app)) as server:
        callers = await asyncio.gather(*(call(server, seed, *way) for seed, way in enumerate(ways)))
        time.let_run()
    return callers
