"""An event as a line for people."""

from __future__ import annotations

import json
from typing import Any

from media.terminal.printable import printable, shortened

PLACE = frozenset({"event", "call_id", "event_id", "sequence", "occurred_at"})
"""Fields that say which event it is, not what happened."""
_FIRST = (
    "digit", "digits", "text", "name", "door", "identity", "status", "reason", "error", "kind", "path", "duration_ms",
    "quality", "inbound", "outbound", "position_ms", "track",
)  # fmt: skip
"""Fields that come first, where an event has them."""
_LAST = ("_id", "_at", "client_state")
"""Ends of the names of fields that come last: programs want them, and have ``--json``."""
_AS_THEY_ARE = frozenset({"digit", "digits", "text", "door", "status", "track", "kind", "reason"})
ID_WIDTH, _UUID_WIDTH = 12, 36
LINE_WIDTH = 120
_LEAST_DETAIL = 24
_LEAST_WORD = 12
"""What would be cut to less is left out."""
_MOST_CHARACTERS = 400
_PATH_CHARACTERS = 41
"""Of a path, the end is shown: a recording's name, ``<UUID>.wav``, and that there was more before it."""


def time_of(event: dict[str, Any]) -> str:
    """Return when an event happened, as hh:mm:ss.mmm of UTC; blank if it does not say."""
    _, _, time = str(event.get("occurred_at", "")).partition("T")
    return printable(time.rstrip("Z")[:12]).ljust(12)


def event_line(event: dict[str, Any], id_width: int = 0) -> str:
    """Return an event as a line of `LINE_WIDTH`: time, call (cut to `id_width`, if that is not 0), name, and the
    most important of what it says. Words that were spoken or typed are all there, and may make it longer."""
    call_id = str(event.get("call_id", ""))
    name = shortened(call_id, id_width).ljust(id_width) if id_width else shortened(call_id, _UUID_WIDTH)
    head = f"{time_of(event)}  {name}  {shortened(event.get('event', '?'), _UUID_WIDTH):<18} "
    return (head + detail_of(event, max(LINE_WIDTH - len(head), _LEAST_DETAIL))).rstrip()


def detail_of(event: dict[str, Any], most: int = _MOST_CHARACTERS) -> str:
    """Return what an event says without its place among others, in `most` characters if it is no speech."""
    said = {name: value for name, value in event.items() if name not in PLACE and not _is_nothing(value)}
    most = _MOST_CHARACTERS if "text" in said else most
    ordered = [name for name in _FIRST if name in said]
    others = [name for name in said if name not in _FIRST]
    ordered += sorted(others, key=lambda name: name.endswith(_LAST))
    line = ""
    for name in ordered:
        word = printable(_field(name, said[name]))
        longer = f"{line}, {word}" if line and word else line or word
        if len(longer) > most:
            has_room = not line or most - len(line) > _LEAST_WORD
            return shortened(longer, most) if has_room and name in (*_FIRST, ordered[0]) else line
        line = longer
    return line


def _is_nothing(value: Any) -> bool:
    return value is False or value in ("", None, {}, [])


def _field(name: str, value: Any) -> str:
    match name, value:
        case ("position_ms", int() | float()):
            return f"at {value / 1000:.2f} s"
        case ("duration_ms", int() | float()):
            return f"{value / 1000:.2f} s"
        case ("path", str()):
            return value if len(value) <= _PATH_CHARACTERS else "…" + value[1 - _PATH_CHARACTERS :]
        case (_, str()) if name in _AS_THEY_ARE:
            return value
        case ("identity", dict()):
            return caller_of(value)
        case ("quality", dict()):
            return _opinion(value)
        case ("inbound" | "outbound", {"mos": _}):
            return f"{name.removesuffix('bound')} {_opinion(value)}"
        case (_, dict() | list()):
            return f"{name}={json.dumps(value, ensure_ascii=False, separators=(',', ':'))}"
    return f"{name}={value}"


def caller_of(identity: dict[str, Any]) -> str:
    """Return who calls whom, or, if the carrier did not say, what is short of what it said."""
    parties = [f"{side} {identity[side]}" for side in ("from", "to") if identity.get(side)]
    return " ".join(parties) or ", ".join(
        f"{name} {value}" for name, value in identity.items()
        if isinstance(value, str | int) and not name.endswith(_LAST) and not _is_nothing(value)
    )  # fmt: skip


def _opinion(quality: dict[str, Any]) -> str:
    figures = {"MOS": (quality.get("mos"), ".2f", ""), "loss": (quality.get("loss_percent"), ".1f", " %")}
    return " ".join(
        f"{name} {value:{form}}{unit}"
        for name, (value, form, unit) in figures.items()
        if isinstance(value, int | float)
    )
