"""An event as a line for people."""

from __future__ import annotations

import json
from typing import Any

from media.terminal.printable import printable, shortened

PLACE = frozenset({"event", "call_id", "event_id", "sequence", "occurred_at"})
"""Fields that say which event it is, not what happened."""
_FIRST = (
    "digit", "digits", "text", "name", "door", "status", "reason", "error", "kind", "path", "duration_ms",
    "position_ms", "track",
)  # fmt: skip
"""Fields that come first, where an event has them."""
ID_WIDTH = 12
_MOST_CHARACTERS = 400


def time_of(event: dict[str, Any]) -> str:
    """Return when an event happened, as hh:mm:ss.mmm of UTC; blank if it does not say."""
    _, _, time = str(event.get("occurred_at", "")).partition("T")
    return printable(time.rstrip("Z")[:12]).ljust(12)


def event_line(event: dict[str, Any], id_width: int = 0) -> str:
    """Return an event as a line: time, call (cut to `id_width`, if that is not 0), name, and what it says."""
    call_id = str(event.get("call_id", ""))
    name = shortened(call_id, id_width).ljust(id_width) if id_width else printable(call_id)
    return f"{time_of(event)}  {name}  {printable(event.get('event', '?')):<18} {detail_of(event)}".rstrip()


def detail_of(event: dict[str, Any]) -> str:
    """Return what an event says, without its place among others."""
    said = {name: value for name, value in event.items() if name not in PLACE and value not in ("", None, {}, [])}
    ordered = [name for name in _FIRST if name in said] + [name for name in said if name not in _FIRST]
    return shortened(", ".join(_field(name, said[name]) for name in ordered), _MOST_CHARACTERS)


def _field(name: str, value: Any) -> str:
    match name, value:
        case ("position_ms", int() | float()):
            return f"at {value / 1000:.2f} s"
        case ("duration_ms", int() | float()):
            return f"{value / 1000:.2f} s"
        case ("digit" | "digits" | "text" | "door" | "status" | "track" | "kind" | "reason" | "path", str()):
            return value
        case (_, dict() | list()):
            return f"{name}={json.dumps(value, ensure_ascii=False, separators=(',', ':'))}"
    return f"{name}={value}"
