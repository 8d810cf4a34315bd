"""WebVTT, https://www.w3.org/TR/webvtt1/: a file that is valid at every moment while it grows."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from media.events.files import append_or_nothing, create_unused
from media.sealing.keys import Recipients
from media.sealing.records import SUFFIX as SEALED
from media.sealing.text import SealedText

SUFFIX = ".vtt"
_HEAD = "WEBVTT\n"
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Cue:
    """Somebody says something, from when to when."""

    start_ms: int
    end_ms: int
    speaker: str
    text: str

    def serialize(self) -> str:
        """Return the cue with the blank line before it (sections 4.1 and 4.2.2: a voice span)."""
        times = f"{timestamp(self.start_ms)} --> {timestamp(max(self.end_ms, self.start_ms + 1))}"
        return f"\n{times}\n<v {escape(self.speaker)}>{escape(self.text)}\n"


def note(start_ms: int, end_ms: int, text: str) -> str:
    """Return a comment with the blank line before it; it must not have an arrow in it (section 4.1)."""
    said = f"{timestamp(start_ms)} to {timestamp(end_ms)} {_one_line(text)}".replace("-->", "->")
    return f"\nNOTE {said}\n"


def timestamp(milliseconds: int) -> str:
    """Return hours, minutes, seconds: two digits or more for the hours."""
    seconds, ms = divmod(max(milliseconds, 0), 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{ms:03}"


def escape(text: str) -> str:
    """Return a text as it may stand in a cue: one line, no markup."""
    return _one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _one_line(text: str) -> str:
    # A blank line would end the cue, and some of these end a line for some parsers.
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


class VttFile:
    """The cues of one call: mode 0600, whole cues only, in the order of their beginnings."""

    def __init__(self, directory: Path, call_id: str, recipients: Recipients = ()) -> None:
        self._stem = os.path.join(directory, call_id)
        self._path = ""
        self._last_ms = 0
        self._text = SealedText(recipients) if recipients else None
        self._suffix = SUFFIX + SEALED if recipients else SUFFIX

    def append(self, cues: Iterable[Cue | str]) -> None:
        """Write cues, and comments as `note` makes them. A cue that begins before the last one is moved to it.

        Raises:
            OSError: none of them is in the file.
        """
        told = ""
        for cue in cues:
            if isinstance(cue, Cue):
                self._last_ms = max(self._last_ms, cue.start_ms)
                cue = replace(cue, start_ms=self._last_ms).serialize()
            told += cue
        if self._path:
            fd = os.open(self._path, _FLAGS)
        else:
            self._path, fd = create_unused(self._stem, self._suffix, _FLAGS)
        try:
            size = os.fstat(fd).st_size
            content = ((_HEAD if not size else "") + told).encode("utf-8", "replace")
            if self._text is not None:
                content, size = self._text.seal(fd, content, size)
            append_or_nothing(fd, content, size)
        finally:
            os.close(fd)
