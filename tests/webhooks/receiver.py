"""A receiver of webhooks that answers as it is told, in a thread of its own."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader
from typing import Any, Self

from tests.patience import PATIENCE_S


@dataclass(frozen=True, slots=True)
class Posted:
    """A request.

    Attributes:
        headers: names in lower case.
        body: as it came.
    """

    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self.body)["data"]
        return data

    @property
    def event_id(self) -> str:
        return str(self.data["id"])

    @property
    def attempt(self) -> int:
        return int(json.loads(self.body)["meta"]["attempt"])

    @property
    def call_id(self) -> str:
        return str(self.data["payload"]["strep"]["call_id"])


Script = Callable[[Posted], bytes | None]
"""What to answer, raw; nothing at all is None, and an empty answer closes the connection."""


def answer(status: int = 200, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def taken(_: Posted) -> bytes | None:
    return answer()


class Receiver:
    """Listens on a port of loopback, a thread for each connection.

    Attributes:
        posted: all requests.
        script: what to answer, to be changed at will.
    """

    def __init__(self, script: Script = taken, port: int = 0) -> None:
        self.posted: list[Posted] = []
        self.script = script
        self._changed = threading.Condition()
        self._socket = socket.create_server(("127.0.0.1", port))
        self._sockets = [self._socket]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *exception: object) -> None:
        for sock in self._sockets:
            with suppress(OSError):  # the other side has closed it
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def wait_for(self, is_so: Callable[[list[Posted]], bool]) -> list[Posted]:
        """Wait for what shows in what was posted, and return that."""
        with self._changed:
            assert self._changed.wait_for(lambda: is_so(self.posted), PATIENCE_S), self.posted
            return list(self.posted)

    def _accept(self) -> None:
        with self._socket, suppress(OSError):  # shut down
            while True:
                sock, _ = self._socket.accept()
                self._sockets.append(sock)
                self._threads.append(threading.Thread(target=self._serve, args=(sock,), daemon=True))
                self._threads[-1].start()

    def _serve(self, sock: socket.socket) -> None:
        with sock, sock.makefile("rb") as file, suppress(OSError):
            while (line := file.readline()) and self._answer(line, file, sock):
                pass

    def _answer(self, line: bytes, file: BufferedReader, sock: socket.socket) -> bool:
        assert line.partition(b"?")[0].startswith(b"POST /hook")
        headers: dict[str, str] = {}
        while (line := file.readline()) != b"\r\n":
            name, _, value = line.decode().partition(": ")
            headers[name.lower()] = value.rstrip()
        posted = Posted(headers, file.read(int(headers["content-length"])))
        said = self.script(posted)
        with self._changed:
            self.posted.append(posted)
            self._changed.notify_all()
        if said is None:
            file.read()  # until the other side has had enough
        else:
            sock.sendall(said)
        return bool(said)


@contextmanager
def free_port() -> Iterator[int]:
    """Yield a port on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def until(is_so: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    pause = threading.Event()
    for _ in range(int(PATIENCE_S * 1000)):
        if is_so():
            return
        pause.wait(0.001)
    raise AssertionError("it was never so")
