"""`Companions`: what runs beside the media path of a server, started in order and closed in the reverse order."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from media.outfit import Companion

_LOG = logging.getLogger("strep.server")


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
