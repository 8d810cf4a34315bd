"""`EndedLegs`: legs that the carrier has taken back, for the next process: to it, what is played back is news.

A webhook is believed for 5 minutes from its signature; a leg is remembered for longer than that.
"""

from __future__ import annotations

import logging
from collections import deque
from pathlib import Path
from uuid import UUID

from media.admission.entries import Entries

_LOG = logging.getLogger("strep.admission")
KEEP_S = 600
AT_ONCE = 100
"""So many that are old are taken away with each new one."""


class EndedLegs:
    """Entries by leg: up to which second of Unix time it is kept, and when its end occurred, in ns."""

    def __init__(self, directory: Path, now_s: int) -> None:
        """Use `directory`, and take away what is too old there.

        Raises:
            OSError: it cannot be made or read.
        """
        self._entries = Entries(directory)
        found = sorted((_parse(text)[0], name) for name, text in self._entries)
        self._ends = deque((min(until_s, now_s + KEEP_S), name) for until_s, name in found)
        self._entries.sweep(now_s)
        self._prune(now_s, len(self._ends))

    def add(self, leg: UUID, occurred_ns: int, now_s: int) -> None:
        """Remember that a leg has ended; a failure is logged."""
        try:
            self._entries.put(str(leg), f"{now_s + KEEP_S} {occurred_ns}")
            self._ends.append((now_s + KEEP_S, str(leg)))
            self._prune(now_s, AT_ONCE)
        except OSError as error:
            _LOG.error("that a leg has ended is forgotten with this process: %s", error)

    def find(self, leg: UUID) -> int | None:
        """Return when a leg has ended, None if that is not known; a failure is logged."""
        try:
            text = self._entries.find(str(leg))
        except OSError as error:
            _LOG.error("legs that have ended are not known: %s", error)
            return None
        return _parse(text)[1] if text is not None else None

    def _prune(self, now_s: int, most: int) -> None:
        for _ in range(most):
            if not self._ends or self._ends[0][0] >= now_s:
                return
            _, name = self._ends.popleft()
            text = self._entries.find(name)
            if text is not None and _parse(text)[0] < now_s:  # it has not ended again since then
                self._entries.remove(name)


def _parse(text: str) -> tuple[int, int | None]:
    """Return until when an entry is kept, and when the end occurred; 0 and None of what is none."""
    try:
        until_s, occurred_ns = text.split(" ")
        return int(until_s), int(occurred_ns)
    except ValueError:
        return 0, None
