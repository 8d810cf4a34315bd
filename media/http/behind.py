"""`Behind`: the HTTP doors of workers, which the supervisor's asks for what lives with them: audio and levels.

A worker's door serves the same paths to its supervisor as a server does to the world. So what is wanted of one call
is fetched from the worker that has it, what is wanted of all from all: `media.http.pcm_all`, `media.http.watch_all`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import ClientWebSocketResponse, WSMessage, WSMsgType

if TYPE_CHECKING:
    from media.feed.subscription import Subscription
    from media.http.streams import Stream

RETRY_S = 0.5
"""Until a worker is asked again that was not there; its successor is within milliseconds, as a rule."""
REPLACED = 1012, "the worker that had the call is being replaced"
STOPPING = 1001, "the server is stopping"
ENDED = 1000, "the call has ended"
_HOST = "http://localhost"
_GONE = (OSError, aiohttp.ClientError, TimeoutError)
Closing = tuple[int, str]
"""What a WebSocket is closed with: code and reason."""
Say = Callable[[ClientWebSocketResponse], Awaitable[Closing]]
Take = Callable[[WSMessage], Awaitable[None]]


class Behind:
    """Used in the event loop of the HTTP door, `snapshot` in any thread.

    Attributes:
        paths, whose: as given.
        waiting: what waits for readers of audio here, not in a worker.
        cut_off: of these readers, those that were too slow.
    """

    def __init__(self, paths: Sequence[Path], whose: Callable[[str], Awaitable[int | None]]) -> None:
        """Know the Unix sockets of the workers by their numbers, and by `whose` which of them has a live call."""
        self.paths, self.whose = paths, whose
        self.waiting: set[Subscription] = set()
        self.cut_off = 0

    def snapshot(self) -> dict[str, Any]:
        """Return counters, to be added to those of the workers' feeds."""
        waiting_bytes = sum(subscription.waiting_bytes for subscription in list(self.waiting))
        return {"waiting_bytes": waiting_bytes, "cut_off": self.cut_off}

    @asynccontextmanager
    async def connect(self, worker: int, path: str) -> AsyncIterator[ClientWebSocketResponse]:
        """Open a WebSocket at a worker's door; what fails is one of `_GONE`."""
        connector = aiohttp.UnixConnector(str(self.paths[worker]))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.ws_connect(_HOST + path, compress=0, max_msg_size=0) as upstream,
        ):
            yield upstream

    async def hear(self, worker: int, path: str, take: Take, say: Say | None = None) -> Closing:
        """Give `take` what a worker says, to its end, while `say` tells it something.

        Returns how it closed, `REPLACED` if it did not; `ENDED` if what it was asked for is not there any more.
        """
        try:
            async with self.connect(worker, path) as upstream:
                works = [_receive(upstream, take)] + ([say(upstream)] if say is not None else [])
                return await first_of(works)
        except aiohttp.WSServerHandshakeError as error:
            return ENDED if error.status == HTTPStatus.NOT_FOUND else REPLACED
        except _GONE:
            return REPLACED

    async def follow(
        self, worker: int, path: str, take: Take, lose: Callable[[], Awaitable[None]], say: Say | None = None
    ) -> Closing:
        """Give `take` what a worker says, and what its successors say; tell `lose` between them."""
        while True:
            closing = await self.hear(worker, path, take, say)
            if not is_replaced(closing):
                return closing
            await lose()
            await asyncio.sleep(RETRY_S)


def is_replaced(closing: Closing) -> bool:
    """Whether a worker that closes so has a successor to ask."""
    return closing[0] in (REPLACED[0], STOPPING[0])


async def _receive(upstream: ClientWebSocketResponse, take: Take) -> Closing:
    while True:
        message = await upstream.receive()
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            await take(message)
        elif message.type is WSMsgType.CLOSE:
            return int(message.data), str(message.extra or "")
        else:
            return REPLACED


async def first_of(works: Sequence[Awaitable[Closing]]) -> Closing:
    """Return what that one returns which ends first, and end the others."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(iter(done)).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until_stop(stream: Stream, is_stopping: Callable[[], bool], work: Awaitable[Closing]) -> Closing:
    """Return what `work` returns, unless the server stops before; `stream` is woken then."""

    async def wait() -> Closing:
        while not is_stopping():
            stream.something.clear()
            await stream.something.wait()
        return STOPPING

    return await first_of([work, wait()])
