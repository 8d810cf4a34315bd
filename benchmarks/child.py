"""Children: the measured processes, each asked one question a line and giving one answer a line, in JSON."""

from __future__ import annotations

import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

REPOSITORY = Path(__file__).resolve().parent.parent
"""Where the packages are: a checkout, or site-packages."""


class ChildError(Exception):
    """A child died, or did not answer in time; the text has what it said on standard error."""


class Child:
    """``python -m MODULE ...`` at the other end of two pipes."""

    def __init__(self, module: str, *arguments: str, log: Path) -> None:
        """Start it; its standard error goes to the file `log`."""
        self._log = log
        self._name = " ".join((module, *arguments))
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                bufsize=0,
                cwd=REPOSITORY,
            )

    def ask(self, command: str, timeout_s: float = 60, **details: Any) -> dict[str, Any]:
        """Send a command and return the answer.

        Raises:
            ChildError: there is none.
        """
        self.tell(command, **details)
        return self.answer(timeout_s)

    def tell(self, command: str, **details: Any) -> None:
        """Send a command whose `answer` is fetched later."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(msgspec.json.encode({"command": command, **details}) + b"\n")
        except BrokenPipeError as error:
            raise self._failed("died") from error

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    def has_answer(self, timeout_s: float) -> bool:
        """Wait for the next answer, at most `timeout_s`, and return whether it is there."""
        assert self._process.stdout is not None
        return bool(select.select([self._process.stdout], [], [], timeout_s)[0])

    def answer(self, timeout_s: float = 60) -> dict[str, Any]:
        """Return the next answer.

        Raises:
            ChildError: there is none.
        """
        assert self._process.stdout is not None
        if not self.has_answer(timeout_s):
            raise self._failed(f"gave no answer for {timeout_s} s")
        line = self._process.stdout.readline()
        if not line:
            raise self._failed("died")
        answer: dict[str, Any] = msgspec.json.decode(line)
        return answer

    def end(self) -> None:
        """Send no more commands; what it says then is its last `answer`."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def close(self) -> None:
        """Let it end, or end it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _failed(self, what: str) -> ChildError:
        said = self._log.read_text(errors="replace").strip()[-2000:]
        return ChildError(f"{self._name} {what}" + (f"; it said:\n{said}" if said else ""))


def answer(reply: Any) -> None:
    """Answer, from within a child."""
    line = memoryview(msgspec.json.encode(reply) + b"\n")
    while line:  # with PYTHONUNBUFFERED this is no buffer, and a write to a pipe may end early
        line = line[sys.stdout.buffer.write(line) :]
    sys.stdout.buffer.flush()
