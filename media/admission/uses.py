"""Whose a signed token is: the first stream's that shows it. One process remembers it, or all that share a folder."""

from __future__ import annotations

import logging
from hashlib import sha256
from typing import Protocol

from media.admission.entries import Entries

_LOG = logging.getLogger("strep.admission")

MAX_USED = 100_000
"""Tokens that are remembered until they expire; at more live ones a new one is refused."""
COUNT_EVERY = 1000
"""Claims of a process between two looks at a shared directory: so many more may there be, for each process."""


class Uses(Protocol):
    """Remembers who has used a token first."""

    def claim(self, nonce: str, expires_s: int, stream_id: str, now_s: int) -> bool | None:
        """Tell whether the token of this nonce is `stream_id`'s, from now on; None if there is no room for it."""


class OwnUses:
    """What one process knows."""

    def __init__(self) -> None:
        """Start without one."""
        self._used: dict[str, tuple[int, str]] = {}  # by nonce: when it expires, and whose it is

    def claim(self, nonce: str, expires_s: int, stream_id: str, now_s: int) -> bool | None:
        """See `Uses`."""
        if nonce not in self._used and len(self._used) >= MAX_USED:
            self._used = {old: use for old, use in self._used.items() if use[0] >= now_s}
            if len(self._used) >= MAX_USED:
                return None
        return self._used.setdefault(nonce, (expires_s, stream_id))[1] == stream_id


class SharedUses:
    """What all processes know that are given the same entries; see there what makes a claim one step."""

    def __init__(self, entries: Entries) -> None:
        """Share `entries`."""
        self._entries = entries
        self._claims, self._is_full = 0, False

    def claim(self, nonce: str, expires_s: int, stream_id: str, now_s: int) -> bool | None:
        """See `Uses`. Where the directory cannot be used nobody is let in, and the log says so."""
        try:
            if self._is_full or self._claims % COUNT_EVERY == 0:
                self._is_full = self._count(now_s) >= MAX_USED
            if self._is_full:
                return None
            self._claims += 1
            owner = _digest(stream_id)
            return self._entries.claim(f"{expires_s}-{_digest(nonce)}", owner) == owner
        except OSError as error:
            _LOG.error("no signed token can be used: %s", error)
            return None

    def _count(self, now_s: int) -> int:
        """Return how many are live, and take the others away."""
        live = 0
        for name, _ in self._entries:
            expires = name.partition("-")[0]
            if expires.isdigit() and int(expires) < now_s:
                self._entries.remove(name)
            else:
                live += 1
        return live


def _digest(text: str) -> str:
    return sha256(text.encode(errors="replace")).hexdigest()
