"""What others chose, made fit for a terminal: names and texts of calls come from whoever calls."""

from __future__ import annotations

import re

_SAFE_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@+=-]*")
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def printable(text: object) -> str:
    """Return a text on one line that moves no cursor, sets no title and turns no writing direction."""
    return "".join(character if character.isprintable() else REPLACEMENT for character in str(text))


def shortened(text: object, most: int) -> str:
    """Return a printable text of at most `most` characters; what was longer ends in an ellipsis."""
    line = printable(text)
    return line if len(line) <= most else line[: most - 1] + "…"


def is_safe_word(text: str) -> bool:
    """Whether a shell takes a text as it is: completion puts it unquoted into a line that is then run."""
    return _SAFE_WORD.fullmatch(text) is not None


def clock_text(seconds: float) -> str:
    """Return a duration as ``m:ss``, or ``h:mm:ss``."""
    minutes, rest = divmod(max(int(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
