"""`Relay`: events of a worker for the readers of its supervisor's door (`media.http.relayed`).

Nothing is sent while nobody reads. What finds no room in the socket waits, within a bound, and then the oldest is
dropped and counted: readers are told, as those who are too slow themselves.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable

import msgspec

from media.events.bus import EventBus, Told
from media.workers.control import Happened, Listen, encode
from media.workers.speaking import Send, Speaker

MAX_WAITING = 10_000
"""Events of a worker that may wait for room; about 10 MB."""
MESSAGE_BYTES = 64 << 10
"""Of events in one message, whatever the system's least send buffer."""


class Relay:
    """Sends what happens in a worker's calls; made in its event loop."""

    def __init__(self, bus: EventBus, speaker: Speaker) -> None:
        """Send nothing before `obey`."""
        self._bus, self._speaker = bus, speaker
        speaker.news = self._tell
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._waiting: deque[bytes] = deque()
        self._dropped = 0
        self._is_due = False
        self._unsubscribe: Callable[[], None] | None = None

    def obey(self, order: Listen) -> None:
        """Begin, or cease."""
        if order.is_on and self._unsubscribe is None:
            self._unsubscribe = self._bus.subscribe(self._put)
        elif not order.is_on and self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
            with self._lock:
                self._waiting.clear()

    def _put(self, told: Told) -> None:
        """Take an event; from any thread."""
        document = msgspec.json.encode(told.to_json(), enc_hook=str)
        if len(document) > MESSAGE_BYTES:
            document = b""
        with self._lock:
            if len(self._waiting) == MAX_WAITING or not document:
                self._dropped += 1
            if document:
                if len(self._waiting) == MAX_WAITING:
                    self._waiting.popleft()
                self._waiting.append(document)
            is_news, self._is_due = not self._is_due, True
        if is_news:
            self._loop.call_soon_threadsafe(self._speaker.flush)

    def _tell(self, send: Send) -> bool:
        """Send what waits, as far as there is room; False: there is no more."""
        while (taken := self._take()) is not None:
            documents, dropped = taken
            if not send(encode(Happened([msgspec.Raw(one) for one in documents], dropped))):
                self._give_back(documents, dropped)
                return False
        return True

    def _take(self) -> tuple[list[bytes], int] | None:
        with self._lock:
            taken, size = list[bytes](), 0
            while self._waiting and size + len(self._waiting[0]) <= MESSAGE_BYTES:
                size += len(self._waiting[0])
                taken.append(self._waiting.popleft())
            dropped, self._dropped = self._dropped, 0
            if not taken and not dropped:
                self._is_due = False
                return None
            return taken, dropped

    def _give_back(self, documents: Iterable[bytes], dropped: int) -> None:
        with self._lock:
            self._waiting.extendleft(reversed(list(documents)))
            self._dropped += dropped
