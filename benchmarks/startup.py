"""How long does a server take to start?

From the start of the process ``strep serve`` to its line ``ready``, and what importing the packages takes, beside a
Python that does nothing at all.
"""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Annotated

import msgspec
from msgspec import Meta

from benchmarks import environment
from benchmarks.child import REPOSITORY
from benchmarks.progress import Say
from benchmarks.question import Question
from benchmarks.report import Bar, Bars, Report, Spread, Table
from media.carrier.options import SimulationOptions
from media.carrier.plan import make_plan

BOUNDS_S = {"serve": 0.5, "strep": 0.15, "media": 0.25}

_LABELS = {
    "nothing": "python -c pass",
    "strep": "import strep",
    "media": "import media",
    "server": "from media import Server",
    "serve": "strep serve, to its line `ready`",
}
_IMPORTS = {"nothing": "pass", "strep": "import strep", "media": "import media", "server": "from media import Server"}
_TIMEOUT_S = 60


class Settings(msgspec.Struct, frozen=True):
    """What was asked for."""

    repeats: Annotated[int, Meta(ge=1, description="How often, all taking turns.")] = 21


class Start(msgspec.Struct, frozen=True):
    """One start.

    Attributes:
        what: a key of the labels.
        seconds: from before the fork to the exit of the process, or to the line.
    """

    what: str
    seconds: float
    complaints: list[str] = []


def measure(settings: Settings, say: Say, scratch: Path) -> Report:
    """Start everything in turn, as often as asked; one round before that warms the file cache and does not count."""
    where = environment.describe(scratch)
    todo: dict[str, Callable[[], Start]] = {name: _importer(name) for name in _IMPORTS}
    todo["serve"] = lambda: _serve(scratch)
    starts: list[Start] = []
    for repeat in range(settings.repeats + 1):
        say.doing(f"round {repeat} of {settings.repeats}", repeat / (settings.repeats + 1))
        found = [start() for start in todo.values()]
        starts += found if repeat else []
    counting = [start for start in starts if not start.complaints]
    spreads = {
        name: Spread.of(start.seconds * 1000 for start in counting if start.what == name)
        for name in _LABELS
        if any(start.what == name for start in counting)
    }
    return Report(
        question="startup",
        environment=where,
        answers=_answers(spreads),
        tables=[Table("From the start of the process", ["what", "ms", "beyond Python itself, ms"], _cells(spreads))],
        runs=len(starts),
        charts=[Bars("From the start of the process", "ms", _bars(spreads))],
        conditions=[["starts", "with warm file caches and compiled modules; all take turns"]],
        figures=msgspec.to_builtins(starts),
        complaints=[f"{_LABELS[start.what]}: {text}" for start in starts for text in start.complaints],
    )


def _importer(name: str) -> Callable[[], Start]:
    def start() -> Start:
        before_ns = time.perf_counter_ns()
        done = subprocess.run(
            [sys.executable, "-c", _IMPORTS[name]], cwd=REPOSITORY, capture_output=True, check=False
        )
        seconds = (time.perf_counter_ns() - before_ns) / 1e9
        said = done.stderr.decode(errors="replace").strip()
        return Start(name, seconds, [said or f"exit code {done.returncode}"] if done.returncode else [])

    return start


def _serve(scratch: Path) -> Start:
    """Start a server with both doors, then see that "ready" means it: what is sent at once is recorded."""
    directory = Path(mkdtemp(prefix="startup-", dir=scratch))
    arguments = ["serve", "--udp", "127.0.0.1:0", "--ws", "127.0.0.1:0", "--record", str(directory)]
    before_ns = time.perf_counter_ns()
    process = subprocess.Popen(
        [*_strep(), *arguments], cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        seconds = (time.perf_counter_ns() - before_ns) / 1e9
        return Start("serve", seconds, list(_complaints(process, line.decode(), directory)))
    finally:
        process.kill()
        process.communicate()
        shutil.rmtree(directory, ignore_errors=True)


def _strep() -> list[str]:
    """Return the command as it is installed, else the module behind it."""
    script = Path(sys.executable).parent / "strep"
    return [str(script)] if script.exists() else [sys.executable, "-m", "media.cli"]


def _complaints(process: subprocess.Popen[bytes], line: str, directory: Path) -> list[str]:
    word, _, addresses = line.partition(" ")
    if word != "ready":
        return [f"said {line!r} instead of ready"]
    host, _, port = json.loads(addresses)["udp"].rpartition(":")
    plan = make_plan(SimulationOptions(seconds=0.2, audio=None))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for number in range(len(plan)):
            sock.sendto(plan.datagram(number), (host, int(port)))
    process.send_signal(signal.SIGTERM)
    if process.wait(_TIMEOUT_S) != 0:
        return [f"ended with {process.returncode}"]
    found = [msgspec.json.decode(path.read_bytes()) for path in directory.glob("*.json")]
    received = sum(track["statistics"]["received"] for call in found for track in call["tracks"])
    return [] if received == len(plan) else [f"recorded {received} of {len(plan)} packets sent when it was ready"]


def _answers(spreads: dict[str, Spread]) -> list[str]:
    return [
        f"{_LABELS[name]}: {spreads[name].median / 1000:.3f} s (bound: {bound:g} s)"
        for name, bound in BOUNDS_S.items()
        if name in spreads
    ]


def _cells(spreads: dict[str, Spread]) -> list[list[str]]:
    nothing = spreads["nothing"].median if "nothing" in spreads else 0.0
    return [
        [_LABELS[name], spread.text(), f"{spread.median - nothing:,.0f}" if name != "nothing" else ""]
        for name, spread in spreads.items()
    ]


def _bars(spreads: dict[str, Spread]) -> list[Bar]:
    return [Bar(_LABELS[name], spread, ours=name != "nothing") for name, spread in spreads.items()]


QUESTION = Question(
    name="startup",
    explains="""Python with nothing to do, three imports, and ``strep serve --udp --ws --record`` until it says that
it is ready, take turns; each in a process of its own, timed from before the fork. The first round is not counted:
it fetches files from the disk.

The referee sends a call the moment the server says ready, and looks whether all of it was recorded.""",
    settings=Settings,
    quick=Settings(repeats=3),
    measure=measure,
)
