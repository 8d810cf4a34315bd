"""``python -m tests.fuzz.storms datagrams|frames [--count N] [--seed S] [--only RULES]``: what `make fuzz` runs."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.fuzz.storms import datagrams, frames
from tests.fuzz.storms.peers import without_loop

MOST_GROWTH_BYTES = 32 << 20
"""Of the process, from the end of a storm's first tenth to its end."""
DATAGRAMS_A_STEP, FRAMES_A_STEP = 2000, 20
COUNTS = {"datagrams": 10_000_000, "frames": 1_000_000}


class Storm(Protocol):
    """Steps of 20 ms, and an end at which everything is looked at."""

    @property
    def mutated(self) -> int:
        """What of it was mutated so far."""

    def step(self) -> None:
        """Go on."""

    def finish(self) -> dict[str, int]:
        """End; return what became of it."""


def rss_bytes() -> int:
    """Return what the process has in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def storms(kind: str, count: int, seed: int, only: str) -> Iterator[tuple[str, Storm, int]]:
    """Yield name, storm, and how much of it is to be mutated."""
    if kind == "frames":
        yield kind, frames.FrameStorm(seed, FRAMES_A_STEP), count
        return
    chosen = [rules for rules in datagrams.ALL_RULES if only in ("", rules.name)]
    for rules in chosen:
        yield rules.name, datagrams.DatagramStorm(rules, seed, DATAGRAMS_A_STEP), count // len(datagrams.ALL_RULES)


def main() -> int:
    """Let it storm, and say what became of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.storms", description=__doc__)
    parser.add_argument("kind", choices=COUNTS)
    parser.add_argument("--count", type=int, help="how many are mutated, by all rules together")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--only", default="", help="one of the rules of datagrams, by its name")
    given = parser.parse_args()
    count = given.count or COUNTS[given.kind]
    logging.disable(logging.CRITICAL)
    console = Console(width=110)
    again = f"python -m tests.fuzz.storms {given.kind} --count {count} --seed {given.seed}"
    console.print(f"again: {again}", soft_wrap=True)
    before_s = time.perf_counter()
    with without_loop() if given.kind == "frames" else nullcontext():
        for name, storm, most in storms(given.kind, count, given.seed, given.only):
            try:
                weather(console, name, storm, most)
            except BaseException:
                console.print(
                    f"found at {storm.mutated:,}; again: {again} --only {name}", style="red", soft_wrap=True
                )
                raise
    console.print(f"{time.perf_counter() - before_s:.0f} s")
    return 0


def weather(console: Console, name: str, storm: Storm, most: int) -> None:
    """Let one storm pass."""
    say = partial(console.print, soft_wrap=True)
    columns = TextColumn("{task.description:14}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    warm_bytes, tenths, before_s = rss_bytes(), 0, time.perf_counter()
    with Progress(*columns, console=console, refresh_per_second=1, transient=True) as progress:
        task = progress.add_task(name, total=most)
        while storm.mutated < most:
            storm.step()
            progress.update(task, completed=storm.mutated)
            if storm.mutated * 10 // most > tenths:
                warm_bytes = warm_bytes if tenths else rss_bytes()  # a step may be longer than a tenth
                tenths = storm.mutated * 10 // most
                if not console.is_terminal:
                    say(f"{name}: {storm.mutated:,} after {time.perf_counter() - before_s:.0f} s")
    end_bytes = rss_bytes()
    told = ", ".join(f"{reason} {number:,}" for reason, number in storm.finish().items())
    say(f"{name}: {storm.mutated:,} mutated; {told}")
    say(f"  {warm_bytes / 2**20:.1f} MiB after a tenth, {end_bytes / 2**20:.1f} MiB at the end")
    assert end_bytes - warm_bytes < MOST_GROWTH_BYTES, "it grows"


if __name__ == "__main__":
    sys.exit(main())
