"""What a reply about a call says, as the few figures that a screen has room for; what is not said is None."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

DIRECTIONS = ("inbound", "outbound")


def seconds_of(call: dict[str, Any]) -> float:
    """Return the length of the longest track."""
    longest: int = max((track.get("length_samples", 0) for track in tracks_of(call)), default=0)
    return longest / (call.get("sample_rate_hz") or 8000)


def tracks_of(call: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the tracks."""
    return list(call.get("tracks", ()))


def total_of(call: dict[str, Any], name: str) -> int:
    """Return a counter, summed over the tracks."""
    return sum(track.get(name, 0) for track in tracks_of(call))


def jitter_ms_of(call: dict[str, Any]) -> float | None:
    """Return that of the worse track."""
    return max(_known(track.get("jitter_ms") for track in tracks_of(call)), default=None)


def mos_of(call: dict[str, Any]) -> float | None:
    """Return the mean opinion score of the worse track, as the server's headline has it."""
    return min(_known((track.get("quality") or {}).get("mos") for track in tracks_of(call)), default=None)


def level_db_of(call: dict[str, Any], direction: str) -> float | None:
    """Return how loud a track was so far, in dBFS, of a server that listens to it (``--quality audio``)."""
    for track in tracks_of(call):
        if track.get("direction") == direction:
            level = ((track.get("quality") or {}).get("audio") or {}).get("level_dbfs")
            return float(level) if isinstance(level, int | float) else None
    return None


def _known(values: Iterable[Any]) -> list[float]:
    return [float(value) for value in values if isinstance(value, int | float)]
