"""`strep serve` as a process, and in this one."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from media import cli
from media.carrier.options import SimulationOptions
from media.carrier.pacing import Instant
from media.carrier.simulation import Simulation, Target

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("STREP_")}


@contextmanager
def serving(
    *arguments: str, folder: Path | None = None, **environment: str
) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Run ``strep serve``, in a folder; yield the process and the addresses it says.

    Told to end, it ends the calls of senders that have gone on the spot, unless it was given a --drain-timeout.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "media.cli", "serve", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT | {"STREP_DRAIN_TIMEOUT": "0"} | environment,
        cwd=folder,
    )
    try:
        assert process.stdout is not None
        word, _, addresses = process.stdout.readline().partition(" ")
        assert word == "ready", process.communicate()[1]
        yield process, json.loads(addresses)
    finally:
        process.kill()
        process.communicate()


def run(*arguments: str) -> Result:
    return CliRunner(env=dict.fromkeys(os.environ.keys() - ENVIRONMENT.keys())).invoke(
        cli.strep, ["serve", *arguments]
    )


def send(options: SimulationOptions, target: Target) -> Simulation:
    simulation = Simulation(options)
    asyncio.run(simulation.run(target, Instant()))
    return simulation


def address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)
