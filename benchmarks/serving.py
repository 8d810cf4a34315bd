"""``strep serve`` as users run it, a process of its own, seen from outside: what it counts, and what it weighs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any, Self

import msgspec

from benchmarks.child import REPOSITORY, ChildError
from benchmarks.weight import Weight, weigh

_START_TIMEOUT_S = 60
_END_TIMEOUT_S = 120


class Metrics:
    """What ``/metrics`` said at one moment, by family name and by labels."""

    def __init__(self, text: str) -> None:
        """Parse the text form of Prometheus."""
        self._values: dict[str, float] = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                self._values[name] = float(value)

    def get(self, name: str, **labels: str) -> int:
        """Return a value; 0 if there is none, as a counter that has not begun to count."""
        inner = ",".join(f'{label}="{value}"' for label, value in labels.items())
        return round(self._values.get(f"{name}{{{inner}}}" if inner else name, 0))

    def total(self, name: str) -> int:
        """Return the sum of a family over its labels."""
        return round(sum(value for key, value in self._values.items() if key.partition("{")[0] == name))

    def most(self, name: str) -> float:
        """Return the highest value of a family over its labels."""
        return max((value for key, value in self._values.items() if key.partition("{")[0] == name), default=0.0)


class Process(msgspec.Struct, frozen=True):
    """A process as the kernel sees it.

    Attributes:
        weight: memory.
        descriptors: open ones.
        threads: all of them.
        cpu_s: processor time so far, user and system.
    """

    weight: Weight
    descriptors: int
    threads: int
    cpu_s: float


class Serving:
    """A server that runs.

    Attributes:
        pid: of the process.
        addresses: where it listens, as its line ``ready`` says.
        log: its standard error.
    """

    def __init__(self, *arguments: str, log: Path) -> None:
        """Start ``strep serve ARGUMENTS`` with metrics on a port of their own, and wait until it is ready.

        Raises:
            ChildError: it does not get there.
        """
        self.log = log
        environment = {name: value for name, value in os.environ.items() if not name.startswith("STREP_")}
        command = [sys.executable, "-m", "media.cli", "serve", "--metrics", "127.0.0.1:0", *arguments]
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        word, _, addresses = self._process.stdout.readline().decode().partition(" ")
        if word != "ready":
            self._process.wait(_START_TIMEOUT_S)
            raise ChildError(f"strep serve did not start: {self.said()}")
        self.pid = self._process.pid
        self.addresses: dict[str, Any] = json.loads(addresses)

    def metrics(self) -> Metrics:
        """Fetch the counters; they are up to a second old."""
        with urllib.request.urlopen(f"http://{self.addresses['metrics']}/metrics", timeout=60) as answer:
            return Metrics(answer.read().decode())

    def look(self) -> Process:
        """Ask the kernel about the process."""
        proc = Path(f"/proc/{self.pid}")
        stat = (proc / "stat").read_text().rpartition(") ")[2].split()
        cpu_s = (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
        return Process(weigh(self.pid), len(os.listdir(proc / "fd")), int(stat[17]), cpu_s)

    def is_running(self) -> bool:
        """Tell whether it has not ended."""
        return self._process.poll() is None

    def said(self) -> str:
        """Return the end of what it has logged."""
        return self.log.read_text(errors="replace").strip()[-2000:]

    def end(self) -> int:
        """Send SIGTERM and return the exit code.

        Raises:
            ChildError: it does not end.
        """
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise ChildError(f"strep serve did not end within {_END_TIMEOUT_S} s: {self.said()}") from error

    def __enter__(self) -> Self:
        """Do nothing more."""
        return self

    def __exit__(self, *exception: object) -> None:
        """End it, if it has not."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def handshake(address: str, timeout_s: float) -> float:
    """Return how long the answer to a media stream's opening request takes, in s; then hang up.

    Raises:
        OSError: there is none.
    """
    host, port = address.split(":")
    start = time.monotonic()
    with socket.create_connection((host, int(port)), timeout=timeout_s) as knocking:
        knocking.sendall(
            f"GET /telnyx HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        if not knocking.recv(1):
            raise ConnectionError("closed")
        return time.monotonic() - start
