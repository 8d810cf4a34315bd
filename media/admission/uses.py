"""Whose a signed token is: the first stream's that shows it. One process remembers it, or all that share a folder."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from threading import Thread
from typing import Protocol

from media.admission.entries import Entries

_LOG = logging.getLogger("strep.admission")

MAX_USED = 100_000
"""Tokens that are remembered until they expire; at more live ones a new one is refused."""
COUNT_EVERY_S = 60
"""So long a process does not see what others have claimed: so many more may there be."""


class Uses(Protocol):
    """Remembers who has used a token first."""

    def claim(self, nonce: str, expires_s: int, stream_id: str, now_s: int, *, begins: bool = True) -> bool | None:
        """Tell whether the token of this nonce is `stream_id`'s, from now on; None if there is no room for it.

        A stream that does not begin, but goes on, gets no further token: it has its own, or another kind.
        """


class OwnUses:
    """What one process knows."""

    def __init__(self) -> None:
        """Start without one."""
        self._used: dict[str, tuple[int, str]] = {}  # by nonce: when it expires, and whose it is

    def claim(self, nonce: str, expires_s: int, stream_id: str, now_s: int, *, begins: bool = True) -> bool | None:
        """See `Uses`."""
        if not begins and nonce not in self._used:
            return False
        if nonce not in self._used and len(self._used) >= MAX_USED:
            self._used = {old: use for old, use in self._used.items() if use[0] >= now_s}
            if len(self._used) >= MAX_USED:
                return None
        return self._used.setdefault(nonce, (expires_s, stream_id))[1] == stream_id


def in_thread(work: Callable[[], None]) -> None:
    """Have `work` done beside the media loop."""
    Thread(target=work, name="used tokens", daemon=True).start()


class SharedUses:
    """What all processes know that are given the same entries; see there what makes a claim one step."""

    def __init__(self, entries: Entries, run: Callable[[Callable[[], None]], object] = in_thread) -> None:
        """Share `entries`; `run` has them counted, which takes a while where there are many.

        Raises:
            OSError: they cannot be read.
        """
        self._entries, self._run = entries, run
        self._known = sum(1 for _ in entries.names())  # at the last count, and our own since then
        self._counted_s: int | None = None

    def claim(self, nonce: str, expires_s: int, stream_id: str, now_s: int, *, begins: bool = True) -> bool | None:
        """See `Uses`. Where the directory cannot be used nobody is let in, and the log says so."""
        try:
            owner, name = _digest(stream_id), f"{expires_s}-{_digest(nonce)}"
            found = self._entries.find(name)  # first: whose it is already is not refused for want of room
            if found is not None:
                return found == owner
            if not begins:
                return False
            if self._counted_s is None or not 0 <= now_s - self._counted_s < COUNT_EVERY_S:
                self._counted_s = now_s
                self._run(partial(self._count, now_s))
            if self._known >= MAX_USED:
                return None
            self._known += 1
            return self._entries.claim(name, owner) == owner
        except OSError as error:
            _LOG.error("no signed token can be used: %s", error)
            return None

    def _count(self, now_s: int) -> None:
        """Count those that are live, and take the others away."""
        live = 0
        try:
            for name in self._entries.names():
                expires = name.partition("-")[0]
                if expires.isdigit() and int(expires) < now_s:
                    self._entries.remove(name)
                else:
                    live += 1
        except OSError as error:
            _LOG.error("used tokens cannot be counted: %s", error)
            return
        self._known = live


def _digest(text: str) -> str:
    return sha256(text.encode(errors="replace")).hexdigest()
