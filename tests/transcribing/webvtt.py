"""A WebVTT reader that takes nothing that https://www.w3.org/TR/webvtt1/#syntax does not allow, of what we write."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import NamedTuple

_TIME = r"(\d{2,}):([0-5]\d):([0-5]\d)\.(\d{3})"
_TIMES = re.compile(f"{_TIME} --> {_TIME}")
_VOICE = re.compile(r"<v ([a-z]+)>([^<>]*)")


class Cue(NamedTuple):
    start_ms: int
    end_ms: int
    speaker: str
    text: str


def read(path: Path) -> tuple[list[Cue], list[str]]:
    """Return cues and comments; fail on what is no WebVTT."""
    text = path.read_bytes().decode()
    assert text.endswith("\n")
    blocks = text.removesuffix("\n").split("\n\n")
    assert blocks[0] == "WEBVTT"
    cues, notes = list[Cue](), list[str]()
    for block in blocks[1:]:
        first, _, rest = block.partition("\n")
        if first.startswith("NOTE "):
            assert "-->" not in block
            notes.append(block)
            continue
        times, voice = _TIMES.fullmatch(first), _VOICE.fullmatch(rest)
        assert times, first
        assert voice, rest
        assert not re.search(r"&(?!amp;|lt;|gt;)", voice[2])
        start, end = (_milliseconds(times.groups()[i : i + 4]) for i in (0, 4))
        assert start < end
        assert not cues or cues[-1].start_ms <= start, "cues begin in order (section 4.1)"
        cues.append(Cue(start, end, voice[1], unescape(voice[2])))
    return cues, notes


def _milliseconds(parts: tuple[str, ...]) -> int:
    hours, minutes, seconds, milliseconds = map(int, parts)
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + milliseconds
