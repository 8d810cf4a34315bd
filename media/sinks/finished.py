"""`FinishedRecording`: a recording whose file is closed, on its way to whatever becomes of it.

Whoever makes recordings - of a whole call (`media.sinks.recording`) or a take (`media.sinks.takes`) - hands each one
over exactly once, when its file and its sidecar are complete on the disk and nobody will write to them again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from media.sinks.contract import CallInfo

FileFormat = Literal["wav", "mp3", "flac", "opus"]


@dataclass(frozen=True, slots=True)
class FinishedRecording:
    """A file that is closed, and what was wished for it.

    The file is a WAV of ours: PCM16, or G.711 where recordings keep the carrier's bytes. Samples of paused spans are
    silence, or, in mode "omit", are not in it: `omitted` has been cut out already.

    Attributes:
        call: whose; it has ended where the recording is one of the whole call, and need not where it is a take.
        recording_id: UUID of this recording, as in its sidecar and in events.
        path: the audio.
        sidecar: its description, JSON.
        is_take: it was started during the call; else it is that of the whole call.
        channels: of the file, 1 or 2.
        sample_rate_hz: of the file.
        start_samples: where its first sample lies on the call's timeline.
        length_samples: of the file, per channel.
        size_bytes: of the file.
        started_wall_ns, ended_wall_ns: wall time of its first sample and of the end.
        omitted: (start, length) in samples of the call's timeline of what is not in the file.
        trim_silence: silence at its beginning and its end is to be cut off.
        format: what it is to become; None leaves it to the configuration.
        error: why it ended early, or None; what there is of it is a file like any other.
    """

    call: CallInfo
    recording_id: str
    path: Path
    sidecar: Path
    is_take: bool
    channels: int
    sample_rate_hz: int
    start_samples: int
    length_samples: int
    size_bytes: int
    started_wall_ns: int
    ended_wall_ns: int
    omitted: tuple[tuple[int, int], ...] = ()
    trim_silence: bool = False
    format: FileFormat | None = None
    error: str | None = None


Finished = Callable[[FinishedRecording], None]
"""Takes a recording over; called in a thread of those who record, and returns soon: others wait behind it."""
