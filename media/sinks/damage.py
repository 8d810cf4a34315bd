"""Sidecars of which lost power left the name and not the content: written anew, of what the audio still tells."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from media.sinks.sidecar import SCHEMA_VERSION, Sidecar
from media.sinks.wav import WavFile
from strep.clock import NS_PER_SECOND, iso8601

DESCRIPTION_LOST = "the machine lost its power, and this description with it; the audio is what came to the disk"


def is_damaged(path: Path) -> bool:
    """Whether what is at `path` is no document of ours any more: empty, or zeros at one of its ends.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(1)
        if not head:
            return True
        file.seek(-1, os.SEEK_END)
        return b"\0" in (head, file.read(1))


def describe_anew(path: Path, wav: WavFile) -> Sidecar:
    """Return what can be said of the recording whose sidecar, at `path`, is damaged.

    It is of the call that its file is named after, and ended when that was written to for the last time.
    """
    ended_ns = wav.path.stat().st_mtime_ns
    started_ns = ended_ns - wav.length_samples * NS_PER_SECOND // wav.sample_rate_hz
    return Sidecar(
        schema_version=SCHEMA_VERSION,
        state="failed",
        call_id=path.stem,
        door="",
        identity={},
        started_at=iso8601(started_ns),
        started_wall_ns=started_ns,
        ended_at=iso8601(ended_ns),
        ended_wall_ns=ended_ns,
        reason=None,
        note="",
        error=DESCRIPTION_LOST,
        file=wav.path.name,
        format=wav.encoding.label,
        sample_rate_hz=wav.sample_rate_hz,
        length_samples=wav.length_samples,
        tracks=[],
        events=[],
        recording_id=str(uuid.uuid4()),
    )
