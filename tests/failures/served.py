"""`strep serve` as a process whose world is taken away from it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

PATIENCE_S = 100
_CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("STREP_")} | {
    "STREP_DRAIN_TIMEOUT": "0"
}


class Served:
    """A server that listens on loopback, with metrics.

    Args:
        folder: for its log.
        arguments: of ``strep serve``.
        limit: a command of the shell before that, as ``ulimit -n 150``.

    Attributes:
        addresses: where it listens.
        pid: of the process.
    """

    def __init__(self, folder: Path, *arguments: str, limit: str = "") -> None:
        self._log = folder / "serve.log"
        ends = ["--udp", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--log-format", "text"]
        command = [sys.executable, "-m", "media.cli", "serve", *ends, *arguments]
        if limit:  # by a shell: the server raises what it may, so both limits have to be lower
            command = ["sh", "-c", f'{limit}; exec "$@"', "sh", *command]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=_CLEAN)
        self.pid = self._process.pid
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], PATIENCE_S)[0]:
            self._process.kill()
            raise AssertionError(f"it is not ready: {self.log()}")
        word, _, addresses = self._process.stdout.readline().decode().partition(" ")
        self.addresses: dict[str, Any] = json.loads(addresses) if word == "ready" else {}

    @property
    def udp(self) -> tuple[str, int]:
        host, _, port = self.addresses["udp"].rpartition(":")
        return host, int(port)

    def log(self) -> str:
        return self._log.read_text()

    def metric(self, name: str) -> float:
        with urllib.request.urlopen(f"http://{self.addresses['metrics']}/metrics", timeout=PATIENCE_S) as page:
            lines = page.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((name + " ", name + "{")))

    def until_said(self, *texts: str) -> None:
        until(lambda: all(text in self.log() for text in texts), lambda: f"{texts} not in: {self.log()}")

    def until_metric(self, name: str, least: float) -> None:
        until(lambda: self.metric(name) >= least, lambda: f"{name} is {self.metric(name)}: {self.log()}")

    def children(self) -> list[int]:
        found = [path.read_text().split() for path in Path(f"/proc/{self.pid}/task").glob("*/children")]
        return sorted(int(pid) for pids in found for pid in pids)

    def child(self, *words: str) -> int:
        """Wait for a child process whose command line has all of `words`, and return its id."""
        found: list[int] = []

        def look() -> bool:
            found[:] = [pid for pid in self.children() if all(word in _command(pid) for word in words)]
            return bool(found)

        until(look, lambda: f"no {words} among {[_command(pid) for pid in self.children()]}")
        return found[0]

    def end(self) -> int:
        """Ask it to end, and return the exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(PATIENCE_S)

    def wait(self) -> int:
        return self._process.wait(PATIENCE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.communicate()


def until(holds: Callable[[], bool], explain: Callable[[], str]) -> None:
    """Wait until something is so, however slow the machine is."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.05)


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""
