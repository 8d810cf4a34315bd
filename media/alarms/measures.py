"""What alarms measure: each of these says how bad something is, and what it is about.

They look at the snapshot of `media.server.Server`, with what room there is under "capacity", and at the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from media.admission.capacity import SPARE_DESCRIPTORS
from media.alarms.board import Look, Measured, Snapshot
from media.alarms.reconciliation import reconcile
from strep.clock import NS_PER_MS, NS_PER_SECOND

RECORDERS = ("recording", "takes")
"""Sinks of which every block counts."""
LEAST_FREE_BYTES = 256 << 20
"""Where `ServerConfig.min_free_bytes` is none."""


def grown(what: str, *names: str) -> Callable[[Look], Measured]:
    """Measure by how much counters have grown."""
    return lambda look: (n := look.grown(*names), f"{n} {what} in the last second")


def sinks(whole: Snapshot, *, are_recorders: bool | None = None) -> list[Snapshot]:
    """Return the sinks; those of which every block counts, or the others."""
    found: list[Snapshot] = whole.get("sinks", [])
    return [sink for sink in found if are_recorders is None or (sink["name"] in RECORDERS) == are_recorders]


def details(whole: Snapshot) -> list[Snapshot]:
    """Return what recorders say of themselves."""
    return [sink.get("details", {}) for sink in sinks(whole, are_recorders=True)]


def companions(*names: str) -> Callable[[Snapshot], Iterable[Snapshot]]:
    """Return what finds companions by name."""
    return lambda whole: [part for name, part in whole.get("companions", {}).items() if name in names]


def engines(whole: Snapshot) -> list[Snapshot]:
    """Return the engines of transcription; sinks of others say of themselves what they like."""
    own = (sink for sink in sinks(whole) if sink["name"] == "transcription")
    return [engine for sink in own for engine in sink.get("details", {}).get("engines", {}).values()]


DELIVERIES = companions("delivery", "delivery of takes")


def lag(*, are_recorders: bool) -> Callable[[Look], Measured]:
    """Measure how far the worst sink is behind, in seconds."""

    def measure(look: Look) -> Measured:
        lags = [
            (sink["lag_ns"] / NS_PER_SECOND, sink["name"]) for sink in sinks(look.now, are_recorders=are_recorders)
        ]
        worst = max(lags, default=None)
        return worst and (worst[0], f"{worst[1]} is {worst[0]:.1f} s behind")

    return measure


def dropped(*, are_recorders: bool) -> Callable[[Look], Measured]:
    """Measure what sinks were not given."""

    def measure(look: Look) -> Measured:
        names = "dropped_blocks", "dropped_calls"
        grown = look.grown(*names, within=lambda whole: sinks(whole, are_recorders=are_recorders))
        return grown, f"{grown} blocks and calls in the last second"

    return measure


def failing(look: Look) -> Measured:
    """Measure sinks that raise, hang or were replaced."""
    hung = [sink["name"] for sink in sinks(look.now) if sink.get("hung")]
    grown = look.grown("errors", "restarts", within=sinks)
    return grown + len(
        hung
    ), f"{', '.join(hung)} hangs" if hung else f"{grown} errors and restarts in the last second"


def detached(look: Look) -> Measured:
    """Measure sinks that are fed no more."""
    found = [sink["name"] for sink in sinks(look.now) if sink["detached"]]
    return len(found), ", ".join(found)


def unaccounted(look: Look) -> Measured:
    """Measure calls that are neither live nor ended."""
    count = reconcile(look.now).unaccounted if "calls_started" in look.now else 0
    return abs(count), f"{count} calls"


def missing(look: Look) -> Measured:
    """Measure calls without a recording."""
    if "calls_started" not in look.now:
        return None
    books = reconcile(look.now)
    return (books.missing, f"{books.missing} of {books.calls}") if books.is_settled else None


def failed_recordings(look: Look) -> Measured:
    """Measure recordings that ended early."""
    grown = look.grown("failed", "sidecar_errors", within=details)
    return grown, f"{grown} in the last second"


def loop_lag(look: Look) -> Measured:
    """Measure how late beats are, in milliseconds."""
    found = look.now.get("loop_lag")
    if found is None:
        return None
    late_ms = found["usual_ns"] / NS_PER_MS
    return late_ms, f"99 of 100 beats, and all but one, were at most {late_ms:.0f} ms late"


def disk(look: Look) -> Measured:
    """Measure how much of the disk is needed; 1: all that is left."""
    capacity = look.now.get("capacity", {})
    free = capacity.get("free_bytes")
    if free is None:
        return None
    return (capacity.get("min_free_bytes") or LEAST_FREE_BYTES) / max(free, 1), f"{free >> 20} MiB are free"


def descriptors(look: Look) -> Measured:
    """Measure how many of the descriptors are needed; 1: all that are left."""
    free = look.now.get("capacity", {}).get("free_descriptors")
    return None if free is None else (SPARE_DESCRIPTORS / max(free, 1), f"{free} are left")


def refusing(look: Look) -> Measured:
    """Measure whether calls are refused."""
    shortage = look.now.get("capacity", {}).get("shortage", "")
    return float(bool(shortage)), shortage


def oldest(field: str, per_second: int, *names: str) -> Callable[[Look], Measured]:
    """Measure the age of what waits, in seconds."""

    def measure(look: Look) -> Measured:
        ages = [part.get(field, 0) / per_second for part in companions(*names)(look.now)]
        return (max(ages), f"the oldest waits for {max(ages):.0f} s") if ages else None

    return measure


def lost(what: str, fields: tuple[str, ...], *names: str) -> Callable[[Look], Measured]:
    """Measure what was given up."""
    return lambda look: (n := look.grown(*fields, within=companions(*names)), f"{n} {what} in the last second")


def lost_messages(look: Look) -> Measured:
    """Measure what NATS does not get: messages, and events on their way to become some."""
    publishers = companions("nats")
    grown = look.grown("dropped", "dropped_audio_messages", "dropped_events", "lost", within=publishers)
    grown += look.grown("dropped", "failed", within=lambda whole: [p.get("events", {}) for p in publishers(whole)])
    return grown, f"{grown} messages in the last second"


def record_places(whole: Snapshot) -> list[Snapshot]:
    """Return the places that call records are written to."""
    return [part for cdr in companions("cdr")(whole) for part in cdr.values() if isinstance(part, dict)]


def oldest_record(look: Look) -> Measured:
    """Measure the age of the oldest call record that waits, in seconds."""
    ages = [part.get("oldest_ns", 0) / NS_PER_SECOND for part in record_places(look.now)]
    return (max(ages), f"the oldest waits for {max(ages):.0f} s") if ages else None


def nats_away(look: Look) -> Measured:
    """Measure whether NATS is away."""
    away = [
        part.get("trouble") or "not connected"
        for part in companions("nats")(look.now)
        if not part.get("connected", False)
    ]
    return len(away), str(away[0]) if away else ""


def children(look: Look) -> Measured:
    """Measure processes that were replaced."""
    grown = (
        look.grown("process_restarts", within=DELIVERIES)
        + look.grown("restarts", within=companions("nats"))
        + look.grown("hung", "died", "refused", within=engines)
        + look.grown("worker_restarts")
    )
    return grown, f"{grown} were replaced in the last second"


def workers_down(look: Look) -> Measured:
    """Measure workers that are not there."""
    down: list[Any] = look.now.get("workers_down", [])
    return len(down), f"worker {', '.join(map(str, down))}"
