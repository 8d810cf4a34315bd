"""What other programs find in a recording, at a moment: SoX and FFmpeg, and nothing of the code that wrote it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PROGRAMS = ("soxi", "ffprobe")
_AT_ONCE = 4


def are_installed() -> bool:
    """Whether there is anybody to ask."""
    return all(shutil.which(program) for program in PROGRAMS)


def soxi_samples(paths: Sequence[Path]) -> dict[Path, int]:
    """Return how many samples per channel each file has, as soxi says, all of them asked at once.

    Raises:
        AssertionError: it complains of one.
    """
    if not paths:
        return {}
    result = subprocess.run(["soxi", "-s", *map(str, paths)], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, ""), f"soxi: {result.stderr[:500]}"
    return dict(zip(paths, map(int, result.stdout.split()[: len(paths)]), strict=True))


def ffprobe_samples(paths: Sequence[Path]) -> dict[Path, int]:
    """Return the same as ffprobe says.

    Raises:
        AssertionError: it complains of one, or does not find a stereo file.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip(paths, pool.map(_ffprobe, paths), strict=True))


def _ffprobe(path: Path) -> int:
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_entries", "stream=channels,sample_rate,duration_ts"]
    result = subprocess.run([*command, str(path)], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, ""), f"ffprobe {path.name}: {result.stderr[:500]}"
    (stream,) = json.loads(result.stdout)["streams"]
    assert (stream["channels"], stream["sample_rate"]) == (2, "8000"), f"ffprobe {path.name}: {stream}"
    return int(stream.get("duration_ts", 0))  # it names none of a file without a sample
