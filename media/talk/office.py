"""`Office`: what the questions of all calls have in common: the timer, the ears, and who is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from media.calls import Publish
from media.sinks.contract import CallInfo
from media.sinks.hearing import Demand, HearingSink
from media.talk.timer import TalkTimer
from strep.clock import Clock
from strep.header import Direction


@dataclass(frozen=True, slots=True)
class Office:
    """What all calls ask through.

    Attributes:
        clock, timer: of the server.
        hearing: what listens to calls.
        publish: `media.events.bus.EventBus.publish`.
        call_soon: calls a function in the event loop, from any thread.
    """

    clock: Clock
    timer: TalkTimer
    hearing: HearingSink
    publish: Publish
    call_soon: Callable[[Callable[[], None]], object]

    @contextmanager
    def listening(self, call: CallInfo, kind: str, track: str) -> Iterator[None]:
        """Have a kind of `media.hearing.post.ALL_KINDS` listened for on a track, unless it is anyway."""
        if kind in self.hearing.kinds:
            yield
            return
        demand = Demand(call, direction_of(track), kind)
        self.hearing.ask(demand)
        try:
            yield
        finally:
            self.hearing.dismiss(demand)


class Core(Protocol):
    """A gathering or a detector."""

    def poll(self, now_ns: int) -> None:
        """Do what is due."""

    def deadline(self) -> int:
        """Return when `poll` is due, in ns."""


class Watch:
    """A core on the calls' timer, and a way to wait for its next change."""

    def __init__(self, core: Core, timer: TalkTimer) -> None:
        self._core, self._timer = core, timer
        self._changed = asyncio.Event()

    def poll(self, now_ns: int) -> None:
        """Do what is due; of the timer."""
        self._core.poll(now_ns)
        self._changed.set()

    def deadline(self) -> int:
        """Return when `poll` is due, in ns."""
        return self._core.deadline()

    def touch(self) -> None:
        """Take note that the core was told something."""
        self._timer.touch(self)
        self._changed.set()

    async def change(self) -> None:
        """Arm the timer, and wait until the core is told something, or was since the last time."""
        self._timer.touch(self)
        await self._changed.wait()
        self._changed.clear()


def direction_of(track: str) -> Direction:
    """Return the direction of a track by its name.

    Raises:
        ValueError: there is no such track.
    """
    try:
        return {"inbound": Direction.INBOUND, "outbound": Direction.OUTBOUND}[track]
    except KeyError:
        raise ValueError(f"track={track!r}: inbound or outbound") from None
