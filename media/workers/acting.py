"""Actions in the calls of workers: taken apart into messages by the supervisor, done here, and answered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from media.control.answers import Cleared, Done
from media.control.commands import Command
from media.control.contract import ActionError
from media.control.controls import Controls
from media.control.table import ACTIONS
from media.workers.control import Act, Answer

_LOG = logging.getLogger("strep.control")
PART_CHARACTERS = 64 << 10
"""Of a body in one message, whatever the system's least send buffer."""
MAX_HEARD = 500
"""Plays of which an answer tells: what one message has room for."""


def parts_of(number: int, call_id: str, action: str, command: Command) -> Iterator[Act]:
    """Yield an action as messages."""
    body = msgspec.json.encode(command).decode()
    starts = range(0, len(body), PART_CHARACTERS)
    for start in starts:
        part = body[start : start + PART_CHARACTERS]
        yield Act(number, call_id, action, part, is_last=start == starts[-1])


def result_of(said: Any, action: str) -> Done:
    """Return what a worker has answered.

    Raises:
        ActionError: it was not done.
    """
    if "error" in said:
        raise ActionError(*said["error"])
    return msgspec.convert(said["data"], ACTIONS[action].answer)


class Acting:
    """The actions of a worker; used in its event loop."""

    def __init__(self, controls: Controls | None, say: Callable[[Answer], object]) -> None:
        """Answer by `say`."""
        self._controls, self._say = controls, say
        self._parts: dict[int, list[str]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, act: Act) -> None:
        """Take a part; with the last one, do it, and answer later."""
        self._parts.setdefault(act.number, []).append(act.body)
        if act.is_last:
            task = asyncio.get_running_loop().create_task(self._do(act, "".join(self._parts.pop(act.number))))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _do(self, act: Act, body: str) -> None:
        said: dict[str, Any]
        try:
            if self._controls is None:
                raise ActionError(501, "no_actions", "this worker does no actions")
            command = await asyncio.to_thread(msgspec.json.decode, body, type=ACTIONS[act.action].command)
            done = await self._controls.act(act.call_id, act.action, command)
            if isinstance(done, Cleared):
                done.heard = done.heard[:MAX_HEARD]
            said = {"data": done}
        except ActionError as error:
            said = {"error": (error.status, error.code, str(error))}
        except Exception:
            _LOG.exception("action %s failed", act.action)
            said = {"error": (500, "internal", "a mistake of ours; the log has it")}
        self._say(Answer(act.number, said))
