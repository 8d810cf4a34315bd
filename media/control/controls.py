"""`Controls`: lets live calls do what `media.control.table.ACTIONS` has, each command once. In the event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from media.calls import Call
from media.control.answers import Done
from media.control.commands import Command
from media.control.contract import BAD_BODY, BUSY, NO_CALL, NOT_NOW, ActionError
from media.control.doing import TALKING, Do, Doing
from media.control.memory import Memory, Refused
from media.control.storing import STORING
from media.control.table import ACTIONS
from media.sinks.contract import CallInfo
from media.talk.call import LiveCall
from media.talk.contract import PlaybackError
from media.talk.handle import Playback
from media.talk.switchboard import Switchboard
from media.transcribing.plugins import EngineChoice
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

    def __init__(
        self,
        calls: Mapping[str, Call],
        board: Switchboard,
        media: Path | None = None,
        engines: Sequence[EngineChoice] = (),
    ) -> None:
        """Act on calls.

        Args:
            calls: those of the engine.
            board: has what talks with them.
            media: directory of files that may be played.
            engines: of transcription, with the operator's options.
        """
        self.done: dict[str, int] = {}
        self.refused: dict[str, int] = {}
        self._calls, self._board, self._media, self._engines = calls, board, media, engines
        self._memories: WeakKeyDictionary[LiveCall, Memory] = WeakKeyDictionary()
        self._going: WeakKeyDictionary[LiveCall, int] = WeakKeyDictionary()
        self._held: WeakKeyDictionary[Playback, int] = WeakKeyDictionary()
        self._opening_bytes = 0
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
        known = memory.find(command.command_id, name)
        if isinstance(known, Refused):
            raise ActionError(known.status, known.code, known.message)
        if isinstance(known, Done):
            return known
        task = known or self._later(self._do(call, name, command))
        if known is None:
            memory.keep(command.command_id, name, task)
            task.add_done_callback(partial(self._note, memory, name, command.command_id))
        try:
            return await asyncio.shield(task)
        finally:
            del task, known  # a refusal has this frame in its traceback: a circle that would keep the command

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
        held = self._opening_bytes + sum(size for play, size in list(self._held.items()) if not play.state.is_final)
        if command.content_bytes and held + command.content_bytes > MAX_HELD_BYTES:
            raise ActionError(BUSY, "too_much_audio", f"{held} bytes of playback_content play or wait already")
        with self._begun(call, command):
            return await self._translated(call, name, command)

    @contextmanager
    def _begun(self, call: LiveCall, command: Command) -> Iterator[None]:
        """Count an action while it is being done; what it leaves behind if it is not, is as it was."""
        told, before = call.info.told, call.info.told.client_state
        if command.client_state is not None:  # what the action brings about is told with it
            told.client_state = command.client_state
        self._going[call] = self._going.get(call, 0) + 1
        self._opening_bytes += command.content_bytes
        try:
            yield
        except BaseException:
            if told.client_state is command.client_state:  # not one that is alike, of a command that came behind
                told.client_state = before
            raise
        finally:
            self._going[call] -= 1
            self._opening_bytes -= command.content_bytes

    async def _translated(self, call: LiveCall, name: str, command: Command) -> Done:
        try:
            return await DO[name](Doing(call, self._media, self._engines, self._later, self._held), command)
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

    def _note(self, memory: Memory, name: str, command_id: str, task: asyncio.Task[Done]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is None and not task.cancelled():
            self.done[name] = self.done.get(name, 0) + 1
            memory.settle(command_id, task, task.result())
            return
        is_ours = not isinstance(error, ActionError) or error.status >= BUSY  # our trouble, which may be over
        code = error.code if isinstance(error, ActionError) else "internal"
        self.refused[code] = self.refused.get(code, 0) + 1
        refused = Refused(error.status, code, str(error)) if isinstance(error, ActionError) and not is_ours else None
        memory.settle(command_id, task, refused)

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
