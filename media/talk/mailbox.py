"""`Mailbox`: what waits for one consumer of an application, bounded: the oldest is dropped and counted."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """An async iterator that ends when it was closed and is empty; used in one event loop.

    Attributes:
        dropped: items that nobody took in time.
    """

    def __init__(self, limit: int) -> None:
        self.dropped = 0
        self._items: deque[T] = deque(maxlen=limit)
        self._is_closed = False
        self._waiter: asyncio.Future[None] | None = None

    def put(self, item: T) -> None:
        """Add an item; never waits."""
        if self._is_closed:
            return
        self.dropped += len(self._items) == self._items.maxlen
        self._items.append(item)
        self._wake()

    def close(self) -> None:
        """Let the consumer end after what is there."""
        self._is_closed = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def __aiter__(self) -> Mailbox[T]:
        """Return itself."""
        return self

    async def __anext__(self) -> T:
        """Wait for the next item."""
        while not self._items:
            if self._is_closed:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._items.popleft()
