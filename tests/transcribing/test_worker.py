"""The engine's process: by itself, on any descriptor."""

from __future__ import annotations

import fcntl
import os
import resource
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from media.transcribing import worker
from media.transcribing.messages import Done, Finish, Give, Order, Parser, Ready, Reply, Setup, serialize
from tests.transcribing.scripted import install

FIRST_FOR_POLL = 1024
"""Descriptors that select() does not take."""


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "site", monkeypatch)


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= most <= FIRST_FOR_POLL:
        pytest.skip(f"only {most} descriptors are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before, 2 * FIRST_FOR_POLL) if most < 0 else most, most))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))


def give(item: int, loud: int = 100) -> Give:
    return Give(item, 1, 8000, np.full(800, loud, np.int16).tobytes())


def replies_to(orders: list[Order], descriptor: int = 0) -> list[Reply]:
    """Have them obeyed, at a descriptor of at least this number."""
    ours, theirs = socket.socketpair()
    with ours, theirs, socket.socket(fileno=fcntl.fcntl(theirs, fcntl.F_DUPFD_CLOEXEC, descriptor)) as moved:
        theirs.close()
        ours.sendall(b"".join(serialize(order) for order in orders))
        ours.shutdown(socket.SHUT_WR)
        worker.run(moved)
        moved.close()
        return list(Parser().replies(b"".join(iter(lambda: ours.recv(1 << 16), b""))))


def test_it_serves_at_any_descriptor(many_descriptors: None) -> None:
    orders: list[Order] = [Setup("scripted", {}), give(1), Finish(2, 1)]
    ready, first, last = replies_to(orders, FIRST_FOR_POLL)
    assert ready == Ready(0)
    assert isinstance(first, Done)
    assert isinstance(last, Done)
    assert [result.text for result in last.results] == ["800 samples"]


SERVER = """
import select, sys
from media.transcribing.messages import Give, Ready, Setup
from media.transcribing.process import EngineProcess

link = EngineProcess()
link.send(Setup("scripted", {"hang": "1000", "shout": "hello"}))
select.select([link.socket], [], [])
assert link.receive() == [Ready(0)]
link.send(Give(1, 1, 8000, b"\\xff\\x7f" * 800))
print(link.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.realtime
def test_one_that_hangs_does_not_outlive_a_server_that_is_killed_nor_print_beside_it() -> None:
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        first = server.stdout.readline()
        assert first.strip().isdecimal(), "what the engine shouts is elsewhere"
        descriptor = os.pidfd_open(int(first))
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        server.send_signal(signal.SIGKILL)
        assert poller.poll() == [(descriptor, select.POLLIN)], "it has ended"
        os.close(descriptor)
