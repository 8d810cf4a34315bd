"""`House`: whom the routes ask about calls and legs: one server in this process, or those of all workers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from uuid import UUID

from media.admission.desk import LegDesk
from media.calls import Call
from media.control.answers import Done
from media.control.commands import Command
from media.control.contract import ActionError
from media.engine import Engine
from media.http.api import ApiError
from media.status import live_call
from strep.clock import NEVER_NS

if TYPE_CHECKING:
    from media.control.controls import Controls

T = TypeVar("T")
ANSWER_TIMEOUT_S = 10.0
"""For the media loop, or a worker; a question is a millisecond's work."""
ACT_TIMEOUT_S = 30.0
"""For an action: a URL has 20 s until there is something to play."""
CALLS_AT_ONCE = 20
"""Whose statistics the media loop counts up in one go: a millisecond of it, in which it drains no socket."""


class House(Protocol):
    """Asked from the event loop of the HTTP door."""

    async def calls(self, offset: int, limit: int) -> tuple[int, list[dict[str, Any]]]:
        """Return how many calls are live, and some of them, the oldest first."""

    async def call(self, call_id: str) -> dict[str, Any] | None:
        """Return a live call, None if it is not live."""

    async def register(self, leg: UUID, good_for_s: float) -> None:
        """Announce a leg to the STREP door."""

    async def withdraw(self, leg: UUID) -> bool:
        """Take an announcement back; return whether there was one."""

    async def legs(self) -> dict[str, Any]:
        """Return what `media.admission.desk.status_of` says."""

    async def shortage(self) -> str:
        """Return why no call may begin now, "" if one may."""

    async def act(self, call_id: str, action: str, command: Command) -> Done:
        """Let a live call do something of `media.control.table.ACTIONS`; return what is answered.

        Raises:
            ApiError: it is not done.
        """


class OneServer:
    """A `House` of one process: its calls live in the media loop, where each question is asked."""

    def __init__(
        self,
        engine: Engine,
        legs: LegDesk,
        media_loop: asyncio.AbstractEventLoop,
        controls: Controls | None = None,
        details: Callable[[Call], dict[str, Any]] = lambda call: {},
    ) -> None:
        """Ask `engine` and `legs` in `media_loop`, and let `controls` act there; None: nobody acts.

        What `details` returns of a call is shown as well where just that one is asked for.
        """
        self._engine, self._legs, self._media_loop, self._controls = engine, legs, media_loop, controls
        self._details = details

    async def calls(self, offset: int, limit: int) -> tuple[int, list[dict[str, Any]]]:
        """See `House`."""

        def look() -> tuple[int, list[str]]:
            return len(self._engine.calls), list(islice(self._engine.calls, offset, offset + limit))

        total, call_ids = await self.ask(look)
        found: list[dict[str, Any]] = []
        for at in range(0, len(call_ids), CALLS_AT_ONCE):
            found += await self.ask(partial(calls_of, self._engine, call_ids[at : at + CALLS_AT_ONCE]))
        return total, found

    async def call(self, call_id: str) -> dict[str, Any] | None:
        """See `House`."""
        return await self.ask(partial(full_call, self._engine, call_id, self._details))

    async def register(self, leg: UUID, good_for_s: float) -> None:
        """See `House`."""
        await self.ask(lambda: self._desk().register(leg, good_for_s))

    async def withdraw(self, leg: UUID) -> bool:
        """See `House`."""
        return await self.ask(lambda: self._desk().withdraw(leg))

    async def legs(self) -> dict[str, Any]:
        """See `House`."""
        return await self.ask(self._legs.status)

    async def shortage(self) -> str:
        """See `House`."""
        return await self.ask(partial(shortage_of, self._engine))

    async def act(self, call_id: str, action: str, command: Command) -> Done:
        """See `House`."""
        controls = self._controls
        if controls is None:
            raise no_actions()
        try:
            async with asyncio.timeout(ACT_TIMEOUT_S):
                return await coroutine_in_loop(self._media_loop, controls.act(call_id, action, command))
        except ActionError as error:
            raise ApiError(error.status, error.code, str(error)) from None
        except TimeoutError:
            raise not_done_yet() from None

    def _desk(self) -> LegDesk:
        if self._legs.have_moved:
            from media.http.api import HANDED_OVER, ApiError  # workers have no aiohttp

            raise ApiError(503, HANDED_OVER, "another process takes over: ask again, on a new connection")
        check_goes_on(is_ending=self._legs.is_ending)
        return self._legs

    async def ask(self, function: Callable[[], T]) -> T:
        """Return what `function` returns, called in the media loop.

        Raises:
            ApiError: it is too busy.
        """
        has_left = False

        def ask() -> T:
            if has_left:  # and was told that it was not done
                raise TimeoutError
            return function()

        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await in_loop(self._media_loop, ask)
        except TimeoutError:
            has_left = True
            raise ApiError(503, "busy", "the server is too busy to answer; come back in a second") from None


def no_actions() -> ApiError:
    """Return the error of a server that does no actions."""
    return ApiError(501, "no_actions", "calls are not to be acted on here: start the server without --actions off")


def not_done_yet() -> ApiError:
    """Return the error of an action that takes too long."""
    text = f"not done within {ACT_TIMEOUT_S:g} s, and may still be: ask again with the same command_id"
    return ApiError(503, "busy", text)


def check_goes_on(*, is_ending: bool) -> None:
    """Check that there will be somebody who knows of what is said of legs.

    Raises:
        ApiError: the process ends, and who takes its place does not hear of it: say it again, to that one.
    """
    if is_ending:
        raise ApiError(503, "ending", "the server is ending; come back in a second")


def calls_of(engine: Engine, call_ids: list[str]) -> list[dict[str, Any]]:
    """Return those of some calls that are live; in the media loop."""
    calls = (engine.calls.get(call_id) for call_id in call_ids)
    return [live_call(engine, call) for call in calls if call is not None]


def full_call(engine: Engine, call_id: str, details: Callable[[Call], dict[str, Any]]) -> dict[str, Any] | None:
    """Return all that is known of a live call, None if it is not live; in the media loop."""
    call = engine.calls.get(call_id)
    return None if call is None else live_call(engine, call) | details(call)


def shortage_of(engine: Engine) -> str:
    """Return why no call may begin now, "" if one may; in the media loop."""
    return engine.shortage or ("the server is ending" if engine.draining_since_ns != NEVER_NS else "")


async def coroutine_in_loop(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns that runs in `loop`."""
    if loop is asyncio.get_running_loop():
        return await coroutine
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, loop))


async def in_loop(loop: asyncio.AbstractEventLoop, function: Callable[[], T]) -> T:
    """Return what `function` returns, called in `loop`: it must be done in a millisecond or so."""

    async def call() -> T:
        return function()

    if loop is asyncio.get_running_loop():
        return function()
    return await coroutine_in_loop(loop, call())
