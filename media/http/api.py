"""What the routes of the HTTP door share: whom they ask (`Api`), and how replies and errors look."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from media.alarms.watch import report_of
from strep.clock import NS_PER_SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from media.events.bus import EventBus
    from media.feed.sink import FeedSink
    from media.http.behind import Behind
    from media.http.house import House
    from media.http.relayed import Relayed
    from media.http.streams import Stream
    from media.page.catalogue import Catalogue
    from media.page.overview import Lookout
    from media.webhooks.incoming import Incoming
    from strep.clock import Clock

HANDED_OVER = "handed_over"
"""Code of the error of a process whose calls and legs another one has; the connection is closed behind it."""
MAX_READERS = 64
"""Readers of audio and events at once."""
MAX_LARGE_BODIES = 8
"""That bring audio along, at once: each is in memory as it came, and decoded."""
HEARTBEAT_S = 20.0
"""A WebSocket whose peer does not answer a ping within half of this is closed."""
MAX_INPUT_BYTES = 4096
"""Of a message from a reader; none is expected."""


class ApiError(Exception):
    """A request that is refused; what the client gets is ``{"error": {"code": ..., "message": ...}}``."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


@dataclass
class Desk:
    """Work that only some may do at a time.

    Attributes:
        turn: held by those who do it.
        waiting: so many want to, these included.
    """

    turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    waiting: int = 0


@dataclass
class Api:
    """What routes may ask for.

    Attributes:
        house: the live calls, and the legs that may begin.
        clock: for when a request came.
        feed: the audio of calls; None where they live in other processes.
        bus: what happens in calls.
        incoming: judges webhooks of the carrier; None where none are taken.
        in_order: held while one of them is acted on.
        alarms: returns what is raised, see `media.alarms.watch.report_of`; from any thread.
        lookout: the figures of all calls; None where they live in other processes.
        recordings: those that are served; None: none are.
        disk: where requests wait that read it.
        readers: those of audio and events.
        is_stopping: they are to leave.
        refused: requests that ended in an error, by its code.
        behind: the processes in which calls live; None: it is this one.
        large_bodies: held while one is read.
    """

    house: House
    clock: Clock
    feed: FeedSink | None = None
    bus: EventBus | Relayed | None = None
    incoming: Incoming | None = None
    in_order: asyncio.Lock = field(default_factory=asyncio.Lock)
    alarms: Callable[[], dict[str, Any]] = lambda: report_of((), 0)
    lookout: Lookout | None = None
    recordings: Catalogue | None = None
    disk: Desk = field(default_factory=Desk)
    readers: set[Stream] = field(default_factory=set)
    is_stopping: bool = False
    refused: dict[str, int] = field(default_factory=dict)
    behind: Behind | None = None
    large_bodies: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_LARGE_BODIES))
    _health: tuple[int, dict[str, Any]] | None = None
    _shortage: tuple[int, str] | None = None
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def health(self) -> dict[str, Any]:
        """Return `alarms`, asked once a second at the most: strangers may ask as often as they like."""
        now_ns = self.clock.now_ns()
        if self._health is None or now_ns - self._health[0] >= NS_PER_SECOND:
            self._health = now_ns, self.alarms()
        return self._health[1]

    async def shortage(self) -> str:
        """Return why no call may begin, or nobody can say, "" if one may; asked once a second at the most."""
        async with self._asking:
            if self._shortage is None or self.clock.now_ns() - self._shortage[0] >= NS_PER_SECOND:
                try:
                    said = await self.house.shortage()
                except ApiError as error:
                    said = str(error)
                self._shortage = self.clock.now_ns(), said
            return self._shortage[1]

    @contextmanager
    def reading(self, reader: Stream) -> Iterator[None]:
        """Count a reader as long as it is one.

        Raises:
            ApiError: there are too many.
        """
        if len(self.readers) >= MAX_READERS:
            raise ApiError(503, "too_many_readers", f"there are {MAX_READERS} readers already; come back later")
        self.readers.add(reader)
        try:
            yield
        finally:
            self.readers.remove(reader)

    def stop(self) -> None:
        """Let all readers leave."""
        self.is_stopping = True
        for reader in list(self.readers):
            reader.wake()


API = web.AppKey("api", Api)


def no_such_call(call_id: str) -> ApiError:
    """Return the error of a call that is not live."""
    return ApiError(404, "no_such_call", f"there is no live call {call_id!r}; GET /v1/calls lists those that are")


def json_reply(document: Any, status: int = 200) -> web.Response:
    """Return a reply of JSON values, one line: terminals like its end."""
    return web.Response(body=msgspec.json.encode(document) + b"\n", status=status, content_type="application/json")


def error_reply(status: int, code: str, message: str) -> web.Response:
    """Return the reply of an error."""
    return json_reply({"error": {"code": code, "message": message}}, status)


def text(document: Any) -> str:
    """Return JSON values as the text of a message."""
    return msgspec.json.encode(document).decode()
