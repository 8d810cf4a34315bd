"""A process that is told to end amid a hand-over: whose the calls are is known first."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from media import Server, ServerConfig
from media.config import Endpoint
from media.handover.link import Calls, Hello, Offer, Ready, Taken, Yours, connect
from media.handover.moved import FORMAT
from media.handover.passing import running
from strep.errors import ConfigurationError
from strep.mmsg import IS_SUPPORTED

pytestmark = pytest.mark.skipif(not IS_SUPPORTED, reason="needs Linux")
PATIENCE_S = 120.0
LOOPBACK = Endpoint("127.0.0.1", 0)
TURNS = 300
"""Of the event loop, for what should not happen to happen."""


async def test_it_waits_for_the_word_of_the_successor(tmp_path: Path) -> None:
    path, started = tmp_path / "hand-over", asyncio.Event()
    server = Server(ServerConfig(udp=LOOPBACK, drain_timeout_s=0))

    async def run() -> None:
        async with running(server, path, ()):
            started.set()
            await server.wait_closed()

    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        process = group.create_task(run())
        await started.wait()
        link = connect(path)
        assert link is not None
        link.say(Hello(FORMAT, {"udp": server.addresses["udp"]}))
        offer, _ = await link.hear(PATIENCE_S)
        assert isinstance(offer, Offer)
        link.say(Ready())
        calls, descriptors = await link.hear(PATIENCE_S)
        assert isinstance(calls, Calls)
        server.doors._receivers[0].errors = 3
        server.stop()
        for _ in range(TURNS):
            await asyncio.sleep(0)
        assert not process.done()
        link.say(Taken())
        answer, _ = await link.hear(PATIENCE_S)
        assert isinstance(answer, Yours)
    for descriptor in descriptors:
        os.close(descriptor)
    link.close()
    assert path.is_socket()  # the successor's
    assert server.snapshot()["receive_errors"] == 3  # though it receives nothing any more


async def test_a_start_that_fails_leaves_no_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "hand-over"
    server = Server(ServerConfig(udp=LOOPBACK))
    closed: list[bool] = []

    def fail() -> None:
        raise RuntimeError("on purpose")

    async def close() -> None:
        closed.append(True)
        await Server.close(server)

    monkeypatch.setattr(server.doors, "start", fail)
    monkeypatch.setattr(server, "close", close)
    with pytest.raises(RuntimeError, match="on purpose"):
        async with running(server, path, ()):
            pass
    assert closed
    assert not path.exists()


async def test_a_receiver_that_cannot_let_go(tmp_path: Path) -> None:
    for path in (tmp_path / "hand-over", Path("systemd")):
        server = Server(ServerConfig(udp=LOOPBACK, receiver="asyncio-dgram"))
        with pytest.raises(ConfigurationError, match="asyncio-dgram cannot let go of its sockets"):
            async with running(server, path, ()):
                pass
