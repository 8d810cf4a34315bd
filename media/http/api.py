"""What the routes of the HTTP door share: whom they ask (`Api`), and how replies and errors look."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Iterator

    from media.engine import Engine
    from media.events.bus import EventBus
    from media.feed.sink import FeedSink
    from media.http.streams import Stream

T = TypeVar("T")

MAX_READERS = 64
"""Readers of audio and events at once."""
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
class Api:
    """What routes may ask for.

    Attributes:
        engine: the live calls; only to be used in the media loop.
        feed: their audio.
        bus: what happens in them.
        media_loop: the event loop that drains the sockets of calls.
        readers: those of audio and events.
        is_stopping: they are to leave.
        refused: requests that ended in an error, by its code.
    """

    engine: Engine
    feed: FeedSink
    bus: EventBus
    media_loop: asyncio.AbstractEventLoop
    readers: set[Stream] = field(default_factory=set)
    is_stopping: bool = False
    refused: dict[str, int] = field(default_factory=dict)

    async def in_media_loop(self, function: Callable[[], T]) -> T:
        """Return what `function` returns, called in the media loop: it must be done in a millisecond or so."""

        async def call() -> T:
            return function()

        if self.media_loop is asyncio.get_running_loop():
            return function()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call(), self.media_loop))

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


def json_reply(document: Any, status: int = 200) -> web.Response:
    """Return a reply of JSON values."""
    return web.Response(body=msgspec.json.encode(document), status=status, content_type="application/json")


def error_reply(status: int, code: str, message: str) -> web.Response:
    """Return the reply of an error."""
    return json_reply({"error": {"code": code, "message": message}}, status)


def text(document: Any) -> str:
    """Return JSON values as the text of a message."""
    return msgspec.json.encode(document).decode()
