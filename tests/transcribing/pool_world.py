"""A pool of engines with streams, of which the workers are scripts."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from media.sinks.contract import CallInfo
from media.transcribing.contract import Result, Word
from media.transcribing.limits import Limits
from media.transcribing.messages import Done, Finish, Give, Order, Ready, Reply
from media.transcribing.plugins import EngineChoice
from media.transcribing.pool import Pool
from media.transcribing.streams import Outcome, Stream
from strep.clock import NS_PER_SECOND, ManualClock
from tests.sinks.rows import call_info

LIMITS = Limits(workers=2, backlog_s=3, ahead_s=1, load_s=60, hang_s=5, close_s=4, strikes=2, backoff_s=0.5)
PIECE = 800


class FakeLink:
    """A worker: what it was told, and what it is to say."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.says: list[Reply] = []
        self.ended: str | None = None
        self.is_killed = self.is_dismissed = False
        self.buried_s: float | None = None

    def send(self, order: Order) -> None:
        assert not self.is_killed
        self.orders.append(order)

    def receive(self) -> list[Reply]:
        said, self.says = self.says, []
        return said

    def end(self) -> str | None:
        return self.ended

    def dismiss(self) -> None:
        self.is_dismissed = True

    def bury(self, timeout_s: float) -> None:
        assert self.is_dismissed
        self.buried_s = timeout_s

    def kill(self) -> None:
        self.is_killed = True

    def given(self) -> list[Give | Finish]:
        return [order for order in self.orders if isinstance(order, Give | Finish)]


class World:
    def __init__(self, limits: Limits = LIMITS) -> None:
        self.clock = ManualClock(1000 * NS_PER_SECOND)
        self.links: list[FakeLink] = []
        self.pool = Pool(EngineChoice("fake"), self.start, limits, self.clock)
        self.numbers = itertools.count(1)
        self.told: list[Outcome] = []
        self.no_process = False
        self.make_link = FakeLink

    def start(self) -> FakeLink:
        if self.no_process:
            raise OSError(12, "Cannot allocate memory")
        self.links.append(self.make_link())
        return self.links[-1]

    def stream(self, call: CallInfo | None = None, track: str = "inbound", wants_partials: bool = True) -> Stream:
        number = next(self.numbers)
        stream = Stream(number, call or call_info(number), track, "fake", wants_partials)
        self.pool.add(stream)
        return stream

    def speak(self, stream: Stream, position: int, pieces: int = 1, pause: bool = False) -> list[Outcome]:
        told: list[Outcome] = []
        for piece in range(pieces):
            told += self.pool.put(stream, position + piece * PIECE, np.zeros(PIECE, np.int16), self.clock.now_ns())
        if pause:
            told += self.pool.put(stream, position + pieces * PIECE, None, self.clock.now_ns())
        return told

    def poll(self, seconds: float = 0.0) -> list[Outcome]:
        self.clock.advance(round(seconds * NS_PER_SECOND))
        told = self.pool.poll(self.clock.now_ns())
        self.told += told
        return told

    def ready(self, link: FakeLink, rate_hz: int = 16_000) -> None:
        link.says.append(Ready(rate_hz))

    def answer(
        self, link: FakeLink, *, count: int | None = None, say: Callable[[Finish], list[Result]] = lambda _: []
    ) -> None:
        """Let a worker do what it was told last and has not done."""
        done = getattr(link, "done", 0)
        orders = link.given()[done:][:count]
        link.done = done + len(orders)  # type: ignore[attr-defined]
        for order in orders:
            results = say(order) if isinstance(order, Finish) else []
            link.says.append(Done(order.item, order.stream, results))


def result(text: str, *spans: tuple[int, int], is_final: bool = True) -> Result:
    return Result(text, is_final, [Word(word, *span) for word, span in zip(text.split(), spans, strict=True)])


def one_stream() -> tuple[World, Stream, FakeLink]:
    """Return a stream whose worker is ready."""
    world = World()
    stream = world.stream()
    world.poll()
    [link] = world.links
    world.ready(link)
    world.poll()
    return world, stream, link
