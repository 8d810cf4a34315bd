"""`EngineProcess`: an engine's process as the server sees it; nothing here waits."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path

from media.transcribing.messages import Order, Parser, Reply, serialize

_ROOT = Path(__file__).resolve().parent.parent.parent
"""Where the packages lie: the worker takes the same, whatever its directory holds."""
_READ_BYTES = 1 << 18


class EngineProcess:
    """A process and a socket to it. Spawned, not forked: a fork would break threads and event loop.

    It dies with the thread that made it, if not before: see `media.transcribing.worker`.
    """

    def __init__(self) -> None:
        """Start it.

        Raises:
            OSError: there is no process to be had.
        """
        self._parser = Parser()
        self._unsent = bytearray()
        self.socket, theirs = socket.socketpair()
        paths = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "media.transcribing.worker", str(theirs.fileno()), str(os.getpid())],
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stdout=2,  # with its errors: what the server prints is for programs to read
                    start_new_session=True,
                    # One thread each: there are as many processes as cores are meant to be used.
                    env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"} | os.environ | {"PYTHONPATH": paths},
                )
            except BaseException:
                self.socket.close()
                raise
        self.socket.setblocking(False)
        self._is_lost = False

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def send(self, order: Order) -> None:
        """Send an order, as far as the socket takes it; the rest goes with the next look."""
        self._unsent += serialize(order)
        self.flush()

    def flush(self) -> None:
        """Send what is left."""
        with contextlib.suppress(BlockingIOError):
            try:
                while self._unsent:
                    del self._unsent[: self.socket.send(self._unsent)]
            except (BrokenPipeError, ConnectionResetError):
                self._is_lost = True

    @property
    def has_unsent(self) -> bool:
        """Whether `flush` has something to do when the socket takes more."""
        return bool(self._unsent)

    def receive(self) -> list[Reply]:
        """Return what it said since the last time.

        Raises:
            ValueError: it does not speak as it should.
        """
        said: list[Reply] = []
        with contextlib.suppress(BlockingIOError):
            try:
                while data := self.socket.recv(_READ_BYTES):
                    said += self._parser.replies(data)
                self._is_lost = True
            except ConnectionResetError:
                self._is_lost = True
        return said

    def end(self) -> str | None:
        """Return how it ended, None if it has not."""
        code = self._process.poll()
        if code is None and self._is_lost:  # it is dying, and how is worth a moment
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self._process.wait(0.2)
        if code is not None:
            return f"was killed by signal {-code}" if code < 0 else f"ended with {code}"
        return "closed its socket" if self._is_lost else None

    def dismiss(self) -> None:
        """Let it finish what it was told, then end."""
        self.flush()
        self.socket.close()

    def bury(self, timeout_s: float) -> None:
        """Wait so long for the end of one that is dismissed; then kill it."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        self._process.kill()
        self._process.wait()

    def kill(self) -> None:
        """End it, whatever it does."""
        self.socket.close()
        self._process.kill()
        self._process.wait()
