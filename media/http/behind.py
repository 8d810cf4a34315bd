"""`Behind`: the HTTP doors of workers, which the supervisor's asks for what lives with them: audio and levels.

A worker's door serves the same paths to its supervisor as a server does to the world. So what is wanted of one call
is fetched from the worker that has it, what is wanted of all from all; and bounds, rules for slow readers and counts
of what they lost are the worker's own: for who does not read nothing is read, and it waits where it always does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import ClientWebSocketResponse, WSMessage, WSMsgType, web

if TYPE_CHECKING:
    from media.http.streams import Stream

RETRY_S = 0.5
"""Until a worker is asked again that was not there; its successor is within milliseconds, as a rule."""
REPLACED = 1012, "the worker that had the call is being replaced"
STOPPING = 1001, "the server is stopping"
_GREETING = '{"event":"subscribed"'
_HOST = "http://localhost"
_GONE = (OSError, aiohttp.ClientError, TimeoutError)
Closing = tuple[int, str]
"""What a WebSocket is closed with: code and reason."""
Say = Callable[[ClientWebSocketResponse], Awaitable[Closing]]
Take = Callable[[WSMessage], Awaitable[None]]


class _TooLate(Exception):
    """Another worker had a call before."""


class Behind:
    """Used in the event loop of the HTTP door."""

    def __init__(self, paths: Sequence[Path], whose: Callable[[str], Awaitable[int | None]]) -> None:
        """Know the Unix sockets of the workers by their numbers, and by `whose` which of them has a live call."""
        self.paths, self.whose = paths, whose

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

        Returns how it closed, `REPLACED` if it did not.
        """
        try:
            async with self.connect(worker, path) as upstream:
                works = [_receive(upstream, take)] + ([say(upstream)] if say is not None else [])
                return await first_of(works)
        except _GONE:
            return REPLACED

    async def follow(
        self, worker: int, path: str, take: Take, lose: Callable[[], Awaitable[None]], say: Say | None = None
    ) -> Closing:
        """Give `take` what a worker says, and what its successors say; tell `lose` between them."""
        while True:
            closing = await self.hear(worker, path, take, say)
            if closing[0] not in (REPLACED[0], STOPPING[0]):
                return closing
            await lose()
            await asyncio.sleep(RETRY_S)

    async def one(self, socket: web.WebSocketResponse, worker: int, path: str) -> Closing:
        """Hand on what a worker says of one call."""
        return await self.hear(worker, path, partial(hand_on, socket))

    async def all(self, socket: web.WebSocketResponse, path: str) -> Closing:
        """Hand on what all workers say of their calls."""
        greetings = _Greetings(socket, len(self.paths))

        async def take(worker: int, message: WSMessage) -> None:
            if not await greetings.take(worker, message):
                await hand_on(socket, message)

        workers = range(len(self.paths))
        return await first_of([self.follow(worker, path, partial(take, worker), _nothing) for worker in workers])

    async def next(self, socket: web.WebSocketResponse, path: str) -> Closing:
        """Hand on what that worker says which has the first call to begin."""
        greetings, winner = _Greetings(socket, len(self.paths)), list[int]()

        async def take(worker: int, message: WSMessage) -> None:
            if await greetings.take(worker, message):
                return
            if not winner:
                winner.append(worker)
            if winner != [worker]:
                raise _TooLate
            await hand_on(socket, message)

        async def follow(worker: int) -> Closing:
            while not winner:
                try:
                    closing = await self.hear(worker, path, partial(take, worker))
                    if winner == [worker] or closing[0] not in (REPLACED[0], STOPPING[0]):
                        return closing
                except _TooLate:
                    break
                await asyncio.sleep(RETRY_S)
            await asyncio.Event().wait()  # until the winner has said it all, and this is cancelled
            return STOPPING

        return await first_of([follow(worker) for worker in range(len(self.paths))])


async def _receive(upstream: ClientWebSocketResponse, take: Take) -> Closing:
    while True:
        message = await upstream.receive()
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            await take(message)
        elif message.type is WSMsgType.CLOSE:
            return int(message.data), str(message.extra or "")
        else:
            return REPLACED


async def hand_on(socket: web.WebSocketResponse, message: WSMessage) -> None:
    """Write a message as it came."""
    if message.type is WSMsgType.BINARY:
        await socket.send_bytes(message.data)
    else:
        await socket.send_str(message.data)


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


class _Greetings:
    """Hands on one greeting when all workers have greeted, and holds up what they say until then."""

    def __init__(self, socket: web.WebSocketResponse, workers: int) -> None:
        self._socket, self._silent, self._has_greeted = socket, set(range(workers)), asyncio.Event()

    async def take(self, worker: int, message: WSMessage) -> bool:
        """Return whether it was a greeting, once the reader has one."""
        if message.type is not WSMsgType.TEXT or not message.data.startswith(_GREETING):
            await self._has_greeted.wait()
            return False
        self._silent.discard(worker)
        if not self._silent and not self._has_greeted.is_set():
            self._has_greeted.set()
            await hand_on(self._socket, message)
        return True


async def _nothing() -> None:
    pass
