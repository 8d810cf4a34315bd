"""Blocks for tests: a `Row` is one track's block, `batch_of` makes a batch of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from media.blocks import PcmBatch
from media.sinks.contract import CallInfo, CallReport, TrackReport
from strep.clock import ManualClock
from strep.g711 import Codec, decode
from strep.header import Direction

WALL_NS = ManualClock().epoch_ns


@dataclass(frozen=True)
class Row:
    """Noise from `seed`, so that no two blocks are alike."""

    call: int
    channel: int
    position: int
    width: int = 800
    first: int = 0
    last: int | None = None
    codec: Codec = Codec.PCMU
    seed: int = 0

    @property
    def end(self) -> int:
        return self.width if self.last is None else self.last

    @property
    def encoded(self) -> NDArray[np.uint8]:
        key = (self.seed, self.call, self.channel, abs(self.position))
        return np.random.default_rng(key).integers(0, 256, self.width, dtype=np.uint8)


def batch_of(*rows: Row, now_ns: int = 0, late: bool = False) -> PcmBatch:
    return PcmBatch(
        call=np.array([row.call for row in rows], np.int32),
        channel=np.array([row.channel for row in rows], np.uint8),
        positions=np.array([row.position for row in rows], np.int64),
        first=np.array([row.first for row in rows], np.int32),
        last=np.array([row.end for row in rows], np.int32),
        codec=np.array([row.codec for row in rows], np.uint8),
        encoded=np.array([row.encoded for row in rows], np.uint8),
        now_ns=now_ns,
        late=late,
    )


def call_info(index: int = 0, call_id: str = "") -> CallInfo:
    return CallInfo(index, call_id or f"call-{index}", "strep", WALL_NS, identity={"call_leg_id": "x"})


def call_report(length_samples: int, *, note: str = "") -> CallReport:
    tracks = [
        TrackReport(
            Direction.INBOUND,
            "PCMU",
            start_samples=0,
            length_samples=length_samples,
            statistics={"packets": np.int64(3), "jitter_ms": 0.5},
            ledger=[(0, length_samples, "lost")],
            totals={"received": 0, "lost": length_samples},
            sources=[{"ssrc": 7}],
        )
    ]
    return CallReport("stop", WALL_NS + 1_000, length_samples, tracks if length_samples else [], note=note)


def spoken(channel: int, blocks: int) -> NDArray[np.int16]:
    """Return what `blocks` blocks of 100 ms of call 0 sound like."""
    return decode(np.concatenate([Row(0, channel, 800 * block).encoded for block in range(blocks)]), Codec.PCMU)
