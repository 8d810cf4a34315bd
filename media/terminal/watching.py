"""Shell: `Watcher`, threads that follow a server's events and ask for its calls, through its restarts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Queue
from typing import Any

import click

from media.terminal.board import Sweep
from media.terminal.client import Door, ServerRefuses

LOOK_EVERY_S = 1.0
PAUSES_S = (0.5, 1.0, 2.0, 4.0, 5.0)
"""Before a connection is tried again; the last, from then on."""
MAX_WAITING = 10_000
"""Messages that wait here; beyond that the server's queue fills, and it tells how many it dropped."""
BUSY, WORKERS = 503, 501


@dataclass(frozen=True, slots=True)
class Happened:
    """An event."""

    event: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """A reply about some calls, and whether with it all have been asked for."""

    total: int
    calls: list[dict[str, Any]]
    is_last: bool


@dataclass(frozen=True, slots=True)
class Raised:
    """What ``/v1/alarms`` says."""

    report: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Lost:
    """There is no connection; it is tried again."""

    reason: str
    again_in_s: float


@dataclass(frozen=True, slots=True)
class FoundAgain:
    """There is one again."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Nothing more will come."""

    error: click.ClickException


Message = Happened | Seen | Raised | Lost | FoundAgain | Failed


def pauses() -> Iterator[float]:
    """Yield how long to wait before each further attempt."""
    yield from PAUSES_S
    while True:
        yield PAUSES_S[-1]


class Watcher:
    """Puts `Message`s into `messages`; its threads end with the process, or when it is closed."""

    def __init__(self, door: Door, calls: str, kinds: frozenset[str], *, looks: bool) -> None:
        """Follow events of calls by pattern and of kinds by name; `looks`: also ask for calls and alarms."""
        self.messages: Queue[Message] = Queue(MAX_WAITING)
        self._door, self._calls, self._kinds = door, calls, kinds
        self._closing = threading.Event()
        self._connected = threading.Event()
        self._threads = [threading.Thread(target=self._guarded, args=(self._follow,), daemon=True)]
        if looks:
            self._threads.append(threading.Thread(target=self._guarded, args=(self._look,), daemon=True))

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Let the threads end; one that waits for the server ends with the process."""
        self._closing.set()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except click.ClickException as error:
            self.messages.put(Failed(error))
        except Exception as error:
            self.messages.put(Failed(click.ClickException(f"the server says what is not understood: {error!r}")))

    def _follow(self) -> None:
        """Follow events; the first connection must be had, later ones are waited for."""
        was_connected, waits_s = False, pauses()
        while not self._closing.is_set():
            try:
                with self._door.events(self._calls, sorted(self._kinds)) as events:
                    if was_connected:
                        self.messages.put(FoundAgain())
                    was_connected, waits_s = True, pauses()
                    self._connected.set()
                    for event in events:
                        self.messages.put(Happened(event))
                reason = "the server has stopped"
            except click.ClickException as error:
                if not was_connected or not _passes(error):
                    raise
                reason = error.format_message()
            self._connected.clear()
            wait_s = next(waits_s)
            self.messages.put(Lost(reason, wait_s))
            self._closing.wait(wait_s)

    def _look(self) -> None:
        """Ask for calls and alarms, as long as there is a connection."""
        sweep = Sweep()
        while not self._closing.is_set():
            if self._connected.wait(LOOK_EVERY_S):
                try:
                    self._look_once(sweep)
                except click.ClickException as error:
                    if not _passes(error):
                        raise
                self._closing.wait(LOOK_EVERY_S)

    def _look_once(self, sweep: Sweep) -> None:
        for offset, limit, is_last in sweep.pages():
            total, calls = self._door.page(offset, limit)
            sweep.saw(total)
            self.messages.put(Seen(total, calls, is_last))
        self.messages.put(Raised(self._door.get("/v1/alarms")))


def _passes(error: click.ClickException) -> bool:
    """Whether it is worth while to try again."""
    return not isinstance(error, ServerRefuses) or error.status == BUSY
