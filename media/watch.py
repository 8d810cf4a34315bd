"""`CounterWatch`: a counter of trouble that moves is one log line a second, not a secret until the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any

_LOG = logging.getLogger("strep.watch")

INTERVAL_S = 1.0
TROUBLE = (
    "rejected",
    "turned_away",
    "bad_handshakes",
    "failed",
    "no_room",
    "kernel_drops",
    "receive_errors",
    "failed_beats",
    "conservation_errors",
    "dropped_blocks",
    "dropped_calls",
    "errors",
    "dropped",
    "dropped_events",
    "dropped_audio_messages",
    "lost",
    "intake_errors",
    "spool_errors",
    "spool_torn_bytes",
    "restarts",
)
"""Names of counters, at any depth of a snapshot, that stand still while all is well."""
OF_THE_NETWORK = "tally"
"""Of a part of a snapshot: what calls that ended had lost on their way, which is no trouble of this server."""


class CounterWatch:
    """Looks at a snapshot once a second and logs by how much each counter of trouble has moved."""

    def __init__(self, snapshot: Callable[[], dict[str, Any]]) -> None:
        """Watch what `snapshot` returns."""
        self._snapshot = snapshot
        self._seen: dict[str, int] = {}
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin, on the running event loop."""
        self._timer = asyncio.get_running_loop().call_later(INTERVAL_S, self._look)

    def stop(self) -> None:
        """Stop."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self.start()
        moved = self.moved()
        if moved:
            _LOG.warning("counters moved: %s", ", ".join(f"{path} +{delta}" for path, delta in moved.items()))

    def moved(self) -> dict[str, int]:
        """Return by how much each counter of trouble grew since the last call, by its path in the snapshot."""
        now = dict(_troubles(self._snapshot(), "", is_trouble=False))
        grown = {path: value - self._seen.get(path, 0) for path, value in now.items()}
        self._seen = now
        return {path: delta for path, delta in grown.items() if delta > 0}


def _troubles(value: Any, path: str, *, is_trouble: bool) -> Iterator[tuple[str, int]]:
    """Yield (path, value) of every integer that lies at or below a name in `TROUBLE`."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name == OF_THE_NETWORK:
                continue
            below = f"{path}.{name}" if path else str(name)
            yield from _troubles(item, below, is_trouble=is_trouble or name in TROUBLE)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            name = item.get("name", i) if isinstance(item, dict) else i
            yield from _troubles(item, f"{path}.{name}", is_trouble=is_trouble)
    elif is_trouble and isinstance(value, int):
        yield path, value
