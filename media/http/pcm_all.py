"""Audio of the calls of several workers: what each of them says waits in one subscription, as in one process.

What a worker says is taken as it comes, whatever the reader does: so the rule for slow readers, and the words that
tell them of it, are those of one process. A worker of whom too little is taken here goes by its own, the same one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from functools import partial

from aiohttp import WSMessage, WSMsgType

from media.feed.subscription import Calls, Subscription
from media.http.api import Api
from media.http.behind import ENDED, RETRY_S, STOPPING, Behind, Closing, first_of, is_replaced, until_stop
from media.http.streams import TOO_SLOW, Stream

LOOK_EVERY_S = 1.0
"""How often it is asked whether a reader is too slow of whom nothing more comes; as `media.feed.sink`."""
GREETING_TIMEOUT_S = 2.0
"""A worker that has not subscribed within this is not waited for: the calls of others are heard meanwhile."""
_GREETING = '{"event":"subscribed"'
_WHYS = {ENDED[0]: "ended", STOPPING[0]: "closed", TOO_SLOW[0]: "slow"}
"""`Subscription.why_over` by how a worker closed."""


class _TooLate(Exception):
    """Another worker had a call before."""


class PcmOfAll:
    """What workers say to one reader, in the event loop of the HTTP door."""

    def __init__(self, api: Api, behind: Behind, subscription: Subscription, path: str) -> None:
        """Ask nothing yet; `path` is what each worker will be asked for, `subscription` where what it says waits."""
        self._subscription = subscription
        self._behind, self._clock, self._path = behind, api.clock, path
        self._silent = set[int]()
        self._is_greeted = asyncio.Event()

    async def greeted(self) -> None:
        """Wait until all workers that are asked have subscribed, or one is too slow to wait for."""
        with suppress(TimeoutError):
            async with asyncio.timeout(GREETING_TIMEOUT_S):
                await self._is_greeted.wait()

    async def run(self, worker: int) -> Closing:
        """Put in what there is to say, of `worker`'s call if it is for one; return why there is no more."""
        asked = [worker] if self._subscription.calls is Calls.ONE else list(range(len(self._behind.paths)))
        self._silent.update(asked)
        try:
            return await first_of([self._say(asked), self._look()])
        finally:
            self._is_greeted.set()

    def _say(self, asked: list[int]) -> Awaitable[Closing]:
        if self._subscription.calls is Calls.ONE:
            return self._behind.hear(asked[0], self._path, partial(self._take, asked[0]))
        if self._subscription.calls is Calls.NEXT:
            winner = list[int]()
            return first_of([self._compete(worker, winner) for worker in asked])
        return first_of(
            [self._behind.follow(worker, self._path, partial(self._take, worker), _nothing) for worker in asked]
        )

    async def _compete(self, worker: int, winner: list[int]) -> Closing:
        """Put in the call of a worker if it is the first of all to begin."""

        async def take(message: WSMessage) -> None:
            if not self._greets(worker, message):
                winner[:] = winner or [worker]
                if winner != [worker]:
                    raise _TooLate
                self._put(message)

        while not winner:
            try:
                closing = await self._behind.hear(worker, self._path, take)
            except _TooLate:
                break
            if winner == [worker] or not is_replaced(closing):
                return closing
            await asyncio.sleep(RETRY_S)
        await asyncio.Event().wait()  # until the winner has said it all, and this is cancelled
        return STOPPING

    async def _take(self, worker: int, message: WSMessage) -> None:
        if not self._greets(worker, message):
            self._put(message)

    def _greets(self, worker: int, message: WSMessage) -> bool:
        """Return whether it is a greeting, of which the reader gets one, and none of a successor."""
        if message.type is not WSMsgType.TEXT or not message.data.startswith(_GREETING):
            return False
        self._silent.discard(worker)
        if not self._silent:
            self._is_greeted.set()
        return True

    def _put(self, message: WSMessage) -> None:
        self._subscription.put((message.data,), self._clock.now_ns())

    async def _look(self) -> Closing:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self._subscription.put((), self._clock.now_ns())


@asynccontextmanager
async def relayed(
    api: Api, behind: Behind, stream: Stream, subscription: Subscription, path: str, worker: int
) -> AsyncIterator[None]:
    """Let workers speak to a reader, and hang up on them behind it."""
    of_all, said_slow = PcmOfAll(api, behind, subscription, path), False

    async def run() -> None:
        nonlocal said_slow
        try:
            closing = await until_stop(stream, lambda: api.is_stopping, of_all.run(worker))
            said_slow = closing[0] == TOO_SLOW[0]
            subscription.end(_WHYS.get(closing[0], "replaced"))
        finally:
            subscription.end("replaced")

    behind.waiting.add(subscription)
    running = asyncio.create_task(run())
    try:
        await of_all.greeted()
        yield
    finally:
        behind.waiting.discard(subscription)
        behind.cut_off += subscription.why_over == "slow" and not said_slow  # a worker counts those of its own rule
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def _nothing() -> None:
    pass
