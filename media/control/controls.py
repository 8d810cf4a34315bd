"""`Controls`: lets live calls do what `media.control.table.ACTIONS` has, each command once. In the event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from media.calls import Call
from media.control.answers import Done
from media.control.commands import Command
from media.control.contract import BAD_BODY, BUSY, NO_CALL, NOT_NOW, ActionError
from media.control.doing import TALKING, Do, Doing
from media.control.memory import Memory
from media.control.storing import STORING
from media.control.table import ACTIONS
from media.sinks.contract import CallInfo
from media.talk.call import LiveCall
from media.talk.contract import PlaybackError
from media.talk.handle import Playback
from media.talk.switchboard import Switchboard
from strep.errors import ConfigurationError, StrepError

_LOG = logging.getLogger("strep.control")
DO: dict[str, Do] = {**TALKING, **STORING}
MAX_GOING = 20
"""Actions of a call that are being done at once."""
MAX_HELD_BYTES = 64 << 20
"""Of audio that bodies brought along, in all calls, while it plays or waits."""


class Controls:
    """The actions of a server's live calls.

    Attributes:
        done: actions that were done, or begun, by their names.
        refused: those that were not, by their codes.
    """

    def __init__(self, calls: Mapping[str, Call], board: Switchboard, media: Path | None) -> None:
        """Act on `calls`, those of the engine, of which `board` has what talks with them."""
        self.done: dict[str, int] = {}
        self.refused: dict[str, int] = {}
        self._calls, self._board, self._media = calls, board, media
        self._memories: WeakKeyDictionary[LiveCall, Memory] = WeakKeyDictionary()
        self._going: WeakKeyDictionary[LiveCall, int] = WeakKeyDictionary()
        self._held: WeakKeyDictionary[Playback, int] = WeakKeyDictionary()
        self._tasks: set[asyncio.Task[Any]] = set()

    def snapshot(self) -> dict[str, Any]:
        """Return counters."""
        return {"done": dict(self.done), "refused": dict(self.refused)}

    async def act(self, call_id: str, name: str, command: Command) -> Done:
        """Do it, or begin to; one that was given before is answered as it was.

        Whoever asks may cease to wait: it is done for all that.

        Raises:
            ActionError: it is not done.
        """
        call = self._live(call_id)
        memory = self._memories.setdefault(call, Memory())
        task = memory.find(command.command_id, name)
        if task is None:
            task = self._later(self._do(call, name, command))
            memory.keep(command.command_id, name, task)
            task.add_done_callback(lambda task: self._note(memory, name, command.command_id, task))
        return await asyncio.shield(task)

    def find(self, info: CallInfo) -> LiveCall | None:
        """Return what talks with a call, None if nobody has asked for it so far."""
        return self._board.find(info)

    def _live(self, call_id: str) -> LiveCall:
        call = self._calls.get(call_id)
        if call is None or call.has_ended:
            text = f"there is no live call {call_id[:128]!r}; GET /v1/calls lists those that are"
            raise ActionError(NO_CALL, "no_such_call", text)
        live = self._board.live_call(call.info)
        if live is None:
            raise ActionError(BUSY, "busy", "the call only begins; come back in a second")
        return live

    async def _do(self, call: LiveCall, name: str, command: Command) -> Done:
        if ACTIONS[name].speaks and not call.can_play:
            raise ActionError(NOT_NOW, "cannot_play", call.why_not)
        if self._going.get(call, 0) >= MAX_GOING:
            raise ActionError(BUSY, "busy", f"{MAX_GOING} actions of this call are being done; come back in a second")
        held = sum(size for play, size in list(self._held.items()) if not play.state.is_final)
        if command.content_bytes and held + command.content_bytes > MAX_HELD_BYTES:
            raise ActionError(BUSY, "too_much_audio", f"{held} bytes of playback_content play or wait already")
        if command.client_state is not None:
            call.info.told.client_state = command.client_state
        self._going[call] = self._going.get(call, 0) + 1
        try:
            answer = await DO[name](Doing(call, self._media, self._later, self._held), command)
        except PlaybackError as error:
            raise ActionError(NOT_NOW, "cannot_play", str(error)) from error
        except ConfigurationError as error:
            raise ActionError(NOT_NOW, "configuration", str(error)) from error
        except StrepError as error:
            if isinstance(error, ActionError):
                raise
            raise ActionError(NOT_NOW, "not_now", str(error)) from error
        except ValueError as error:
            raise ActionError(BAD_BODY, "body", str(error)) from error
        finally:
            self._going[call] -= 1
        return answer

    def _note(self, memory: Memory, name: str, command_id: str, task: asyncio.Task[Done]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is None and not task.cancelled():
            self.done[name] = self.done.get(name, 0) + 1
            return
        code = error.code if isinstance(error, ActionError) else "internal"
        self.refused[code] = self.refused.get(code, 0) + 1
        if not isinstance(error, ActionError) or error.status >= BUSY:
            memory.forget(command_id, task)

    def _later(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, StrepError):
            _LOG.info("an action came to nothing: %s", error)
        elif error is not None:
            _LOG.error("an action failed", exc_info=error)
