"""`Companion`: what runs beside the media path; `Companions`: all of a server, closed in the reverse order."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Protocol

_LOG = logging.getLogger("strep.server")


class Companion(Protocol):
    """Something with a life of its own beside the media path, such as a subscriber of events or a shell."""

    name: str

    async def start(self) -> None:
        """Begin; the doors are open.

        Raises:
            OSError: it cannot; the server does not start then.
        """

    async def close(self) -> None:
        """End, within seconds; all calls have ended, and the sinks have finished."""

    def snapshot(self) -> dict[str, Any]:
        """Return counters, JSON values."""


class Companions:
    """All of one server."""

    def __init__(self, companions: Sequence[Companion]) -> None:
        """Prepare."""
        self._all = companions
        self._started: list[Companion] = []

    def __iter__(self) -> Iterator[Companion]:
        """Yield all, in the order in which they start."""
        return iter(self._all)

    async def start(self, without: Collection[str] = ()) -> None:
        """Start those that are not started yet, but for those of some names, which a further call starts.

        Raises:
            OSError: one cannot start; `close` then.
        """
        for companion in self._all:
            if companion not in self._started and companion.name not in without:
                await companion.start()
                self._started.append(companion)

    async def close(self) -> None:
        """Close those that have started; a second call does nothing."""
        for companion in reversed(self._all):
            if companion not in self._started:
                continue
            self._started.remove(companion)
            try:
                await companion.close()
            except Exception:  # the others have to end as they should, too
                _LOG.exception("%s failed to close", companion.name)

    @property
    def addresses(self) -> dict[str, str]:
        """Where they listen; few do."""
        return {name: at for companion in self._all for name, at in getattr(companion, "addresses", {}).items()}

    def snapshot(self) -> dict[str, Any]:
        """Return the counters of each."""
        return {companion.name: companion.snapshot() for companion in self._all}
