"""The processes of a server with workers, and who sends to them."""

from __future__ import annotations

import asyncio
import re
import threading
import urllib.request
from pathlib import Path

from media.carrier.simulation import Simulation, Target
from tests.media.gated import Gated
from tests.patience import PATIENCE_S, wait_until


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def has_open(pid: int, path: Path) -> bool:
    try:
        return any(entry.samefile(path) for entry in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:  # gone, or a descriptor is
        return False


def writer_of(pid: int, path: Path) -> int:
    """Return the worker of the server `pid` that writes the file."""
    (writer,) = wait_until(lambda: [child for child in children(pid) if has_open(child, path)])
    return int(writer)


def metrics(where: str) -> dict[str, float]:
    with urllib.request.urlopen(f"http://{where}/metrics", timeout=PATIENCE_S) as answer:
        text = answer.read().decode()
    return {name: float(value) for name, value in re.findall(r"^(strep_[^ ]+) (\S+)$", text, re.MULTILINE)}


class Sender(threading.Thread):
    """Sends in real time, knows how far it is, and waits for who is slow.

    Attributes:
        early: two and a half seconds are sent, and no more before this is set.
        late: then four, and no more before this is set.
    """

    def __init__(self, simulation: Simulation, target: Target) -> None:
        super().__init__(daemon=True)
        self.sent = 0
        self.early, self.late = threading.Event(), threading.Event()
        self._simulation, self._target = simulation, target
        self.start()

    def run(self) -> None:
        pacer = Gated((2.5, self.early), (4.0, self.late))
        asyncio.run(self._simulation.run(self._target, pacer, on_progress=self._progress))

    def _progress(self, sent: int) -> None:
        self.sent = sent


def leg_ids(simulation: Simulation) -> list[str]:
    return sorted({track.call_leg_id for track in simulation.plan().truth().tracks})
