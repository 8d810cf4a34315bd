"""A call by WebSocket at which an application asks and listens, by steps."""

from __future__ import annotations

import asyncio
import io
import json
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import soundfile

from media.blocks import PcmBatch
from media.events.kinds import DigitPressed, Source
from media.sinks.hearing import HearingSink
from media.talk.call import LiveCall
from media.talk.detections import Answered
from media.talk.gathering import Gathered
from media.talk.player import Player
from strep.clock import NS_PER_MS
from tests.hearing.audio import row_batch
from tests.sinks.rows import call_report
from tests.talk.switchboard import TONE, World, turns

FRAME = 160
MARK_STEPS = 10
"""Of 20 ms, until a mark is back."""


class Frames:
    """A wire that keeps what is sent: its names, and marks until they are due back."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.marks: deque[tuple[int, str]] = deque()
        self.steps = 0

    def send(self, message: str | bytes) -> None:
        frame = json.loads(message)
        self.sent.append(frame["event"])
        if frame["event"] == "mark":
            self.marks.append((self.steps + MARK_STEPS, frame["mark"]["name"]))


class Line(World):
    """One call of one application, which is heard as well; `say` is its caller."""

    def __init__(self, act: Callable[[LiveCall], Awaitable[Any]], *kinds: str, rate_hz: int = 8000) -> None:
        super().__init__(self._app)
        if kinds:
            self.board.hearing.kinds = frozenset(kinds)
            self.board.hearing.__init__(kinds, self.bus)  # type: ignore[misc]
        self.hearing: HearingSink = self.board.hearing
        self._act, self.position = act, 0
        self.result: Any = None
        self.told: list[dict[str, Any]] = []
        self.bus.subscribe(lambda told: self.told.append(told.to_json()))
        self.info, self.frames = self.begin(rate_hz=rate_hz), Frames()
        self.wire.send = self.frames.send  # type: ignore[method-assign]
        self.hearing.call_started(self.info)

    async def _app(self, call: LiveCall) -> None:
        self.call = call
        self.result = await self._act(call)

    async def wait(self, ms: int, step_ms: int = 20) -> None:
        """Let time go by, with the timers."""
        await turns()
        for _ in range(ms // step_ms):
            self.clock.advance(step_ms * NS_PER_MS)
            self.board._timer.tick()
            self.frames.steps += 1
            while self.frames.marks and self.frames.marks[0][0] <= self.frames.steps:
                self.board.stream_event(self.info, {"event": "mark", "name": self.frames.marks.popleft()[1]})
            await turns()

    @property
    def answered(self) -> Answered:
        assert isinstance(self.result, Answered)
        return self.result

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Give threads their time; the clock stands still."""
        while not is_so():  # noqa: ASYNC110 - threads of others
            await asyncio.sleep(0)

    async def press(self, *digits: str, source: Source = "ws", track: str = "") -> None:
        """Have the carrier tell of keys."""
        await turns()
        for digit in digits:
            self.bus.publish(self.info, DigitPressed(digit=digit, source=source, track=track))
            await turns()

    async def say(self, pcm: np.ndarray[Any, Any], channel: int = 0) -> None:
        for start in range(0, len(pcm) // FRAME * FRAME, FRAME):
            batch = row_batch([pcm[start : start + FRAME].astype(np.int16)], [0], [self.position], channel=channel)
            self.position += FRAME
            await self.wait(20)
            batch.now_ns = self.clock.now_ns()
            self.hearing.receive(batch)
        await turns()

    async def hang_up(self) -> None:
        self.end(self.info)
        self.hearing.call_ended(self.info, call_report(self.position))
        await turns()

    @property
    def player(self) -> Player:
        return self.board._playouts[0].player

    def events(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.told if event["event"] == name]

    async def close(self) -> None:
        if not self.call.has_ended:
            await self.hang_up()
        await self.board.close()
        self.hearing.receive(PcmBatch.tick(self.clock.now_ns()))
        assert not self.hearing._demands, "all that was asked for is dismissed"


def gathers(**options: Any) -> Callable[[LiveCall], Awaitable[Gathered]]:
    async def act(call: LiveCall) -> Gathered:
        return await call.gather(**options)

    return act


def wav(pcm: np.ndarray[Any, Any]) -> bytes:
    with io.BytesIO() as file:
        soundfile.write(file, pcm, 8000, format="WAV", subtype="PCM_16")
        return file.getvalue()


TONE_WAV = wav(TONE)
"""A second."""


def detects(kind: str, **rules: Any) -> Callable[[LiveCall], Awaitable[Any]]:
    async def act(call: LiveCall) -> Any:
        return await call.detect(kind, **rules)

    return act


def murmur(seconds: float, seed: int = 1) -> np.ndarray[Any, Any]:
    """Return something as lively as speech."""
    n = round(seconds * 8000)
    return np.random.default_rng(seed).normal(0, 1500, n) * (1 + 0.7 * np.sin(np.arange(n) / 8000 * 2 * np.pi * 5))
