"""The carrier of a soak: begins a wave of each kind at a time, each in its own process, and tells what came of it.

As a program it is told what to do in its argument, an `Errand` in JSON, and says a `WaveResult` a line. A wave's
process is forked from this one, which has everything imported: it is there at once, and takes its memory with it.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
import traceback
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.child import answer
from benchmarks.soak_wave import KINDS, Wave, WaveResult, play
from strep.clock import NS_PER_SECOND, SystemClock

WAVES_AT_ONCE = 7
"""Of each kind: every so manyth part of a call's length, one begins."""
_AHEAD_S = 4.0
"""A wave has to be written down before it is sent."""
_LOOK_S = 0.2


class Errand(msgspec.Struct, frozen=True):
    """What the carrier is to do.

    Attributes:
        calls: live at once, about.
        minutes: for which new calls begin.
        shortest_s: length of the shortest call.
        longest_s: of the longest; a wave's calls have one length, drawn at random.
        addresses: of the server, as its line ``ready`` says.
        recordings: its directory.
        scratch: directory for the waves' results.
        waves: number of the first wave; another soak of the same server begins where one ended.
    """

    calls: int
    minutes: float
    shortest_s: float
    longest_s: float
    addresses: dict[str, Any]
    recordings: str
    scratch: str
    waves: int = 0

    @property
    def step_s(self) -> float:
        """From one wave of a kind to the next."""
        return (self.shortest_s + self.longest_s) / 2 / WAVES_AT_ONCE

    def __iter__(self) -> Iterator[Wave]:
        """Yield all waves, in order of time; those of the four kinds begin at different moments."""
        random = np.random.default_rng(self.calls)
        start_ns = SystemClock().now_ns() + round(_AHEAD_S * NS_PER_SECOND)
        for step in range(max(round(self.minutes * 60 / self.step_s), 1)):
            for place, (kind, share) in enumerate(KINDS.items()):
                calls = max(round(self.calls * share / WAVES_AT_ONCE), 1)
                seconds = round(float(random.uniform(self.shortest_s, self.longest_s)), 2)
                begins_ns = start_ns + round((step + place / len(KINDS)) * self.step_s * NS_PER_SECOND)
                number = self.waves + step * len(KINDS) + place
                stagger_s = self.step_s / calls
                yield Wave(number, kind, calls, seconds, stagger_s, begins_ns, self.addresses, self.recordings)


def main() -> None:
    """Send all waves, and tell of each when it has been judged."""
    errand = msgspec.json.decode(sys.argv[1], type=Errand)
    context, clock, waves = multiprocessing.get_context("fork"), SystemClock(), list(errand)
    running: dict[int, BaseProcess] = {}
    for wave in waves:
        while wave.start_ns - clock.now_ns() > _AHEAD_S * NS_PER_SECOND:
            _reap(running, errand)
            time.sleep(_LOOK_S)
        process = context.Process(target=_send, args=(wave, errand.scratch))
        process.start()
        running[wave.number] = process
    while running:
        _reap(running, errand)
        time.sleep(_LOOK_S)
    answer({"waves": len(waves)})


def _send(wave: Wave, scratch: str) -> None:
    try:
        result = play(wave)
    except Exception as error:  # it would be one line of many on standard error
        traceback.print_exc()
        result = WaveResult(
            wave.number, wave.kind, wave.calls, wave.seconds, 0, 0, 0, 0, 0, 0, wave.calls, 0, 0, 0, 0, {},
            (0.0, 0.0), [f"the sender failed: {error}"],
        )  # fmt: skip
    _path(wave.number, scratch).write_bytes(msgspec.json.encode(result))


def _reap(running: dict[int, BaseProcess], errand: Errand) -> None:
    for number, process in list(running.items()):
        if process.is_alive():
            continue
        process.join()
        del running[number]
        path = _path(number, errand.scratch)
        answer(msgspec.json.decode(path.read_bytes()) if path.exists() else {"died": number})
        path.unlink(missing_ok=True)


def _path(number: int, scratch: str) -> Path:
    return Path(scratch) / f"wave-{number}.result"


if __name__ == "__main__":
    main()
