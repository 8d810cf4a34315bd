"""`Note`: what is still to be done with a recording that is closed, in a file beside it until that is done.

``.CALL.finish`` is there before the sidecar says that the recording is complete, of a take from its beginning on, and
is removed when the recording was handed over. It is locked meanwhile: one without a lock is of a process that died,
and `media.sinks.salvage` of the next one takes it up. There is none where nothing is to be done but to tell of the
recording.
"""

from __future__ import annotations

import fcntl
import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from media.documents import read_document
from media.sinks.audio_files import is_sealed, stem_of
from media.sinks.finished import FileFormat
from media.sinks.naming import TEMPORARY, create_locked
from media.sinks.rewriting import Single, Spans
from media.sinks.sealed_edits import edited_length
from media.sinks.sidecar import Sidecar
from media.sinks.wav import Encoding

_LOG = logging.getLogger(__name__)
SUFFIX = ".finish"


class Wish(msgspec.Struct, frozen=True):
    """What is to become of a recording when it is closed.

    Attributes:
        single: make it one channel.
        trim_silence, format: see `FinishedRecording`.
        is_delivered: more is done with it then, as configured.
    """

    single: Single | None = None
    trim_silence: bool = False
    format: FileFormat | None = None
    is_delivered: bool = False


class ToFinish(msgspec.Struct, frozen=True):
    """What the file says.

    Attributes:
        recording_id: of what; empty if that is not known any more.
        wish: for it.
        omit: what is to be cut out, in samples of the file.
    """

    recording_id: str
    wish: Wish
    omit: tuple[tuple[int, int], ...] = ()


@dataclass(slots=True)
class Note:
    """The file, locked."""

    path: Path
    to_finish: ToFinish
    _fd: int

    @classmethod
    def write(cls, audio: Path, recording_id: str, wish: Wish, omit: Spans) -> Note | None:
        """Write it for the recording at `audio`; None: there is nothing to do, or the disk refuses, which is said."""
        if wish == Wish() and not omit:
            return None
        to_finish = ToFinish(recording_id, wish, tuple(omit))
        path = note_of(audio)
        temporary = path.with_name(path.name + TEMPORARY)
        try:
            fd = create_locked(temporary)
            try:
                os.write(fd, msgspec.json.encode(to_finish))
                os.replace(temporary, path)
            except BaseException:
                os.close(fd)
                raise
        except OSError as error:
            _LOG.warning("recording %s is not finished if this process dies now: %s", audio.name, error)
            return None
        return cls(path, to_finish, fd)

    @classmethod
    def take(cls, path: Path) -> Note | None:
        """Lock the file at `path`; None: there is none, or somebody has it.

        Of one whose content was lost with the power nobody knows what it said: nothing but what is configured, then.
        """
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(fd).st_ino == os.stat(path).st_ino:  # else somebody was done with it just now
                return cls(path, _parsed(os.read(fd, 1 << 20)), fd)
        except OSError as error:
            _LOG.debug("%s is left alone: %s", path, error)
        os.close(fd)
        return None

    def drop(self) -> None:
        """It is done."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
        self.let_go()

    def let_go(self) -> None:
        """Leave it to others."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def _parsed(content: bytes) -> ToFinish:
    try:
        return read_document(content, ToFinish)
    except ValueError:
        return ToFinish("", Wish())


def note_of(audio: Path) -> Path:
    """Return where the note of the recording at `audio` lies."""
    return audio.with_name(f".{stem_of(audio)}{SUFFIX}")


def length_if_rewritten(audio: Path, document: Sidecar, single: Single | None) -> int | None:
    """Return the length of a file that was written anew, of which its sidecar does not say so; None if it was not.

    Raises:
        OSError: it is not there.
        ValueError: it is no file of ours.
    """
    if is_sealed(audio):
        return edited_length(audio)
    encoding = next(encoding for encoding in Encoding if encoding.label == document.format)
    data_bytes = audio.stat().st_size - encoding.data_offset
    if data_bytes // encoding.frame_bytes == document.length_samples:
        return None
    return data_bytes * (2 if single else 1) // encoding.frame_bytes
