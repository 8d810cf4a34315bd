"""`Memory`: commands that were given to a call, so that one which is repeated is not done again."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from media.control.answers import Done
from media.control.contract import NOT_NOW, ActionError

MAX_COMMANDS = 1000
"""Of a call that are remembered; the oldest that are done are forgotten."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a command was not done. An `ActionError` itself would hold on to command and call, by its traceback."""

    status: int
    code: str
    message: str


Known = asyncio.Future[Done] | Done | Refused
"""What does a command, or what became of it."""


class Memory:
    """The commands of one call, by their id, with what became of them."""

    def __init__(self, most: int = MAX_COMMANDS) -> None:
        self._most = most
        self._known: OrderedDict[str, tuple[str, Known]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many are remembered."""
        return len(self._known)

    def find(self, command_id: str, action: str) -> Known | None:
        """Return what is known of the command of that id.

        Raises:
            ActionError: it was another action.
        """
        known, became = self._known.get(command_id, (action, None)) if command_id else (action, None)
        if known != action:
            raise ActionError(NOT_NOW, "command_id", f"the command_id was given to {known} before: take another one")
        return became

    def keep(self, command_id: str, action: str, task: asyncio.Future[Done]) -> None:
        """Remember what does a command; those that are being done are never forgotten, and few."""
        if not command_id:
            return
        self._known[command_id] = action, task
        if len(self._known) > self._most:
            done = (old for old, (_, became) in self._known.items() if not isinstance(became, asyncio.Future))
            self._known.pop(next(done, ""), None)

    def settle(self, command_id: str, task: asyncio.Future[Done], became: Done | Refused | None) -> None:
        """Remember what became of a command; None: forget it, for it may be tried again."""
        action, known = self._known.get(command_id, ("", None))
        if known is not task:
            return
        if became is None:
            del self._known[command_id]
        else:
            self._known[command_id] = action, became
