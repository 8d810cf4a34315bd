"""A real file system that is full: every file stays one that others open, and what begins later is recorded."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from media.sinks.recording import RecordingSink
from strep.clock import NS_PER_MS, ManualClock
from tests.kills import opened
from tests.sinks.rows import Row, batch_of, call_info, call_report

CALLS, BLOCKS, BLOCK = 4, 60, 800
SIZE_KIB = 512
MOST_LOST_SAMPLES = 8000

pytestmark = pytest.mark.skipif(not opened.are_installed(), reason="needs sox and ffmpeg: make peers")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Half a megabyte: less than four calls of six seconds take."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_KIB}k,mode=700", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def record(sink: RecordingSink, calls: range, blocks: int) -> None:
    for block in range(blocks):
        rows = [Row(call, channel, BLOCK * block) for call in calls for channel in (0, 1)]
        sink.receive(batch_of(*rows, now_ns=block * 100 * NS_PER_MS))
    for call in calls:
        sink.call_ended(call_info(call), call_report(BLOCK * blocks))


def test_what_was_written_stays_and_new_calls_are_recorded_when_there_is_room_again(small: Path) -> None:
    ballast = small / "ballast"
    ballast.write_bytes(bytes(200 << 10))
    sink = RecordingSink(small, clock=ManualClock())
    for call in range(CALLS):
        sink.call_started(call_info(call))
    record(sink, range(CALLS), BLOCKS)
    paths = sorted(small.glob("*.wav"))
    assert len(paths) == CALLS
    assert opened.soxi_samples(paths) == opened.ffprobe_samples(paths)
    free_samples = ((SIZE_KIB - 200) << 10) // 4 // CALLS
    for path, samples in opened.soxi_samples(paths).items():
        document = json.loads(path.with_suffix(".json").read_bytes())
        assert document["state"] == "failed"
        assert "No space left" in document["error"]
        assert document["length_samples"] == samples > free_samples - MOST_LOST_SAMPLES
        assert path.stat().st_size == 80 + 4 * samples, "nothing of a frame that was not written whole"
    assert sink.snapshot().failed == CALLS

    ballast.unlink()
    sink.call_started(call_info(CALLS))
    record(sink, range(CALLS, CALLS + 1), 20)
    document = json.loads((small / f"call-{CALLS}.json").read_bytes())
    assert (document["state"], document["length_samples"]) == ("complete", 20 * BLOCK)
    assert opened.soxi_samples([small / f"call-{CALLS}.wav"]) == {small / f"call-{CALLS}.wav": 20 * BLOCK}
