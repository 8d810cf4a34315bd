"""A real nats-server with JetStream on loopback, its store in a directory of the test's; and what is in a stream."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PROGRAM = shutil.which("nats-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
needs_nats = [
    pytest.mark.peer,
    pytest.mark.skipif(PROGRAM is None, reason="nats-server is not installed: make peers"),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class NatsServer:
    """One server, which can be killed and comes back with the same store."""

    def __init__(self, directory: Path, *, config: str = "", user: str = "") -> None:
        """Prepare; `config` goes into its configuration, `user` (``name:password@``) into `url`."""
        self.directory, self.port = directory, free_port()
        self.url = f"nats://{user}127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)
        self._config = directory / "nats.conf"
        self._config.write_text(
            f'listen: "127.0.0.1:{self.port}"\njetstream {{ store_dir: "{directory / "store"}" }}\n{config}\n'
        )

    def start(self) -> None:
        """Start it and wait until it answers."""
        assert PROGRAM is not None
        with (self.directory / "nats.log").open("ab") as log:
            self._process = subprocess.Popen([PROGRAM, "-c", str(self._config)], stdout=log, stderr=log)
        while True:
            assert self._process.poll() is None, (self.directory / "nats.log").read_text()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as probe:
                if probe.recv(4) == b"INFO":
                    return

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it as an operator does."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait()
            self._process = None


@contextlib.contextmanager
def running(directory: Path, **options: Any) -> Iterator[NatsServer]:
    """Yield a server that is stopped in the end."""
    server = NatsServer(directory, **options)
    server.start()
    try:
        yield server
    finally:
        server.kill()


async def until(condition: Any) -> None:
    """Wait for something to become true; the test's own timeout is the bound."""
    while not condition():  # noqa: ASYNC110 - it happens in other processes
        await asyncio.sleep(0.005)


async def ask(url: str, what: str) -> dict[str, Any]:
    """Return the answer to a request of JetStream's API."""
    import nats

    client = await nats.connect(url)
    try:
        reply = await client.request(f"$JS.API.{what}", b"", timeout=10)
        answer: dict[str, Any] = json.loads(reply.data)
        return answer
    finally:
        await client.close()


async def count(url: str, stream: str = "STREP") -> int:
    """Return how many messages a stream has; 0 if there is none."""
    answer = await ask(url, f"STREAM.INFO.{stream}")
    return int(answer["state"]["messages"]) if "state" in answer else 0


async def everything(url: str, stream: str = "STREP", subject: str = ">") -> list[Any]:
    """Return all messages of a stream, in its order."""
    import nats
    from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

    client = await nats.connect(url)
    try:
        context = client.jetstream()
        expected = (await context.stream_info(stream)).state.messages
        config = ConsumerConfig(ack_policy=AckPolicy.NONE, deliver_policy=DeliverPolicy.ALL)
        pull = await context.pull_subscribe(subject, stream=stream, config=config)
        found: list[Any] = []
        while subject == ">" and len(found) < expected:
            found += await pull.fetch(min(expected - len(found), 1000), timeout=20)
        return found
    finally:
        await client.close()
