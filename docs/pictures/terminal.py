"""Takes the pictures of docs/terminal.md: a real server, simulated calls, and what the terminal shows of them.

They are taken as time passes, so they are never twice the same; ``make pictures`` takes them last.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from queue import Empty

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console, Group

from media.terminal.board import Board
from media.terminal.client import Door
from media.terminal.screen import screen
from media.terminal.show import picture_of
from media.terminal.tail import take
from media.terminal.watching import Watcher
from strep.clock import NS_PER_SECOND, Clock, SystemClock

STREP = (sys.executable, "-m", "media.cli")
NAMES = ("terminal-tail", "terminal-call")
TAIL_SIZE, CALL_WIDTH = (124, 22), 100
_WATCH_S, _ACT_AT_S = 24.0, 14.0
_CALLERS = (
    "--ws ws://{ws}/telnyx --loss 3% --burst-loss 3 --jitter 25 --press 21:4711 --seed 5",
    "--ws ws://{ws}/twilio --dialect twilio --ws-track both --calls 2 --stagger 900 --seed 6",
    "--udp {udp} --calls 5 --stagger 1300 --loss 0.5% --burst-loss 2 --reorder 1% --jitter 9 --dtmf 1#2 --seed 7",
    "--udp {udp} --loss 6% --burst-loss 4 --jitter 45 --seed 8",
    "--udp {udp} --seconds 21 --jitter 4 --seed 9",
)
_WELCOME = "Welcome. " + "Please enter your number. " * 12
_LASTS = "--seconds 40"
_FORMAT = CONSOLE_SVG_FORMAT[: CONSOLE_SVG_FORMAT.index("    @font-face")] + CONSOLE_SVG_FORMAT[
    CONSOLE_SVG_FORMAT.index("    .{unique_id}-matrix") :
].replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace")
"""Rich's, without fonts from elsewhere: letters are stretched to their columns in any."""


@contextmanager
def _running(*arguments: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*STREP, *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def take_pictures(folder: Path, clock: Clock) -> None:
    """Run a server and its callers, watch them for a while, and put two pictures into a folder."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        work = Path(name)
        doors = ("--udp", "127.0.0.1:0", "--ws", "127.0.0.1:0", "--http", "127.0.0.1:0")
        keeps = ("--record", "rec", "--quality", "audio", "--log-level", "error")
        server = stack.enter_context(_running("serve", *doors, *keeps, folder=work))
        assert server.stdout is not None
        addresses = json.loads(server.stdout.readline().removeprefix("ready "))
        for caller in _CALLERS:
            lasts = "" if "--seconds" in caller else _LASTS
            words = f"{caller} {lasts}".format_map(addresses).split()
            stack.enter_context(_running("simulate", *words, folder=work))
        door = Door(f"http://{addresses['http']}")
        board, watched_s = _watched(door, clock)
        _picture(NAMES[0], "strep tail", screen(board, addresses["http"], "worst", TAIL_SIZE, watched_s, 0.0),
                 TAIL_SIZE[0], folder)  # fmt: skip
        shown = door.get(f"/v1/calls/{_telnyx(door)}")
        _picture(NAMES[1], f"strep call {shown['call_id'][:4]}", picture_of(shown, CALL_WIDTH), CALL_WIDTH, folder)


def _watched(door: Door, clock: Clock) -> tuple[Board, float]:
    """Return what is known after a while, and how long that was; something is said and asked in between."""
    watcher, board, began_ns = Watcher(door, "*", frozenset(), looks=True), Board(), clock.now_ns()
    watcher.start()
    has_acted, now_s = False, 0.0
    try:
        while now_s < _WATCH_S:
            with suppress(Empty):
                take(board, watcher.messages.get(timeout=0.1), now_s)
            now_s = (clock.now_ns() - began_ns) / NS_PER_SECOND
            if now_s > _ACT_AT_S and not has_acted:
                has_acted = True
                door.act(_telnyx(door), "speak", {"payload": _WELCOME, "volume_db": -6})
                door.act(_telnyx(door), "gather", {"maximum_digits": 6, "initial_timeout_millis": 30_000})
    finally:
        watcher.close()
    return board, now_s


def _telnyx(door: Door) -> str:
    return next(str(call["call_id"]) for call in door.calls() if call["dialect"] == "telnyx")


def _picture(name: str, title: str, picture: Group, width: int, folder: Path) -> None:
    with open("/dev/null", "w", encoding="utf-8") as nowhere:
        console = Console(file=nowhere, record=True, width=width, force_terminal=True, color_system="truecolor",
                          highlight=False, markup=False, emoji=False)  # fmt: skip
        console.print(picture)
    svg = console.export_svg(title=title, code_format=_FORMAT, unique_id=name)
    lines = (line.rstrip() for line in svg.splitlines())
    (folder / f"{name}.svg").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main(folder: Path) -> None:
    """Take both."""
    take_pictures(folder, SystemClock())
