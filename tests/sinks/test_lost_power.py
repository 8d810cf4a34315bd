"""Lost power at any moment: what is on the disk then is finished at the next start, and little is missing of it."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any, Literal

import numpy as np
import pytest

from media.sealing.keys import Recipients
from media.sealing.records import Damaged
from media.sinks.damage import is_damaged
from media.sinks.recording import RecordingSink
from media.sinks.salvage import Salvage
from media.sinks.sidecar import describe, replace
from media.sinks.syncing import Syncer
from media.sinks.wav import Encoding
from strep.clock import NS_PER_MS, NS_PER_SECOND, ManualClock
from tests.sealing.people import FOR_ALICE, heard
from tests.sinks.lost_power import Disk
from tests.sinks.rows import Row, batch_of, call_info, call_report
from tests.sinks.sidecars import check
from tests.sinks.waves import play

BLOCKS, BLOCK, CALLS = 60, 800, 2
MOST_LOST_SAMPLES = (1000 + 1000) * 8
"""What a process has in memory, and what is written in the interval of `Syncer`."""


def record(
    directory: Path, format: Literal["pcm16", "passthrough"], recipients: Recipients = ()
) -> tuple[Disk, list[tuple[int, int]]]:
    """Record two calls, the second begins later and ends earlier; return what was done, and when how much was spoken.

    The second are pairs: number of steps, blocks since the beginning of the first call.
    """
    clock, disk, spoken = ManualClock(), Disk(directory), list[tuple[int, int]]()
    sink = RecordingSink(directory, format, clock, recipients=recipients)
    syncer = Syncer([directory], NS_PER_SECOND, clock, disk.sync)
    directory.mkdir()
    with disk.watching():
        sink.call_started(call_info(0))
        for block in range(BLOCKS):
            if block == 13:
                sink.call_started(call_info(1))
            live = [0] if not 13 <= block < 47 else [0, 1]
            rows = [Row(call, channel, BLOCK * (block - 13 * call)) for call in live for channel in (0, 1)]
            sink.receive(batch_of(*rows, now_ns=clock.now_ns()))
            if block == 46:
                sink.call_ended(call_info(1), call_report(BLOCK * 34))
            clock.advance(100 * NS_PER_MS)
            if block % 10 == 7:
                syncer.step()
            spoken.append((len(disk.steps), block + 1))
        sink.call_ended(call_info(0), call_report(BLOCK * BLOCKS))
        spoken.append((len(disk.steps), BLOCKS))
    return disk, spoken


@pytest.mark.parametrize("format", ["pcm16", "passthrough"])
@pytest.mark.parametrize("seed", range(2))
def test_at_any_step(tmp_path: Path, format: Any, seed: int) -> None:
    disk, spoken = record(tmp_path / "recorded", format)
    truth = {name: play(tmp_path / "recorded" / name) for name in ("call-0.wav", "call-1.wav")}
    random, salvaged = Random(seed), 0
    for count in range(len(disk.steps) + 1):
        directory = tmp_path / f"after-{count}"
        directory.mkdir()
        for name, content in disk.left(count, random).items():
            (directory / name).write_bytes(content)
        salvage = Salvage(directory, 0, clock=ManualClock(3600 * NS_PER_SECOND))
        salvage._run()
        salvaged += salvage.finished
        blocks = next(block for steps, block in spoken if steps >= count)
        _check(directory, disk.synced(count), truth, blocks)
    assert salvaged > len(disk.steps) // 2


def _check(directory: Path, synced: dict[str, bytes], truth: dict[str, Any], blocks: int) -> None:
    """All that was synced is there, in files that are valid, and it is nearly all that was spoken."""
    for path in directory.glob("*.json"):
        if is_damaged(path):  # and so is its audio, or that would tell what it is: it began a moment ago
            assert path.name not in synced
            continue
        document = check(path)
        assert document["state"] in ("complete", "failed")
        audio = path.with_suffix(".wav")
        assert len(play(audio)) == document["length_samples"]
        encoding = next(encoding for encoding in Encoding if encoding.label == document["format"])
        data_bytes = len(synced.get(audio.name, b"")) - encoding.data_offset
        certain = max(data_bytes, 0) // encoding.frame_bytes
        assert document["length_samples"] >= certain
        heard = play(audio)[:certain]
        assert np.array_equal(heard, truth[audio.name][: len(heard)])
    for name in synced:
        assert (directory / name).exists() or name.startswith("."), "nothing that was on the disk goes"
    if blocks * BLOCK > MOST_LOST_SAMPLES:
        document = json.loads((directory / "call-0.json").read_bytes())
        assert blocks * BLOCK - document["length_samples"] <= MOST_LOST_SAMPLES


@pytest.mark.parametrize("format", ["pcm16", "passthrough"])
def test_of_sealed_ones(tmp_path: Path, format: Any) -> None:
    """Who has the key opens all that was synced, and what else came to the disk is no record that was not written."""
    disk, spoken = record(tmp_path / "recorded", format, FOR_ALICE)
    truth = {path.name: heard(path) for path in (tmp_path / "recorded").glob("*.sealed")}
    assert len(truth) == CALLS
    random, salvaged = Random(1), 0
    for count in range(0, len(disk.steps) + 1, 5):
        directory, synced = tmp_path / f"after-{count}", tmp_path / f"synced-{count}"
        for place, files in ((directory, disk.left(count, random)), (synced, disk.synced(count))):
            place.mkdir()
            for name, content in files.items():
                (place / name).write_bytes(content)
        salvage = Salvage(directory, 0, clock=ManualClock(3600 * NS_PER_SECOND), recipients=FOR_ALICE)
        salvage._run()
        salvaged += salvage.finished
        blocks = next(block for steps, block in spoken if steps >= count)
        for audio in synced.glob("*.wav.sealed"):
            certain = _opened(audio)
            if not len(certain):  # it began a moment ago
                continue
            found = heard(directory / audio.name)
            assert len(found) >= len(certain)
            assert np.array_equal(found[: len(certain)], truth[audio.name][: len(certain)])
            document = check(directory / f"{audio.name.removesuffix('.wav.sealed')}.json")
            assert document["length_samples"] == len(found)
        if blocks * BLOCK > MOST_LOST_SAMPLES:
            assert blocks * BLOCK - len(heard(directory / "call-0.wav.sealed")) <= MOST_LOST_SAMPLES
    assert salvaged


def _opened(path: Path) -> Any:
    try:
        return heard(path)
    except Damaged:
        return np.zeros((0, 2), np.int16)


@pytest.mark.parametrize("state", ["recording", "complete"])
def test_a_description_that_is_cut_anywhere_is_none(tmp_path: Path, state: Any) -> None:
    path, document = (
        tmp_path / "a.json",
        describe(
            call_info(), None, state=state, file="a.wav", encoding="pcm16", length_samples=1, note="", error=None
        ),
    )
    replace(path, document)
    content = path.read_bytes()
    assert not is_damaged(path)
    for length in range(len(content.rstrip())):
        path.write_bytes(content[:length])
        assert is_damaged(path) == (length == 0 or length >= 20), "of what is shorter nobody knows whose it was"
