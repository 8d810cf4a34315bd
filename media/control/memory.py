"""`Memory`: commands that were given to a call, so that one which is repeated is not done again."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from media.control.answers import Done
from media.control.contract import NOT_NOW, ActionError

MAX_COMMANDS = 1000
"""Of a call that are remembered; the oldest that are done are forgotten."""


class Memory:
    """The commands of one call, by their id, with what became of them."""

    def __init__(self, most: int = MAX_COMMANDS) -> None:
        self._most = most
        self._known: OrderedDict[str, tuple[str, asyncio.Task[Done]]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many are remembered."""
        return len(self._known)

    def find(self, command_id: str, action: str) -> asyncio.Task[Done] | None:
        """Return what does, or did, the command of that id.

        Raises:
            ActionError: it was another action.
        """
        known, task = self._known.get(command_id, (action, None)) if command_id else (action, None)
        if known != action:
            raise ActionError(NOT_NOW, "command_id", f"the command_id was given to {known} before: take another one")
        return task

    def keep(self, command_id: str, action: str, task: asyncio.Task[Done]) -> None:
        """Remember what does a command."""
        if not command_id:
            return
        self._known[command_id] = action, task
        while len(self._known) > self._most:
            self._known.popitem(last=False)

    def forget(self, command_id: str, task: asyncio.Task[Done]) -> None:
        """Forget a command that may be tried again: that it failed is our trouble."""
        if self._known.get(command_id, ("", None))[1] is task:
            del self._known[command_id]
