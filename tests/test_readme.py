"""The README is true: its program runs as printed, and its first screen keeps its promises."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

from media.carrier.options import SimulationOptions
from media.carrier.simulation import Simulation, Target

README = Path(__file__).parent.parent / "README.md"
MAX_PROGRAM_LINES = 15


def program() -> str:
    found = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert found
    return found[1]


def test_the_program_is_short() -> None:
    lines = [line for line in program().splitlines() if line.strip()]
    assert len(lines) <= MAX_PROGRAM_LINES


async def test_the_program_receives_pcm(unused_udp_port: int, tmp_path: Path) -> None:
    source = program().replace("9000", str(unused_udp_port))
    script = tmp_path / "program.py"
    script.write_text(source)
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), stdout=asyncio.subprocess.PIPE, cwd=README.parent
    )
    assert process.stdout is not None
    try:
        heard = asyncio.create_task(process.stdout.readline())
        simulation = Simulation(SimulationOptions(seconds=1))
        while not heard.done():  # the program does not say when it listens: call it until it has heard something
            await simulation.run(Target(udp=("127.0.0.1", unused_udp_port)))
        call_id, direction, position, unit, peak = heard.result().decode().split()
        assert call_id == simulation.plan().truth().tracks[0].call_leg_id
        assert direction in ("INBOUND", "OUTBOUND")
        assert (float(position), unit) == (0.0, "s")
        assert int(peak) >= 0
    finally:
        process.kill()
        await process.wait()
