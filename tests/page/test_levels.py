"""Levels of blocks, beside what a loop over samples finds."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from media.blocks import PcmBatch
from media.page.levels import BUCKET_MS, FLAG_LATE, LEVEL, SILENT, half_db, levels_of
from tests.sinks.rows import Row, batch_of


def batch(pcm: NDArray[np.int16], rate_hz: int = 8000, **more: Any) -> PcmBatch:
    n, width = pcm.shape
    columns: dict[str, Any] = {
        "call": np.arange(n, dtype=np.int32),
        "channel": np.zeros(n, np.uint8),
        "positions": np.zeros(n, np.int64),
        "first": np.zeros(n, np.int32),
        "last": np.full(n, width, np.int32),
        "codec": np.zeros(n, np.uint8),
    }
    return PcmBatch(**(columns | more), encoded=pcm, sample_rate_hz=rate_hz)


def by_hand(samples: NDArray[np.int16]) -> tuple[int, int]:
    """Return peak and power of samples, in half decibels, one sample at a time."""

    def told(amplitude: float) -> int:
        return SILENT if not amplitude else min(max(round(-40 * math.log10(amplitude / 32768)), 0), SILENT)

    values = [abs(int(sample)) for sample in samples]
    return told(max(values)), told(math.sqrt(sum(value * value for value in values) / len(values)))


@pytest.mark.parametrize(
    ("rate_hz", "ms", "pieces"), [(8000, 100, 2), (8000, 20, 1), (16_000, 100, 2), (24_000, 50, 1)]
)
def test_each_piece_is_what_a_loop_finds(rate_hz: int, ms: int, pieces: int) -> None:
    random = np.random.default_rng(ms)
    pcm = (random.integers(-32768, 32768, (3, rate_hz * ms // 1000)) // 2 ** random.integers(0, 12, (3, 1))).astype(
        "i2"
    )
    found = levels_of(batch(pcm, rate_hz))
    assert len(found) == 3 * pieces
    for record in found:
        start = int(record["position_ms"]) * rate_hz // 1000
        peak, rms = by_hand(pcm[record["call"], start : start + int(record["length_ms"]) * rate_hz // 1000])
        assert record["length_ms"] == min(BUCKET_MS, ms)
        assert abs(int(record["peak"]) - peak) <= 1, "a rounding"
        assert abs(int(record["rms"]) - rms) <= 1


def test_only_what_is_audio_counts() -> None:
    pcm = np.full((1, 800), 20_000, np.int16)
    pcm[0, 100:500] = 1000
    found = levels_of(
        batch(pcm, first=np.array([100], np.int32), last=np.array([500], np.int32), positions=np.array([7900]))
    )
    assert found["position_ms"].tolist() == [1000, 1038]
    assert found["length_ms"].tolist() == [38, 12]
    assert set(found["peak"].tolist()) == {by_hand(pcm[0, 100:101])[0]}


def test_what_was_lost_is_a_share_of_its_place() -> None:
    pcm = np.zeros((2, 800), np.int16)
    found = levels_of(batch(pcm, lost=np.array([[1, 200, 600]])))
    assert found["lost"].tolist() == [0, 0, 127, 127]
    assert set(found["peak"].tolist()) == {SILENT}


def test_patches_are_told_apart_and_nothing_is_nothing() -> None:
    assert set(levels_of(batch_of(Row(0, 1, 0), late=True))["flags"].tolist()) == {FLAG_LATE}
    assert levels_of(batch_of(Row(0, 1, 0)))["track"].tolist() == [1, 1]
    assert not len(levels_of(PcmBatch.tick(1)))


def test_loudness() -> None:
    assert half_db(np.array([32768.0, 32767, 16384, 3276.8, 1, 0])).tolist() == [0, 0, 12, 40, 181, SILENT]


def test_a_record_has_no_holes() -> None:
    assert LEVEL.itemsize == struct.calcsize("<IIBBBBBBH") == 16
