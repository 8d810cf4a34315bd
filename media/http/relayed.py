"""`Relayed`: what happens in calls of other processes, for the readers of this one's door."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class RelayedEvent:
    """An event of a worker, as readers of `media.http.events` have it.

    Attributes:
        name, call_id: of it.
        document: what it says.
    """

    name: str
    call_id: str
    document: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return self.document


class Relayed:
    """The events of all workers, for any number of readers."""

    def __init__(self, listen: Callable[[], object]) -> None:
        """Call `listen` in this event loop when a reader has come or left."""
        self._loop, self._listen = asyncio.get_running_loop(), listen
        self._lock = threading.Lock()
        self._readers: dict[object, tuple[Callable[[RelayedEvent], object], Callable[[int], object]]] = {}

    @property
    def is_wanted(self) -> bool:
        """Whether anybody reads."""
        return bool(self._readers)

    def subscribe(
        self, take: Callable[[RelayedEvent], object], lose: Callable[[int], object] = lambda events: None
    ) -> Callable[[], None]:
        """Tell `take` of all events from now on, and `lose` how many were dropped; from any thread."""
        reader = object()
        with self._lock:
            self._readers[reader] = take, lose
        self._tell()

        def unsubscribe() -> None:
            with self._lock:
                del self._readers[reader]
            self._tell()

        return unsubscribe

    def _tell(self) -> None:
        self._loop.call_soon_threadsafe(self._listen)

    def take(self, events: Iterable[bytes | msgspec.Raw], dropped: int) -> None:
        """Hand on what happened in a worker: JSON of events, and how many were dropped before them."""
        with self._lock:
            readers = list(self._readers.values())
        for raw in events:
            document = msgspec.json.decode(raw)
            event = RelayedEvent(document["event"], document["call_id"], document)
            for take, _ in readers:
                take(event)
        for _, lose in readers if dropped else ():
            lose(dropped)
