"""What happens to recordings: of whole calls, and takes that are started and stopped during one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from media.events.kinds import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingStarted(Event):
    """A take was started; the position is its first sample, which lies back where it looks back.

    Attributes:
        recording_id: UUID.
        channels: "dual" or "single".
    """

    NAME: ClassVar[str] = "recording_started"

    recording_id: str
    channels: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingPaused(Event):
    """From the position on nothing of the call is kept: no recording, and no other sink that is sensitive, hears it.

    Attributes:
        mode: "silence", or "omit" where the time is cut out of files as well.
        by, reason: who wanted it, and why, as far as they said.
    """

    NAME: ClassVar[str] = "recording_paused"

    mode: str
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingResumed(Event):
    """From the position on all is kept again.

    Attributes:
        by, reason: who wanted it, and why, as far as they said.
    """

    NAME: ClassVar[str] = "recording_resumed"

    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingSaved(Event):
    """A recording is closed and on the disk; the position is its first sample.

    Attributes:
        recording_id: UUID.
        started_at, ended_at: wall time, ISO 8601.
        channels: "dual" or "single".
        format: "wav", or what it was made into.
        path: of the file.
        size_bytes: of it.
        duration_samples: of it.
        is_take: it was started during the call; else it is that of the whole call.
        files: what it was made into, if it was delivered: format, url, size_bytes, sha256 of each; the first is the
            one that the fields above are of, and `path` is empty if it did not stay on this machine.
    """

    NAME: ClassVar[str] = "recording_saved"

    recording_id: str
    started_at: str
    ended_at: str
    channels: str
    format: str
    path: str
    size_bytes: int
    duration_samples: int
    is_take: bool
    files: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFailed(Event):
    """A recording ended early, or could not begin; what there is of it is saved for all that.

    Attributes:
        recording_id: UUID.
        error: why, for people.
        step: of its delivery that failed: "hand over", "convert", "upload" or "finish"; empty: it was recording.
        will_retry: the step is tried again, and `RecordingSaved` tells when it is done.
        is_take: it was, or was to be, started during the call; else it is that of the whole call.
    """

    NAME: ClassVar[str] = "recording_failed"

    recording_id: str
    error: str
    step: str = ""
    will_retry: bool = False
    is_take: bool = False
