"""What lost power leaves: sidecars whose content is gone, and such that tell of audio that never came to the disk."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from media.sinks.audio_files import AudioFile, is_sealed
from media.sinks.notes import note_of
from media.sinks.sidecar import SCHEMA_VERSION, Sidecar, read_finished
from media.sinks.wav import CHANNELS, Encoding
from strep.clock import NS_PER_SECOND, iso8601

AUDIO_LOST = "the machine lost its power before the end of the audio was on the disk"
_HEAD = b'{\n  "schema_version"'
"""As every document of ours begins that was not written on a full disk."""
_END, _TAIL_BYTES = b"\n}", 1024
"""As each of them ends, but for blanks (`media.sinks.sidecar`): a sector of the disk may end with a line as well."""
NOT_DESCRIBED = "the recorder died when the call had only begun, and it was not heard of again"
DESCRIPTION_LOST = "the machine lost its power, and this description with it; the audio is what came to the disk"


def is_damaged(path: Path) -> bool:
    """Whether what is at `path` was a document of ours and is none any more: empty, zeros at an end, or cut off.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(len(_HEAD))
        if not head:
            return True
        file.seek(-min(os.fstat(file.fileno()).st_size, _TAIL_BYTES), os.SEEK_END)
        tail = file.read()
    is_whole = tail.endswith(b"\n") and tail.rstrip().endswith(_END)
    return b"\0" in (head[:1], tail[-1:]) or (head == _HEAD and not is_whole)


def read_short(path: Path) -> Sidecar | None:
    """Return the document at `path` if it tells of a file as it was recorded, and that is shorter."""
    try:
        document = read_finished(path)
        if document is None or document.file is None or document.channels != CHANNELS or document.omitted:
            return None
        encoding = next(encoding for encoding in Encoding if encoding.label == document.format)
        audio = path.with_name(document.file)
        if (
            is_sealed(audio) or note_of(audio).exists()
        ):  # the one says itself whether it is whole; it may be shorter because it was written anew
            return None
        audio_bytes = audio.stat().st_size - encoding.data_offset
    except (OSError, ValueError, StopIteration):
        return None
    is_short = audio_bytes < document.length_samples * encoding.frame_bytes
    return document if is_short and not document.trimmed and not document.files else None


def describe_anew(path: Path, wav: AudioFile) -> Sidecar:
    """Return what can be said of the recording whose sidecar, at `path`, is damaged, or was never written.

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
        error=DESCRIPTION_LOST if path.exists() else NOT_DESCRIBED,
        file=wav.path.name,
        format=wav.encoding.label,
        sample_rate_hz=wav.sample_rate_hz,
        length_samples=wav.length_samples,
        tracks=[],
        events=[],
        recording_id=str(uuid.uuid4()),
    )
