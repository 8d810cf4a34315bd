"""What is known of a sink at one moment: `SinkSnapshot`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any

from media.events.kinds import Event
from media.sinks.contract import CallInfo, Sink

Publish = Callable[[CallInfo, Event], object]
"""`media.events.bus.EventBus.publish`."""


def nobody(call: CallInfo, event: Event) -> None:
    """Tell nobody; a `Publish`."""


@dataclass(frozen=True, slots=True)
class SinkSnapshot:
    """A sink's health at one moment.

    Attributes:
        name: of the sink.
        queued_items, queued_bytes: what waits.
        lag_ns: age of the oldest item that the sink has not finished with, the one in its hands included.
        delivered_blocks: rows that the sink was given.
        dropped_blocks, dropped_seconds: rows, and seconds of audio, that it was not given.
        dropped_calls: calls that it was never told of.
        errors: exceptions that left the sink, or what makes it, and calls into it that hung.
        restarts: times that it was replaced.
        hung: a call into it has not returned for too long.
        abandoned: threads of its predecessors that have not ended.
        detached: it fell behind, or failed, and is fed no more.
        closed: `Sink.close` has returned or raised.
        details: what the sink says of itself, see `Sink`; JSON values, empty if it says nothing.
    """

    name: str
    queued_items: int
    queued_bytes: int
    lag_ns: int
    delivered_blocks: int
    dropped_blocks: int
    dropped_seconds: float
    dropped_calls: int
    errors: int
    restarts: int
    hung: bool
    abandoned: int
    detached: bool
    closed: bool
    details: dict[str, Any] = field(default_factory=dict)


def details_of(sink: Sink) -> dict[str, Any]:
    """Return what the sink's ``snapshot()`` says, if it has one; an error in it is its own trouble."""
    snapshot = getattr(sink, "snapshot", None)
    if not callable(snapshot):
        return {}
    try:
        said = snapshot()
        return asdict(said) if is_dataclass(said) and not isinstance(said, type) else dict(said)
    except Exception as error:
        return {"snapshot_error": repr(error)}
