"""A process killed between any two things that it does to the disk, and the next one too: one file, and no other.

What is there at such a moment is every step before it and none behind it: `tests.sinks.lost_power` writes them down.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import soundfile

from media.sinks.salvage import Salvage
from strep.clock import NS_PER_SECOND, ManualClock
from tests.sealing.people import heard, in_clear
from tests.sealing.sealed_process import SealedProcess
from tests.sinks.lost_power import Disk
from tests.sinks.process import Process
from tests.sinks.sidecars import check

BLOCKS = 2
WAYS = [(Process, "pcm16"), (Process, "passthrough"), (SealedProcess, "pcm16")]
_LIFE_NS = NS_PER_SECOND
"""From the beginning of one process to that of the next, whenever the one before was killed."""


class Way:
    """How it is recorded, and how that is looked at."""

    def __init__(self, folder: Path, process: type[Process], format: Any) -> None:
        self._folder, self._process, self._format = folder, process, format
        self._lives = 0

    def directory(self, files: dict[str, bytes]) -> Path:
        """Return a new directory with these files."""
        self._lives += 1
        directory = self._folder / str(self._lives)
        directory.mkdir(parents=True)
        for name, content in files.items():
            (directory / name).write_bytes(content)
        return directory

    def begin(self, directory: Path, life: int) -> Process:
        """Return the `life`-th process, which has heard of the call."""
        return self._process(directory, ManualClock(5 * NS_PER_SECOND + life * _LIFE_NS), self._format, seed=life)

    def live(self, files: dict[str, bytes], life: int) -> list[dict[str, bytes]]:
        """Return what is there if the `life`-th process, that finds `files`, is killed: after each of its steps."""
        directory = self.directory(files)
        disk = Disk(directory)
        with disk.watching():
            process = self.begin(directory, life)
            process.record(BLOCKS)
        process.die()
        return [disk.killed(count) for count in range(disk.begun, len(disk.steps) + 1)]

    def valid(self, directory: Path) -> dict[str, int]:
        """Return the length of each recording that can be seen; all can be opened, and are locked by nobody."""
        opened = {}
        for path in directory.iterdir():
            if path.suffix == ".wav":
                opened[path.name] = soundfile.info(path).frames
            elif path.suffix == ".sealed":
                opened[path.name] = len(heard(path)) if in_clear(path) else 0
        return opened

    def end(self, files: dict[str, bytes], life: int) -> dict[str, Any]:
        """Let a process come that is not killed; return what the sidecar of the only recording says."""
        directory = self.directory(files)
        before = self.valid(directory)
        process = self.begin(directory, life)
        process.record(BLOCKS)
        process.end()
        Salvage(directory, 0)._run()  # what was left under names with a dot goes
        audio = "leg.wav.sealed" if self._process is SealedProcess else "leg.wav"
        assert sorted(path.name for path in directory.iterdir()) == ["leg.json", audio]
        assert set(before) <= {audio}
        document = check(directory / "leg.json")
        [length] = self.valid(directory).values()
        assert (document["state"], document["length_samples"]) == ("complete", length)
        for track in document["tracks"]:
            assert track["start_samples"] + track["length_samples"] == length
            gaps = sum(gap["length_samples"] for gap in document["restarts"])
            assert track["totals"].get("restart", 0) == gaps
        assert length >= before.get(audio, 0) + len(process.samples())
        return document


@pytest.mark.parametrize(("process", "format"), WAYS)
class TestKilled:
    def test_one(self, tmp_path: Path, process: type[Process], format: Any) -> None:
        way = Way(tmp_path, process, format)
        for left in way.live({}, 0):
            way.end(left, 1)

    def test_one_and_its_successor(self, tmp_path: Path, process: type[Process], format: Any) -> None:
        """Of a call that was recorded for a while, and of one that has only begun; killed twice between two steps."""
        way = Way(tmp_path, process, format)
        first = way.live({}, 0)
        for left in (first[0], first[2], first[len(first) // 2], first[-1]):
            for left_then in way.live(left, 1):
                document = way.end(left_then, 2)
                assert len(document["restarts"]) <= 2
