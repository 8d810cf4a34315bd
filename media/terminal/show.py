"""A call, as the server tells of it, in lines for people: see ``strep call ID``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from media.terminal.printable import clock_text, printable
from media.terminal.reading import seconds_of, tracks_of

_COUNTERS = {
    "received": "packets",
    "never_arrived": "lost",
    "late": "late",
    "reordered": "reordered",
    "duplicate": "twice",
    "epochs": "beginnings",
}
_JITTER = ("jitter_ms", "jitter_mean_ms", "jitter_max_ms")
_MOST_LINES = 20
"""Of a list; the last ones are shown."""
_KNOWN = frozenset({"call_id", "door", "started_at", "sample_rate_hz", "identity", "tracks"})


def lines_of(call: dict[str, Any]) -> list[str]:
    """Return all that a reply says of a call; what is not known here is shown as it is."""
    lines = [
        printable(call.get("call_id", "")),
        *_pairs(
            {
                "door": call.get("door", ""),
                "since": f"{call.get('started_at', '')}, {clock_text(seconds_of(call))}",
                "rate": f"{call.get('sample_rate_hz', '')} Hz",
                **call.get("identity", {}),
            }
        ),
    ]
    tracks = tracks_of(call)
    if tracks:
        lines += ["", *_columns(tracks, call.get("sample_rate_hz") or 8000)]
    for track in tracks:
        known = {"direction", "length_samples", *_COUNTERS, *_JITTER}
        lines += _sections({name: value for name, value in track.items() if name not in known and _is_rich(value)},
                           f"{track.get('direction', '')} ")  # fmt: skip
    rest = {name: value for name, value in call.items() if name not in _KNOWN}
    plain = {name: value for name, value in rest.items() if not _is_rich(value)}
    if plain:
        lines += ["", *_pairs(plain)]
    return lines + _sections({name: value for name, value in rest.items() if _is_rich(value)}, "")


def _columns(tracks: list[dict[str, Any]], rate_hz: int) -> list[str]:
    """Return a table of the tracks' counters."""
    head = ["track", "length", *_COUNTERS.values(), "loss", "jitter ms (mean, max)"]
    rows = [head]
    for track in tracks:
        expected = track.get("expected", 0)
        loss = track.get("never_arrived", 0) / expected if expected else 0.0
        jitter, mean, most = (track.get(name, 0.0) for name in _JITTER)
        counters = [f"{track.get(name, 0):,}" for name in _COUNTERS]
        row = [printable(track.get("direction", "")), clock_text(track.get("length_samples", 0) / rate_hz)]
        rows.append([*row, *counters, f"{loss:.2%}".replace("%", " %"), f"{jitter:.1f} ({mean:.1f}, {most:.1f})"])
    widths = [max(len(row[at]) for row in rows) for at in range(len(head))]
    return [_line(row, widths) for row in rows]


def _line(row: list[str], widths: list[int]) -> str:
    figures = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
    return "  ".join([row[0].ljust(widths[0]), *figures])


def _sections(rich: dict[str, Any], prefix: str) -> list[str]:
    lines: list[str] = []
    for name, value in rich.items():
        if not value:
            continue
        lines += ["", printable(prefix + name.replace("_", " "))]
        if isinstance(value, dict):
            lines += _pairs(value)
            continue
        if len(value) > _MOST_LINES:
            lines.append(f"  ... {len(value) - _MOST_LINES} before these")
        lines += [f"  {printable(_inline(entry))}" for entry in value[-_MOST_LINES:]]
    return lines


def _pairs(values: dict[str, Any]) -> list[str]:
    said = {printable(name): printable(_inline(value)) for name, value in values.items()}
    width = max(map(len, said), default=0)
    return [f"  {name.ljust(width)}  {value}".rstrip() for name, value in said.items()]


def _inline(value: Any) -> str:
    if isinstance(value, dict) and not any(_is_rich(part) for part in value.values()):
        return _joined(f"{name} {_inline(part)}" for name, part in value.items())
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _joined(parts: Iterable[str]) -> str:
    return ", ".join(parts)


def _is_rich(value: Any) -> bool:
    return isinstance(value, dict | list)
