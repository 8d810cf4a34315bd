"""`Job`: what is still to be done with one recording, as a file that outlives the process."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import msgspec

from media.delivery.encoders import FORMATS
from media.delivery.stores import sync_directory
from media.documents import read_document
from media.sinks.audio_files import SEALED_WAV, is_sealed, stem_of
from media.sinks.contract import CallInfo
from media.sinks.finished import FileFormat, FinishedRecording
from media.sinks.naming import make_directory

FOLDER = ".delivery"
SUFFIX = ".job"
KEY_SUFFIX = ".key"
SIDECAR = "json"
VERSION = 1

State = Literal["waiting", "prepared", "stored"]


class JobCall(msgspec.Struct, frozen=True):
    """Whose recording it is; see `CallInfo`."""

    call_id: str
    door: str
    started_wall_ns: int
    sample_rate_hz: int
    identity: dict[str, Any]
    is_linear: bool

    def info(self) -> CallInfo:
        """Return the call as events have it that another process tells: it has no place among the live ones here."""
        return CallInfo(
            -1, self.call_id, self.door, self.started_wall_ns, self.sample_rate_hz, self.identity, self.is_linear
        )


class JobFile(msgspec.Struct, frozen=True):
    """A file that was made.

    Attributes:
        format: of it.
        encoding: of its samples, as the sidecar names it: "pcm16", "pcmu" or "pcma" in a WAV, else `format`.
        size_bytes, sha256: of it.
        is_staged: it lies beside the job; else it is the recording itself.
        url: where it is in the store; empty before it is there.
    """

    format: FileFormat | Literal["wav.sealed"]
    encoding: str
    size_bytes: int
    sha256: str
    is_staged: bool
    url: str = ""


class Job(msgspec.Struct, frozen=True):
    """A recording on its way.

    Attributes:
        version: of this structure.
        name: of the recording in its directory, without ending.
        call: whose it is.
        recording_id, is_take, channels, start_samples, length_samples, started_wall_ns, ended_wall_ns, trim_silence,
            format, error: see `FinishedRecording`.
        created_wall_ns: when the recording was handed over.
        state: how far it is.
        begun: how often a step was begun since one ended; a process that dies leaves it counted.
        attempts: how often a step failed since one did not.
        trouble: why, the last time; with `is_given_up` nothing more is tried before the next start.
        files: what was made, in the order of the formats asked for.
        leading_samples, trailing_samples: silence that was cut off.
        store, key: where the files are delivered to, the URL and their common beginning; chosen before the first byte
            is sent.
        is_sealed: the recording can be opened by nobody here.
    """

    version: int
    name: str
    call: JobCall
    recording_id: str
    is_take: bool
    channels: int
    start_samples: int
    length_samples: int
    started_wall_ns: int
    ended_wall_ns: int
    trim_silence: bool
    format: FileFormat | None
    error: str | None
    created_wall_ns: int
    state: State = "waiting"
    begun: int = 0
    attempts: int = 0
    trouble: str = ""
    is_given_up: bool = False
    files: tuple[JobFile, ...] = ()
    leading_samples: int = 0
    trailing_samples: int = 0
    store: str = ""
    key: str = ""
    is_sealed: bool = False

    @classmethod
    def of(cls, recording: FinishedRecording, wall_ns: int) -> Job:
        """Return the job of a recording that was closed at `wall_ns`."""
        call = recording.call
        return cls(
            VERSION,
            stem_of(recording.path),
            JobCall(
                call.call_id, call.door, call.started_wall_ns, call.sample_rate_hz, call.identity, call.is_linear
            ),
            recording.recording_id,
            recording.is_take,
            recording.channels,
            recording.start_samples,
            recording.length_samples,
            recording.started_wall_ns,
            recording.ended_wall_ns,
            recording.trim_silence,
            recording.format,
            recording.error,
            wall_ns,
            is_sealed=is_sealed(recording.path),
        )

    @property
    def kept_samples(self) -> int:
        """How long the files are."""
        return self.length_samples - self.leading_samples - self.trailing_samples


class JobFolder:
    """The jobs of a directory of recordings, and what they make.

    Attributes:
        recordings: the directory.
        path: the folder in it.
    """

    def __init__(self, recordings: Path, keys_in: Path | None = None) -> None:
        """Know the folder.

        Args:
            recordings: the directory.
            keys_in: the one of those that share a store, in whose folder keys are claimed; itself unless given.
        """
        self.recordings = recordings
        self.path = recordings / FOLDER
        self._claims = (keys_in or recordings) / FOLDER

    def make(self) -> None:
        """Make the folder.

        Raises:
            OSError: it cannot be made.
        """
        make_directory(self.path)

    def names(self) -> Iterator[str]:
        """Yield the names of all jobs; none if there is no folder."""
        with suppress(FileNotFoundError), os.scandir(self.path) as entries:
            for entry in entries:
                if entry.name.endswith(SUFFIX) and not entry.name.startswith("."):
                    yield entry.name.removesuffix(SUFFIX)

    def changed_ns(self) -> int:
        """Return when a job was last added or removed, wall time by the file system; 0 if there is no folder."""
        with suppress(FileNotFoundError):
            return self.path.stat().st_mtime_ns
        return 0

    def read(self, name: str) -> Job | None:
        """Return a job; None if it is gone.

        Raises:
            ValueError: it is no job of ours.
            OSError: it cannot be read.
        """
        try:
            content = (self.path / f"{name}{SUFFIX}").read_bytes()
        except FileNotFoundError:
            return None
        job = read_document(content, Job)
        if job.version != VERSION or job.name != name:
            raise ValueError(f"job {name} is not of this version of strep")
        return job

    def write(self, job: Job) -> None:
        """Put the job in place of what there was of it, in one step.

        Raises:
            OSError: it cannot be written; what there was is whole.
        """
        write_file(self.path / f"{job.name}{SUFFIX}", msgspec.json.encode(job, enc_hook=str))

    def remove(self, job: Job) -> None:
        """Forget a job that is done, and what may still lie about of it."""
        for ending in (*FORMATS, SIDECAR):
            self.staged(job, ending).unlink(missing_ok=True)
        if job.key:
            self.release(job, job.store, job.key)
        (self.path / f"{job.name}{SUFFIX}").unlink(missing_ok=True)

    def claim(self, job: Job, url: str, key: str) -> bool:
        """Claim a key of a store for a job until it is done; return whether it has it now, or had it already.

        A symbolic link, to the recording's id: it is there with what it says or not at all, whoever else wants it.

        Raises:
            OSError: it cannot be made.
        """
        path = self._claim_path(url, key)
        make_directory(path.parent)
        try:
            os.symlink(job.recording_id, path)
        except FileExistsError:
            return self._owner(path) == job.recording_id
        return True

    def release(self, job: Job, url: str, key: str) -> None:
        """Let others have a key, if it is the job's."""
        path = self._claim_path(url, key)
        if self._owner(path) == job.recording_id:
            path.unlink(missing_ok=True)

    def _claim_path(self, url: str, key: str) -> Path:
        return self._claims / (hashlib.sha256(f"{url}\n{key}".encode()).hexdigest()[:32] + KEY_SUFFIX)

    def _owner(self, path: Path) -> str:
        try:
            return os.readlink(path)
        except OSError:  # somebody has just released it, or put something there
            return ""

    def staged(self, job: Job, ending: str) -> Path:
        """Return where a file of the job lies until it is done."""
        return self.path / f"{job.name}.{ending}"

    def final(self, job: Job, ending: str) -> Path:
        """Return where a file of the job lies in the directory of the recordings."""
        return self.recordings / f"{job.name}.{ending}"

    def recording(self, job: Job) -> Path:
        """Return where the recording lies."""
        return self.final(job, SEALED_WAV if job.is_sealed else "wav")

    def file(self, job: Job, file: JobFile) -> Path:
        """Return where a file that was made lies now."""
        return self.staged(job, file.format) if file.is_staged else self.final(job, file.format)


def write_file(path: Path, content: bytes) -> None:
    """Put `content` at `path` in one step, mode 0600, and force it to the disk.

    Raises:
        OSError: it cannot be written; what was at `path` is whole.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            while content:
                content = content[os.write(fd, content) :]
            os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)
