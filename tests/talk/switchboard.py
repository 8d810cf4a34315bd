"""An engine with a switchboard, and streams that connect to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np

from media.codecs import Encoding
from media.events.bus import EventBus
from media.sinks.contract import CallInfo, CallReport
from media.sinks.queue import CallEnded, CallStarted
from media.talk.call import LiveCall
from media.talk.mode import PlaybackMode
from media.talk.switchboard import Switchboard
from media.ws.host import StreamStart
from strep.clock import NS_PER_SECOND, ManualClock
from tests.media.test_stream_listeners import FakeWire

TONE = np.full(8000, 5000, np.int16)


class World:
    """A switchboard, and a clock that stands still."""

    def __init__(self, app: Callable[[LiveCall], Awaitable[None]]) -> None:
        self.clock = ManualClock(NS_PER_SECOND)
        self.bus = EventBus(self.clock)
        self.board = Switchboard(app, PlaybackMode("rtp"), self.clock, self.bus)
        self.board.start()

    def begin(self, call_id: str = "c", index: int = 0, rate_hz: int = 8000) -> CallInfo:
        """Begin a call whose carrier takes what is sent."""
        info = CallInfo(index, call_id, "ws", 0, rate_hz)
        self.board.put(CallStarted(info))
        self.wire = Sent()
        start = StreamStart(call_id, Encoding("PCMU"), wire=self.wire)
        self.board.stream_attached(info, start, lambda: self.end(info))
        return info

    def end(self, info: CallInfo) -> None:
        self.board.put(CallEnded(info, CallReport("stop", 0, 0, [])))


async def turns(n: int = 10) -> None:
    """Let everybody have some turns of the loop; no time goes by."""
    for _ in range(n):
        await asyncio.sleep(0)


class Sent(FakeWire):
    """Takes everything."""

    def send(self, message: str | bytes) -> None:
        pass


class App:
    """An application that does `act` and keeps what came of it."""

    def __init__(self, act: Callable[[LiveCall], Awaitable[Any]]) -> None:
        self._act = act
        self.results: dict[str, Any] = {}

    async def __call__(self, call: LiveCall) -> None:
        self.results[call.call_id] = await self._act(call)
