"""A process that records a call, and may die."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from media.sinks.contract import CallInfo, CallReport, TrackReport
from media.sinks.recording import RecordingSink
from media.sinks.told import HEADS
from strep.clock import NS_PER_SECOND, ManualClock
from strep.g711 import Codec, decode
from strep.header import Direction
from tests.sinks.histories import Format
from tests.sinks.rows import Row, batch_of, call_info

BLOCK = 800
RATE_HZ = 8000


class Process:
    """A recorder with one call, which lives until it is killed or ended."""

    def __init__(self, directory: Path, clock: ManualClock, format: Format = "pcm16", *, seed: int = 0) -> None:
        self.clock, self.seed, self.rows = clock, seed, list[Row]()
        self.sink = RecordingSink(directory, format, clock)
        self.call = self._call()
        self.sink.call_started(self.call)

    def _call(self) -> CallInfo:
        return dataclasses.replace(call_info(call_id="leg"), started_wall_ns=self.clock.wall_ns())

    def record(self, blocks: int, codec: Codec = Codec.PCMU) -> None:
        """Record so many blocks of both directions, at the pace of the clock, and write them."""
        for _ in range(blocks):
            position = len(self.rows) // 2 * BLOCK
            rows = [Row(0, channel, position, codec=codec, seed=self.seed) for channel in (0, 1)]
            self.clock.advance(BLOCK * NS_PER_SECOND // RATE_HZ)
            self.sink.receive(batch_of(*rows, now_ns=self.clock.now_ns()))
            self.rows += rows
        self.sink.receive(batch_of(now_ns=self.clock.now_ns() + 2 * NS_PER_SECOND))

    def die(self) -> None:
        for recording in self.sink._live.values():
            assert recording.wav
            recording.wav.let_go()

    def end(self, *directions: Direction) -> None:
        length = len(self.rows) // 2 * BLOCK
        tracks = [
            TrackReport(
                direction, "PCMU", 0, length, {}, [(BLOCK, 160, "lost")], {"received": length - 160, "lost": 160}
            )
            for direction in directions or Direction
        ]
        digit: dict[str, Any] = {"event": "dtmf", "digit": "5", "position_samples": BLOCK}
        self.sink.call_ended(
            self.call, CallReport("stop", self.clock.wall_ns(), length, tracks, [digit, {"event": "mark"}])
        )

    def samples(self, codec: Codec = Codec.PCMU) -> Any:
        """Return what was recorded, (n, 2) int16."""
        channels = [np.concatenate([decode(r.encoded, codec) for r in self.rows if r.channel == c]) for c in (0, 1)]
        return np.stack(channels, axis=1)


def seen(directory: Path) -> list[str]:
    """Return the names of files, but for what a process that died said of its calls, which the next start removes."""
    return sorted(path.name for path in directory.iterdir() if not path.name.endswith(HEADS))
