"""`AllWorkers`: the calls and legs of all workers, for the HTTP door of their supervisor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Any, TypeVar
from uuid import UUID

from media.admission.announced import Announced
from media.admission.desk import LegMemory, halves, whole
from media.control.answers import Done
from media.control.commands import Command
from media.control.contract import ActionError
from media.http.api import ApiError, no_such_call
from media.http.house import ACT_TIMEOUT_S, ANSWER_TIMEOUT_S, CALLS_AT_ONCE, check_goes_on, in_loop, not_done_yet
from media.workers.acting import parts_of, result_of
from media.workers.control import Announce, Answer, Ask, Order, Withdraw
from media.workers.steering import worker_of_leg
from strep.clock import NS_PER_SECOND, Clock

T = TypeVar("T")
LEGS_AT_ONCE = 1000
"""Of a message to a worker that begins, 70 KB."""
Send = Callable[[int, Order], bool]
"""Says something to worker number so and so; returns whether it is there."""


class AllWorkers:
    """A `media.http.house.House`. Its own methods run in the supervisor's loop, those of the house in any.

    A worker is told of the legs that the kernel steers to it. One that takes the place of another is told of all
    of them (`welcome`): what comes in between waits in its quarantine.

    Attributes:
        is_ending: no announcement is taken any more, nor taken back.
    """

    def __init__(self, workers: int, send: Send, clock: Clock, memory: LegMemory | None = None) -> None:
        """Begin with the legs that the supervisor before had in `memory`.

        Raises:
            OSError: it cannot be read.
        """
        self._count, self._send, self._clock, self._memory = workers, send, clock, memory
        self._loop = asyncio.get_running_loop()
        self.is_ending = False
        self._announced, self._numbers = Announced(), count()
        if memory is not None:
            self._announced.on_gone = lambda leg: memory.remove(whole(leg))
        self._asked: dict[int, tuple[int, asyncio.Future[Any]]] = {}  # by number: which worker, and who waits
        for leg, left_s in memory.load(self._wall_s()) if memory is not None else ():
            self._announced.add(halves(leg), clock.now_ns(), round(left_s * NS_PER_SECOND))

    # -- workers -----------------------------------------------------------------------------------------

    def welcome(self, index: int) -> None:
        """Tell worker `index` of all legs that are its own."""
        mine = [
            (whole(leg), left_s)
            for leg, left_s in self._announced.left(self._clock.now_ns())
            if self._worker_of(whole(leg)) == index
        ]
        for at in range(0, len(mine), LEGS_AT_ONCE):
            self._send(index, Announce(mine[at : at + LEGS_AT_ONCE]))

    def take(self, answer: Answer) -> None:
        """Take what a worker answers."""
        _, waiting = self._asked.pop(answer.number, (0, None))
        if waiting is not None and not waiting.done():
            waiting.set_result(answer.said)

    def bury(self, index: int) -> None:
        """Worker `index` is gone, and answers no more."""
        for number, (asked, waiting) in list(self._asked.items()):
            if asked == index:
                del self._asked[number]
                if not waiting.done():
                    waiting.set_exception(_no_answer())

    # -- the house ---------------------------------------------------------------------------------------

    async def calls(self, offset: int, limit: int) -> tuple[int, list[dict[str, Any]]]:
        """See `House`; the calls of the first worker, then those of the next."""
        return await self._in_loop(self._calls(offset, limit))

    async def call(self, call_id: str) -> dict[str, Any] | None:
        """See `House`."""
        _, found = await self._in_loop(self._ask_for(partial(Ask, about="call", call_id=call_id)))
        return found or None

    async def whose(self, call_id: str) -> int | None:
        """Return which worker has a live call; None: no one has it."""
        worker, is_there = await self._in_loop(self._ask_for(partial(Ask, about="has", call_id=call_id)))
        return worker if is_there else None

    async def register(self, leg: UUID, good_for_s: float) -> None:
        """See `House`."""

        def register() -> None:
            check_goes_on(is_ending=self.is_ending)
            if self._memory is not None:
                self._memory.add(leg, self._wall_s() + good_for_s)
            self._announced.add(halves(leg), self._clock.now_ns(), round(good_for_s * NS_PER_SECOND))
            self._send(self._worker_of(leg), Announce([(leg, good_for_s)]))

        await in_loop(self._loop, register)

    async def withdraw(self, leg: UUID) -> bool:
        """See `House`."""

        def withdraw() -> bool:
            check_goes_on(is_ending=self.is_ending)
            if self._memory is not None:
                self._memory.remove(leg)
            self._send(self._worker_of(leg), Withdraw(leg))
            return self._announced.discard(halves(leg), self._clock.now_ns())

        return await in_loop(self._loop, withdraw)

    async def legs(self) -> dict[str, Any]:
        """See `House`; numbers added up, and as many of those that wait as all workers list."""
        answers = await self._in_loop(self._ask_all(partial(Ask, about="legs")))
        total: dict[str, Any] = dict(answers[0])
        for more in answers[1:]:
            for name, value in more.items():
                total[name] = value if isinstance(value, str) else total[name] + value
        return total

    async def shortage(self) -> str:
        """See `House`; of a worker that has any."""
        try:
            answers = await self._in_loop(self._ask_all(partial(Ask, about="shortage")))
        except ApiError as error:
            return str(error)
        return next(filter(None, answers), "")

    async def act(self, call_id: str, action: str, command: Command) -> Done:
        """See `House`."""
        return await self._in_loop(self._act(call_id, action, command))

    # -- asking ------------------------------------------------------------------------------------------

    async def _calls(self, offset: int, limit: int) -> tuple[int, list[dict[str, Any]]]:
        total, found = 0, list[dict[str, Any]]()
        for index in range(self._count):
            at = max(0, offset - total)
            while True:
                wanted = min(limit - len(found), CALLS_AT_ONCE)
                said = await self._ask(index, partial(Ask, about="calls", offset=at, limit=wanted))
                found += said["calls"]
                at += len(said["calls"])
                if not said["calls"] or len(found) >= limit:
                    break
            total += said["total"]
        return total, found

    async def _act(self, call_id: str, action: str, command: Command) -> Done:
        index, is_there = await self._ask_for(partial(Ask, about="has", call_id=call_id))
        if not is_there:
            raise no_such_call(call_id)
        with self._asking(index) as (_, number, waiting):
            for part in parts_of(number, call_id, action, command):
                if not self._send(index, part):
                    raise _no_answer()
            try:
                said = await asyncio.wait_for(waiting, ACT_TIMEOUT_S)
            except TimeoutError:
                raise not_done_yet() from None
        try:
            return result_of(said, action)
        except ActionError as error:
            raise ApiError(error.status, error.code, str(error)) from None

    async def _ask_all(self, make: Callable[[int], Ask]) -> Sequence[Any]:
        return await asyncio.gather(*(self._ask(index, make) for index in range(self._count)))

    async def _ask_for(self, make: Callable[[int], Ask]) -> tuple[int, Any]:
        """Return which worker has what one of them has, and its answer; one that is silent stops no other.

        Raises:
            ApiError: none has it, of those that answered, and one did not.
        """
        asked = {self._loop.create_task(self._ask(index, make)): index for index in range(self._count)}
        pending, error = set(asked), None
        try:
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    error = task.exception() or error
                    if task.exception() is None and task.result():
                        return asked[task], task.result()
        finally:
            for task in pending:
                task.cancel()
        if error is not None:
            raise error
        return 0, None

    async def _ask(self, index: int, make: Callable[[int], Ask]) -> Any:
        with self._asking(index) as (_, number, waiting):
            if not self._send(index, make(number)):
                raise _no_answer()
            try:
                return await asyncio.wait_for(waiting, ANSWER_TIMEOUT_S)
            except TimeoutError:
                raise _no_answer() from None

    @contextmanager
    def _asking(self, index: int) -> Iterator[tuple[int, int, asyncio.Future[Any]]]:
        number = next(self._numbers)
        waiting: asyncio.Future[Any] = self._loop.create_future()
        self._asked[number] = index, waiting
        try:
            yield index, number, waiting
        finally:
            self._asked.pop(number, None)

    async def _in_loop(self, asking: Coroutine[Any, Any, T]) -> T:
        if self._loop is asyncio.get_running_loop():
            return await asking
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asking, self._loop))

    def _worker_of(self, leg: UUID) -> int:
        return worker_of_leg(leg.bytes, self._count)

    def _wall_s(self) -> float:
        return self._clock.wall_ns() / NS_PER_SECOND


def _no_answer() -> ApiError:
    return ApiError(503, "worker", "a worker is being replaced, or is too busy to answer; come back in a second")
