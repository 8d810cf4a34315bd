"""`Mailbox`: what waits for one consumer of an application, bounded: the oldest is dropped and counted.

`Broadcast`: the same for any number of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
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


class Broadcast(Generic[T]):
    """Gives every item to all who iterate over `items`; the first of them begins with what came before it did."""

    def __init__(self, limit: int) -> None:
        """Let `limit` items wait for each."""
        self._limit = limit
        self._backlog: Mailbox[T] | None = Mailbox(limit)
        self._mailboxes = [self._backlog]
        self._is_closed = False

    @property
    def dropped(self) -> int:
        """Items that those who iterate now were too slow for."""
        return sum(mailbox.dropped for mailbox in self._mailboxes)

    def put(self, item: T) -> None:
        """Add an item; never waits."""
        for mailbox in self._mailboxes:
            mailbox.put(item)

    def close(self) -> None:
        """Let all iterators end after what is there."""
        self._is_closed = True
        for mailbox in self._mailboxes:
            mailbox.close()

    async def items(self) -> AsyncIterator[T]:
        """Iterate over what comes, until it is closed."""
        mailbox, self._backlog = self._backlog, None
        if mailbox is None:
            mailbox = Mailbox(self._limit)
            self._mailboxes.append(mailbox)
            if self._is_closed:
                mailbox.close()
        try:
            async for item in mailbox:
                yield item
        finally:
            self._mailboxes.remove(mailbox)
