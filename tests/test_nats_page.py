"""What docs/nats.md says is so: its three commands run, and its figures have the names of the counters."""

from __future__ import annotations

import asyncio
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from media.carrier.options import SimulationOptions
from media.carrier.simulation import Simulation, Target
from media.nats.options import NATS_OPTIONS
from media.nats.waiting import Totals
from tests.media.serving import ENVIRONMENT, serving
from tests.nats.nats_server import PROGRAM, count, free_port, needs_nats

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "nats.md").read_text(encoding="utf-8")


def console() -> list[list[str]]:
    [block] = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    return [shlex.split(line.removeprefix("$ ")) for line in block.splitlines()]


@needs_nats[0]
@needs_nats[1]
@pytest.mark.realtime
def test_a_call_comes_to_the_consumer(tmp_path: Path) -> None:
    port = str(free_port())
    server, serve, consumer = (
        [word.replace("4222", port).replace("0.0.0.0:9000", "127.0.0.1:0") for word in words] for words in console()
    )
    assert (server[0], serve[:2], consumer[0]) == ("nats-server", [".venv/bin/strep", "serve"], ".venv/bin/python")
    command = [str(PROGRAM), *server[1:], "-a", "127.0.0.1", "-p", port]
    processes: list[subprocess.Popen[Any]] = [subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)]
    try:
        while not is_open(int(port)):
            assert processes[0].poll() is None
        with serving(*serve[2:], folder=tmp_path) as (_, addresses):
            host, _, udp = addresses["udp"].rpartition(":")
            simulation = Simulation(SimulationOptions(calls=1, seconds=1.0))
            asyncio.run(simulation.run(Target(udp=(host, int(udp)))))
            asyncio.run(stored(consumer[-1]))
            command = [sys.executable, str(ROOT / consumer[1]), *consumer[2:]]
            listener = subprocess.Popen(
                command, cwd=ROOT, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            processes.append(listener)
            assert listener.stdout is not None
            call_id, track, position, samples = listener.stdout.readline().split()
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert call_id in {truth.call_leg_id for truth in simulation.plan().truth().tracks}
    assert (track, int(position) >= 0, int(samples) > 0) == ("inbound", True, True)
    assert (tmp_path / "nats-store").is_dir()


async def stored(url: str) -> None:
    while not await count(url):
        pass


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_every_counter_is_named() -> None:
    watching = PAGE.partition("\n## Watching it\n")[2]
    named = set(re.findall(r"`(\w+)`", watching))
    assert named >= set(Totals.__slots__)


def test_options_are_those_of_the_program() -> None:
    known = {option.flag for option in NATS_OPTIONS}
    assert set(re.findall(r"--nats[a-z-]*", PAGE)) <= known
