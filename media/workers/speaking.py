"""`Speaker`: all that a worker says to its supervisor, in order of weight.

Answers wait until there is room for them, the last report too; news - events, which may be many - come when nothing
else waits, and it is their own business what becomes of those that find no room. A worker says what became of it
(`say_last`) after its event loop has come to an end.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Callable

from media.workers.control import Ended, Failed, Message, Report, encode

LAST_WORDS_S = 5.0
"""For what waits and the last words, before a worker ends without them."""
Send = Callable[[bytes], bool]
"""Sends a message; False: there is no room."""


class Speaker:
    """Speaks by a socket that keeps message boundaries and does not block; used in the event loop alone.

    Attributes:
        news: sends what is new by what it is given, until that is False, which it returns then.
    """

    def __init__(self, control: socket.socket) -> None:
        """Say nothing yet."""
        self.news: Callable[[Send], bool] = lambda _: True
        self._control, self._loop = control, asyncio.get_running_loop()
        self._waiting: deque[bytes] = deque()  # bounded by what is asked
        self._report: bytes | None = None
        self._is_waiting = False

    def say(self, message: Message) -> None:
        """Say it as soon as there is room; of reports the last."""
        if isinstance(message, Report):
            self._report = encode(message)
        else:
            self._waiting.append(encode(message))
        self.flush()

    def flush(self) -> None:
        """Say what waits, as far as there is room, and go on when there is more."""
        is_done = self._say_what_waits() and self.news(self._send)
        if is_done and self._is_waiting:
            self._loop.remove_writer(self._control)
        elif not is_done and not self._is_waiting:
            self._loop.add_writer(self._control, self.flush)
        self._is_waiting = not is_done

    def say_last(self, message: Ended) -> None:
        """Say what waits, but for news, and then this, waiting for room; nothing can be said any more."""
        if self._is_waiting:
            self._loop.remove_writer(self._control)
        say_last(self._control, *self._waiting, encode(message))

    def _say_what_waits(self) -> bool:
        while self._waiting:
            if not self._send(self._waiting[0]):
                return False
            self._waiting.popleft()
        if self._report is not None:
            if not self._send(self._report):
                return False
            self._report = None
        return True

    def _send(self, data: bytes) -> bool:
        try:
            self._control.send(data)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:  # nobody is there any more
            pass
        return True


def say_last(control: socket.socket, *messages: bytes | Failed) -> None:
    """Say something when there is no event loop any more; nothing happens if nobody listens."""
    control.settimeout(LAST_WORDS_S)
    with contextlib.suppress(OSError):
        for message in messages:
            control.send(message if isinstance(message, bytes) else encode(message))
