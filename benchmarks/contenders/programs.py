"""Receivers that are no Python: what does a packet cost in Node, and in Go?

Each is one file beside this one. This process binds the socket, asks for its buffer and then *becomes* the program
(``exec``), which inherits core, socket and pipes, and speaks the protocol of `benchmarks.receiver` itself: processor
time is what the kernel says of the process, as for all others, and only differences of marks count, so that neither
the interpreter before nor a compiler is in them.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.contenders.installed import DEBIAN_NODE_MODULES
from benchmarks.kernel import RECEIVER_CPU, ask_for_buffer, bound_socket

_HERE = Path(__file__).resolve().parent
GO_PATH = Path("/usr/share/gocode")
"""Where Debian puts the sources of Go libraries."""
_COMPILE_TIMEOUT_S = 300


class Program:
    """Becomes another program; `command` says which."""

    def __init__(self, argument: str, directory: Path) -> None:
        """Prepare; evidence goes to `directory`."""
        self._directory = directory
        self._command = self.command(_HERE / argument, directory)

    def command(self, source: Path, directory: Path) -> list[str]:
        """Return the program and its first arguments."""
        raise NotImplementedError

    def run(self, ready: Callable[[int], None]) -> None:
        """Hand the socket over; the program says itself that it is ready, and this never returns."""
        sock = bound_socket()
        sock.set_inheritable(True)
        buffer = ask_for_buffer(sock)
        said = {
            "port": sock.getsockname()[1],
            "pinned": is_pinned(),
            "buffer_bytes": buffer.size_bytes,
            "forced": buffer.forced,
        }
        line = msgspec.json.encode(said).decode()
        os.execvp(self._command[0], [*self._command, str(sock.fileno()), str(self._directory), line])

    def stop(self) -> None:
        """Do nothing: the program reads the command itself."""

    def received(self) -> int:
        """Return nothing: there is no moment at which this could be asked."""
        return 0

    def evidence(self) -> dict[str, Any]:
        """Return nothing, likewise."""
        return {}


class Node(Program):
    """A script for Node."""

    def command(self, source: Path, directory: Path) -> list[str]:
        """Return the interpreter and the script."""
        return ["node", str(source)]


class NodeWs(Node):
    """A script for Node that listens by itself, for WebSockets."""

    def run(self, ready: Callable[[int], None]) -> None:
        """Become the script."""
        said = msgspec.json.encode({"pinned": is_pinned()}).decode()
        os.execvp(self._command[0], [*self._command, DEBIAN_NODE_MODULES, said])


class Go(Program):
    """A file of Go, compiled with the sources that Debian has: no module is fetched."""

    def command(self, source: Path, directory: Path) -> list[str]:
        """Compile, and return the program.

        Raises:
            RuntimeError: it does not compile; the text has what the compiler said.
        """
        program = directory / source.stem
        environment = {**os.environ, "GO111MODULE": "off", "GOPATH": str(GO_PATH), "GOFLAGS": "", "CGO_ENABLED": "0"}
        environment.setdefault("GOCACHE", str(directory.parent / "go-cache"))
        build = ["go", "build", "-o", str(program), str(source)]
        done = subprocess.run(
            build, env=environment, capture_output=True, text=True, check=False, timeout=_COMPILE_TIMEOUT_S
        )
        if done.returncode:
            raise RuntimeError(f"go build: {done.stderr}")
        return [str(program)]


def is_pinned() -> bool:
    """Return whether this process has the receiver's core and no other."""
    return os.sched_getaffinity(0) == {RECEIVER_CPU}
