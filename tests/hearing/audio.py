"""Audio for tests: lines of keys, cut into batches as the engine makes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.hearing_corpus import Line
from media.blocks import PcmBatch
from media.hearing.ear import Ear, Heard
from media.hearing.verdict import Digit
from strep.g711 import LINEAR

RATE_HZ = 8000
Pcm = NDArray[np.int16]


def tones(seconds: float, *hz: float, amplitude: float = 3000, rate_hz: int = RATE_HZ) -> NDArray[np.float64]:
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    total: NDArray[np.float64] = np.sum([amplitude * np.sin(2 * np.pi * f * t + i) for i, f in enumerate(hz)], axis=0)
    return total


def silence(seconds: float, rate_hz: int = RATE_HZ) -> NDArray[np.float64]:
    return np.zeros(round(seconds * rate_hz))


def line(*pieces: NDArray[np.float64], noise: float = 10.0) -> Line:
    audio = np.concatenate(pieces)
    audio = np.concatenate([audio, np.zeros(-len(audio) % 960 + 960)])
    pcm = (audio + np.random.default_rng(1).normal(0, noise, len(audio))).astype(np.int16)
    return Line(pcm, np.zeros(len(pcm), np.bool_), [])


def spans(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def row_batch(
    pcm: Sequence[Pcm],
    calls: Sequence[int],
    positions: Sequence[int],
    *,
    channel: int | Sequence[int] = 0,
    first: Sequence[int] | None = None,
    last: Sequence[int] | None = None,
    lost: Sequence[tuple[int, int, int]] = (),
    rate_hz: int = RATE_HZ,
    late: bool = False,
) -> PcmBatch:
    n, width = len(pcm), len(pcm[0])
    return PcmBatch(
        call=np.array(calls, np.int32),
        channel=np.broadcast_to(np.array(channel, np.uint8), n),
        positions=np.array(positions, np.int64),
        first=np.array(first if first is not None else [0] * n, np.int32),
        last=np.array(last if last is not None else [width] * n, np.int32),
        codec=np.full(n, LINEAR, np.uint8),
        encoded=np.array(pcm, np.int16),
        sample_rate_hz=rate_hz,
        late=late,
        lost=np.array(lost, np.int64).reshape(-1, 3),
    )


def batches(lines: Sequence[Line], block_ms: int = 20, rate_hz: int = RATE_HZ) -> Iterator[PcmBatch]:
    """Yield the ticks of calls 0, 1, ..., each a line on its inbound track; the shortest is the length of all."""
    width = rate_hz * block_ms // 1000
    length = min(len(line.pcm) for line in lines) // width * width
    for start in range(0, length, width):
        pieces = [line.pcm[start : start + width] for line in lines]
        lost = [(i, a, b) for i, line in enumerate(lines) for a, b in spans(line.lost[start : start + width])]
        yield row_batch(pieces, range(len(lines)), [start] * len(lines), lost=lost, rate_hz=rate_hz)


def hear(ear: Ear, lines: Sequence[Line], block_ms: int = 20) -> list[Heard]:
    found = [heard for batch in batches(lines, block_ms, ear.sample_rate_hz) for heard in ear.receive(batch)]
    return found + [heard for call in range(len(lines)) for heard in ear.forget(call)]


def digits(found: Sequence[Heard], call: int = 0) -> str:
    mine = [heard for heard in found if isinstance(heard, Digit) and heard.key // 2 == call]
    return "".join(digit.digit for digit in sorted(mine, key=lambda digit: digit.position_samples))
