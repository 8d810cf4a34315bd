"""The stream that messages are kept in: what it must be like, and what is wrong with one that is not.

Fields as in JetStream's API: https://docs.nats.io/nats-concepts/jetstream/streams. Durations there are nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from media.formats import show_duration, show_size
from media.nats.message import MAX_BODY_BYTES
from media.nats.names import Subjects
from strep.clock import NS_PER_MS, NS_PER_SECOND

_HEADERS_BYTES = 4096
_DURATIONS = ("max_age", "duplicate_window")


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """What the stream is to be like.

    Attributes:
        name: of the stream.
        max_age_s: messages older than this go.
        max_bytes: beyond this the oldest go.
        replicas: servers of the cluster that have every message, 1 to 5.
        duplicates_s: a message whose id came within this time is not stored again; no longer than `max_age_s`.
    """

    name: str = "STREP"
    max_age_s: float = 3600.0
    max_bytes: int = 10 << 30
    replicas: int = 1
    duplicates_s: float = 120.0


def wanted(options: StreamOptions, subjects: Subjects) -> dict[str, Any]:
    """Return the configuration to create the stream with."""
    return {
        "name": options.name,
        "subjects": list(subjects.patterns),
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "max_age": round(options.max_age_s * NS_PER_SECOND),
        "max_bytes": options.max_bytes,
        "num_replicas": options.replicas,
        "duplicate_window": round(min(options.duplicates_s, options.max_age_s) * NS_PER_SECOND),
    }


def differences(wanted: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Return what of an existing stream does not fit, a line each: ``max_age is 1h, not 2h``."""
    lines = []
    for pattern in wanted["subjects"]:
        if not any(covers(held, pattern) for held in found.get("subjects") or ()):
            lines.append(f"subjects are {', '.join(found.get('subjects') or ['none'])}, without {pattern}")
    for name in wanted.keys() - {"name", "subjects"}:
        if found.get(name) != wanted[name]:
            lines.append(f"{name} is {_show(name, found.get(name))}, not {_show(name, wanted[name])}")
    for name in ("sealed", "no_ack"):
        if found.get(name):
            lines.append(f"{name} is set")
    longest = found.get("max_msg_size", -1)
    if 0 <= longest < MAX_BODY_BYTES + _HEADERS_BYTES:
        lines.append(f"max_msg_size is {longest}, less than {MAX_BODY_BYTES + _HEADERS_BYTES}")
    return sorted(lines)


def covers(pattern: str, other: str) -> bool:
    """Whether every subject of a pattern `other` is one of `pattern`."""
    held, asked = pattern.split("."), other.split(".")
    for place, token in enumerate(held):
        if token == ">":
            return len(asked) > place
        if place >= len(asked) or asked[place] == ">" or token not in ("*", asked[place]):
            return False
    return len(held) == len(asked)


def discarded_early(state: dict[str, Any], config: dict[str, Any], age_s: float) -> str:
    """Return what to say of a stream that is full, empty if it is not: consumers that are behind lose messages.

    Args:
        state, config: of the stream, as the server tells.
        age_s: of the oldest message.
    """
    if (
        state.get("first_seq", 0) <= 1
        or config.get("max_bytes", -1) <= 0
        or age_s * NS_PER_SECOND >= config["max_age"]
    ):
        return ""
    if state["bytes"] < config["max_bytes"] * 9 // 10:
        return ""
    return (
        f"stream {config['name']} is full ({show_size(config['max_bytes'])}): the oldest message is "
        f"{age_s:.0f} s old where {_show('max_age', config['max_age'])} were to be kept"
    )


def _show(name: str, value: Any) -> str:
    if name in _DURATIONS and isinstance(value, int):
        return show_duration(value / NS_PER_MS)
    return show_size(value) if name == "max_bytes" and isinstance(value, int) and value > 0 else str(value)
