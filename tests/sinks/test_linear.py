"""Recordings of calls that are PCM already: each sample where its position says, whatever the order of the blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from media.blocks import PcmBatch
from media.sinks.contract import CallInfo, CallReport
from media.sinks.recording import RecordingSink
from strep.clock import NS_PER_MS, ManualClock
from strep.g711 import LINEAR
from tests.media.harness import pcm_channels, sidecar

RATE_HZ = 16_000
BLOCK = RATE_HZ // 10


def info(index: int = 0, rate_hz: int = RATE_HZ) -> CallInfo:
    return CallInfo(index, f"call-{index}", "rtp", 10**18, rate_hz, {}, is_linear=True)


def row(
    position: int, pcm: np.ndarray[Any, Any], channel: int = 0, now_ms: int = 0, *, late: bool = False
) -> PcmBatch:
    """Return one row of `BLOCK` columns at a multiple of it, as the timeline makes them."""
    first = position % BLOCK
    encoded = np.zeros((1, BLOCK), np.int16)
    encoded[0, first : first + len(pcm)] = pcm
    i4 = np.array([first], np.int32)
    return PcmBatch(
        call=np.zeros(1, np.int32),
        channel=np.array([channel], np.uint8),
        positions=np.array([position - first]),
        first=i4,
        last=i4 + len(pcm),
        codec=np.array([LINEAR], np.uint8),
        encoded=encoded,
        sample_rate_hz=RATE_HZ,
        late=late,
        now_ns=now_ms * NS_PER_MS,
    )


def report(length: int) -> CallReport:
    return CallReport("stop", 10**18 + 10**9, length, [], [], "", 10**18)


def recorded(directory: Path, batches: list[PcmBatch], length: int, **options: Any) -> np.ndarray[Any, Any]:
    sink = RecordingSink(directory, clock=ManualClock(0), **options)
    sink.call_started(info())
    for batch in batches:
        sink.receive(batch)
    sink.call_ended(info(), report(length))
    assert sink.snapshot().live == 0
    assert sink.snapshot().failed == 0
    return pcm_channels(directory / "call-0.wav")


def noise(length: int, seed: int = 1) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(-30_000, 30_000, length).astype(np.int16)


@pytest.mark.parametrize("format", ["pcm16", "passthrough"])
def test_two_channels_to_the_sample(tmp_path: Path, format: str) -> None:
    left, right = noise(40 * BLOCK), noise(40 * BLOCK, 2)
    batches = []
    for i in range(40):
        batches.append(row(i * BLOCK, left[i * BLOCK : (i + 1) * BLOCK], 0, 100 * i))
        if i >= 3:
            batches.append(row(i * BLOCK, right[i * BLOCK : (i + 1) * BLOCK], 1, 100 * i))
    frames = recorded(tmp_path, batches, 40 * BLOCK, format=format)
    assert np.array_equal(frames[:, 0], left)
    assert np.array_equal(frames[3 * BLOCK :, 1], right[3 * BLOCK :])
    assert not frames[: 3 * BLOCK, 1].any()
    document = sidecar(tmp_path, "call-0")
    assert (document["sample_rate_hz"], document["format"]) == (RATE_HZ, "pcm16")


def test_a_file_grows_while_the_call_goes_on(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path, clock=ManualClock(0))
    sink.call_started(info())
    pcm = noise(30 * BLOCK)
    for i in range(30):
        sink.receive(row(i * BLOCK, pcm[i * BLOCK : (i + 1) * BLOCK], now_ms=100 * i))
    assert (tmp_path / "call-0.wav").stat().st_size > 2 * 20 * BLOCK * 2
    assert sink.snapshot().live == 1
    sink.receive(PcmBatch.tick(5000 * NS_PER_MS))
    assert np.array_equal(pcm_channels(tmp_path / "call-0.wav")[:, 0], pcm)
    sink.close()


def test_a_long_gap_is_silence(tmp_path: Path) -> None:
    frames = recorded(tmp_path, [row(0, noise(BLOCK)), row(600 * BLOCK, noise(BLOCK, 2))], 601 * BLOCK)
    assert np.array_equal(frames[:BLOCK, 0], noise(BLOCK))
    assert np.array_equal(frames[600 * BLOCK :, 0], noise(BLOCK, 2))
    assert not frames[BLOCK : 600 * BLOCK].any()


def test_late_packets_are_patched_into_the_file(tmp_path: Path) -> None:
    pcm = noise(40 * BLOCK)
    batches = [row(i * BLOCK, pcm[i * BLOCK : (i + 1) * BLOCK], now_ms=100 * i) for i in range(40) if i != 2]
    frames = recorded(tmp_path, [*batches, row(2 * BLOCK, pcm[2 * BLOCK : 3 * BLOCK], late=True)], 40 * BLOCK)
    assert np.array_equal(frames[:, 0], pcm)


def test_before_the_origin_there_is_no_file(tmp_path: Path) -> None:
    pcm = noise(BLOCK)
    batch = row(0, pcm)
    batch.positions -= BLOCK // 2
    frames = recorded(tmp_path, [batch], BLOCK // 2)
    assert np.array_equal(frames[:, 0], pcm[BLOCK // 2 :])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 59), st.integers(0, 3)), min_size=1, max_size=80))
def test_any_order_makes_the_same_file(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[tuple[int, int, int]]
) -> None:
    expected = np.zeros((60 * BLOCK, 2), np.int16)
    batches = []
    for number, (channel, block, quarter) in enumerate(pieces):
        position = block * BLOCK + quarter * BLOCK // 4
        pcm = noise(BLOCK // 4, number)
        expected[position : position + len(pcm), channel] = pcm
        batches.append(row(position, pcm, channel, 100 * number))
    frames = recorded(tmp_path_factory.mktemp("any"), batches, 60 * BLOCK)
    assert np.array_equal(frames, expected)
