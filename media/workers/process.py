"""`WorkerProcess`: one worker as the supervisor sees it. It starts idle, imports all, and is assigned later."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path

from media.sockets import BoundSockets
from media.workers.control import MAX_MESSAGE_BYTES, Assignment, Message, Order, decode, encode, send_assignment

_LOG = logging.getLogger("strep.workers")
_ROOT = Path(__file__).resolve().parent.parent.parent
"""Where the packages lie: the worker takes the same, whatever its directory holds."""


class WorkerProcess:
    """A process, what it says, and its end.

    Attributes:
        ended: done when the process is gone and everything it said was handed over; the result is its exit code,
            negative for a signal.
    """

    def __init__(self) -> None:
        """Start it, on the running event loop.

        Raises:
            OSError: there is no process to be had.
        """
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[int] = self._loop.create_future()
        self._take: Callable[[Message], None] | None = None
        self._unsent: deque[bytes] = deque()  # bounded by what is said until one that hangs is killed
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = start_process(theirs.fileno())
        self._pidfd = os.pidfd_open(self._process.pid)
        self._control.setblocking(False)
        self._loop.add_reader(self._pidfd, self._end)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def assign(self, assignment: Assignment, sockets: BoundSockets, take: Callable[[Message], None]) -> None:
        """Give it its work; `take` gets what it says. If it is gone already, `ended` tells."""
        self._take = take
        self._loop.add_reader(self._control, self._read)
        try:
            send_assignment(self._control, assignment, sockets)
        except OSError as error:
            _LOG.debug("worker %d cannot be reached: %s", assignment.index, error)

    def send(self, order: Order) -> None:
        """Say something; what finds no room waits for it, and is forgotten if the worker ends before."""
        self._unsent.append(encode(order))
        self._write()

    def _write(self) -> None:
        """Send what waits, as far as there is room."""
        if self._control.fileno() < 0:
            return
        try:
            while self._unsent:
                self._control.send(self._unsent[0])
                self._unsent.popleft()
        except (BlockingIOError, InterruptedError):
            self._loop.add_writer(self._control, self._write)
            return
        except ConnectionError:  # it is gone: its successor is told anew
            self._unsent.clear()
        except OSError as error:  # nothing is known to do that; what follows may be said all the same
            self._unsent.popleft()
            _LOG.error("worker %d is not told something: %s", self.pid, error)
            if self._unsent:
                self._loop.add_writer(self._control, self._write)
                return
        self._loop.remove_writer(self._control)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it is there."""
        if not self.ended.done():
            self._process.send_signal(number)

    def dismiss(self) -> None:
        """Let it go: one that is idle ends at once, one that works finishes its files first."""
        self._loop.remove_reader(self._control)
        self._loop.remove_writer(self._control)
        self._control.close()

    def _read(self) -> bool:
        """Hand over one message; return whether there may be more."""
        try:
            data = self._control.recv(MAX_MESSAGE_BYTES)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._control)
            return False
        if self._take is not None:
            self._take(decode(data))
        return True

    def _end(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        code = self._process.wait()
        if self._control.fileno() >= 0:
            while self._read():  # its last words
                pass
            self.dismiss()
        if not self.ended.done():
            self.ended.set_result(code)


def start_process(control: int) -> subprocess.Popen[bytes]:
    """Start a worker that takes its assignment from the descriptor `control`."""
    # A session of its own: Ctrl-C is for the supervisor, which tells the workers in its own way.
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "media.workers.worker", str(control)],
        pass_fds=(control,),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))},
    )
