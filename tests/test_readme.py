"""The README is true: its programs run as printed, and its first screen keeps its promises."""

from __future__ import annotations

import asyncio
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from shutil import which

import numpy as np
import pytest
import soundfile

from benchmarks.report import Report
from media.carrier.options import SimulationOptions
from media.carrier.simulation import Simulation, Target

README = Path(__file__).parent.parent / "README.md"
MAX_PROGRAM_LINES = 17
LOUD = 1000


def parts(heading: str, language: str) -> list[str]:
    """Return what is printed in a section as code of one language."""
    section = README.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


def program(heading: str) -> str:
    [source] = parts(heading, "python")
    return source


@pytest.mark.parametrize("heading", ["Use it as a library", "Talk back"])
def test_the_program_is_short(heading: str) -> None:
    lines = [line for line in program(heading).splitlines() if line.strip()]
    assert len(lines) <= MAX_PROGRAM_LINES


def test_what_it_says_of_capacity_was_measured() -> None:
    sentence = README.read_text().partition("One core of a small virtual machine records ")[2].partition(":")[0]
    figures = re.findall(r"[\d,.]+ (?:such calls|ms)", sentence)
    kept = Report.from_json((README.parent / "benchmarks" / "results" / "capacity.json").read_bytes()).answers
    assert len(figures) == 2
    assert any(all(figure.split()[0] in line for figure in figures) and "without one lost" in line for line in kept)


@asynccontextmanager
async def running(source: str, folder: Path) -> AsyncIterator[asyncio.StreamReader]:
    """Run a program; yield what it prints."""
    script = folder / "program.py"
    script.write_text(source)
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=README.parent
    )
    assert process.stdout is not None
    try:
        yield process.stdout
        process.send_signal(signal.SIGINT)
        _, complaints = await process.communicate()
        assert process.returncode == 0, "Ctrl-C ends it"
        assert b"Traceback" not in complaints
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def test_the_program_receives_pcm(unused_udp_port: int, tmp_path: Path) -> None:
    source = program("Use it as a library").replace("9000", str(unused_udp_port))
    async with running(source, tmp_path) as output:
        heard = asyncio.create_task(output.readline())
        simulation = Simulation(SimulationOptions(seconds=1))
        while not heard.done():  # the program does not say when it listens: call it until it has heard something
            await simulation.run(Target(udp=("127.0.0.1", unused_udp_port)))
        call_id, direction, position, unit, peak = heard.result().decode().split()
        assert call_id == simulation.plan().truth().tracks[0].call_leg_id
        assert direction in ("INBOUND", "OUTBOUND")
        assert (float(position), unit) == (0.0, "s")
        assert int(peak) >= 0


async def call(command: str, folder: Path) -> int:
    """Run ``strep simulate`` as it is printed, into this folder; return its status."""
    words = [str(folder) if word == "heard" else word for word in shlex.split(command)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "media.cli",
        *words,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    return await process.wait()


@pytest.mark.peer
@pytest.mark.realtime
@pytest.mark.skipif(which("espeak-ng") is None, reason="no espeak-ng here: make peers")
async def test_the_program_talks_back(unused_tcp_port: int, tmp_path: Path) -> None:
    """Both callers of the README hear the greeting until they press a key, and then which one it was."""
    port = str(unused_tcp_port)
    [console] = parts("Talk back", "console")
    commands = [
        command.replace("9001", port) for command in re.findall(r"^\$ \.venv/bin/strep (.*)$", console, re.MULTILINE)
    ]
    assert [re.search(r"--dialect (\w+)", command)[1] for command in commands] == ["telnyx", "twilio"]  # type: ignore[index]
    async with running(program("Talk back").replace("9001", port), tmp_path) as output:
        folders = [tmp_path / "telnyx", tmp_path / "twilio"]
        await listening(unused_tcp_port)
        statuses = await asyncio.gather(
            *(call(command, folder) for command, folder in zip(commands, folders, strict=True))
        )
        said = sorted([(await output.readline()).decode() for _ in commands])
    assert statuses == [0, 0]
    for line, folder in zip(said, folders, strict=True):
        assert re.fullmatch(rf"{folder.name}: [12]\.\d s were heard\n", line)
        [path] = folder.glob("*.wav")
        heard, rate_hz = soundfile.read(path, dtype="int16")
        loud = np.flatnonzero(np.abs(heard) > LOUD) / rate_hz
        assert ((loud > 0.5) & (loud < 2)).any(), "the greeting"
        assert (loud > 2.5).any(), "the answer"


async def listening(port: int) -> None:
    """Wait until somebody listens."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
