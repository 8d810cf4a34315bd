"""`Slot`: a place for a worker of an engine: watched, killed and replaced. Sans-I/O: links and time are given."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from media.transcribing.limits import Limits
from media.transcribing.messages import Done, Order, Polls, Ready, Refused, Reply, Said, Setup
from media.transcribing.streams import Item, Stream
from strep.clock import NEVER_NS, NS_PER_SECOND


class Link(Protocol):
    """A worker; see `media.transcribing.process.EngineProcess`. Nothing of it waits, but for `bury`."""

    def send(self, order: Order) -> None:
        """Send it an order."""

    def receive(self) -> list[Reply]:
        """Return what it said; ValueError: it does not speak as it should."""

    def end(self) -> str | None:
        """Return how it ended, None if it has not."""

    def dismiss(self) -> None:
        """Let it end; it has nothing more to say."""

    def bury(self, timeout_s: float) -> None:
        """Wait so long for the end of one that is dismissed, the only thing that waits; then end it."""

    def kill(self) -> None:
        """End it."""


class WorkerFailed(Exception):
    """A worker died, hung, or cannot be used; the text says how.

    Attributes:
        kind: the counter of it: "hung", "died" or "refused".
    """

    def __init__(self, kind: str, how: str) -> None:
        super().__init__(how)
        self.kind = kind


@dataclass(slots=True)
class Slot:
    """One place.

    Attributes:
        streams: those that it serves, the one that is next first.
        link: the worker, if there is one.
        engine_rate_hz: see `Ready`; None until it is loaded.
        unanswered: what it was given and has not done, by number, the oldest first.
        ahead_ns: speech among it.
        retry_ns: when another worker may begin.
        polled: the recognizer that it is asking for what has come by itself, 0 for none.
    """

    index: int
    limits: Limits
    streams: deque[Stream] = field(default_factory=deque)
    link: Link | None = None
    engine_rate_hz: int | None = None
    unanswered: dict[int, tuple[Stream, Item]] = field(default_factory=dict)
    ahead_ns: int = 0
    retry_ns: int = 0
    polled: int = 0
    _started_ns: int = 0
    _alive_ns: int = 0  # its last sign of life, or since when it has something to do
    _failures: int = 0

    @property
    def has_room(self) -> bool:
        """Whether it may be given more."""
        return self.engine_rate_hz is not None and self.ahead_ns < self.limits.ahead_s * NS_PER_SECOND

    def begin(self, start: Callable[[], Link], setup: Setup, now_ns: int) -> None:
        """Start a worker.

        Raises:
            WorkerFailed: there is none to be had.
        """
        self._started_ns = self._alive_ns = now_ns
        try:
            self.link = start()
        except OSError as error:
            raise WorkerFailed("died", f"cannot be started: {error.strerror}") from error
        self.link.send(setup)

    def give(self, number: int, stream: Stream, item: Item, order: Order, now_ns: int) -> None:
        """Give the worker something."""
        assert self.link is not None
        if not self.unanswered:
            self._alive_ns = now_ns
        self.unanswered[number] = (stream, item)
        self.ahead_ns += item.length_samples * NS_PER_SECOND // stream.rate_hz
        stream.unanswered += 1
        self.link.send(order)

    def answers(self, now_ns: int) -> Iterator[tuple[Done | Said, Item | None]]:
        """Yield what the worker says, for `Done` with what it is done with; then look whether it lives.

        Raises:
            WorkerFailed: it does not.
        """
        if self.link is None:
            return
        try:
            for reply in self.link.receive():
                self._alive_ns = now_ns
                if isinstance(reply, Ready):
                    self.engine_rate_hz = reply.engine_rate_hz
                elif isinstance(reply, Refused):
                    raise WorkerFailed("refused", f"cannot be used: {reply.reason}")
                elif isinstance(reply, Polls):
                    self.polled = reply.stream
                elif isinstance(reply, Done):
                    yield reply, self._done(reply.item)
                elif isinstance(reply, Said):
                    yield reply, None
        except ValueError as error:  # msgspec's errors are
            raise WorkerFailed("died", f"does not speak as it should: {error}") from error
        ended = self.link.end()
        if ended is not None:
            raise WorkerFailed("died", ended)
        if now_ns >= self.deadline():
            raise WorkerFailed("hung", "hung")

    def _done(self, number: int) -> Item:
        if number not in self.unanswered:
            raise ValueError(f"item {number} was not asked for")
        stream, item = self.unanswered.pop(number)
        stream.unanswered -= 1
        self.ahead_ns -= item.length_samples * NS_PER_SECOND // stream.rate_hz
        return item

    def deadline(self) -> int:
        """Return when it counts as hung, or may begin."""
        if self.link is None:
            return self.retry_ns if self.streams else NEVER_NS
        if self.engine_rate_hz is None:
            return self._alive_ns + round(self.limits.load_s * NS_PER_SECOND)
        is_busy = self.unanswered or self.polled
        return self._alive_ns + round(self.limits.hang_s * NS_PER_SECOND) if is_busy else NEVER_NS

    def fail(self, now_ns: int) -> tuple[Stream | None, float]:
        """Kill the worker; return what it was busy with, and the seconds until another one begins."""
        self.kill()
        if self.polled:
            culprit = next((stream for stream in self.streams if stream.recognizer == self.polled), None)
        else:  # it answers in order, so the oldest is what it was about
            culprit = next((stream for stream, _ in self.unanswered.values()), None)
        self.unanswered.clear()
        self.ahead_ns = self.polled = 0
        is_steady = now_ns - self._started_ns >= self.limits.steady_s * NS_PER_SECOND
        self._failures = 1 if is_steady or culprit is not None else self._failures + 1
        pause_ns = self.limits.pause_ns(self._failures)
        self.retry_ns = now_ns + pause_ns
        return culprit, pause_ns / NS_PER_SECOND

    def dismiss(self) -> Link | None:
        """Let the worker end; return it."""
        link, self.link, self.engine_rate_hz = self.link, None, None
        if link is not None:
            link.dismiss()
        return link

    def kill(self) -> None:
        """End the worker."""
        link, self.link, self.engine_rate_hz = self.link, None, None
        if link is not None:
            link.kill()
