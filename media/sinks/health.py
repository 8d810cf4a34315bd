"""What is known of a sink at one moment: `SinkSnapshot`, and what the recording says of itself."""

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


@dataclass(frozen=True, slots=True)
class RecordingSnapshot:
    """Counters since the start, and what is going on.

    Attributes:
        live: calls being recorded, failed ones not included.
        started, ended: calls; the difference is what is going on.
        failed: recordings that ended early.
        sidecar_errors: calls with a sidecar that could not be written, or not all of it.
        blocks: rows taken.
        single_rows: rows among them that took the slow path.
        patched_samples: samples put into a part of a file that had been written.
        stage_bytes: memory reserved for staging.
        continued: recordings taken over from a process that died, or handed them over.
        handed_over: recordings that go on in another process; they count as ended here.
    """

    live: int
    started: int
    ended: int
    failed: int
    sidecar_errors: int
    blocks: int
    single_rows: int
    patched_samples: int
    stage_bytes: int
    continued: int
    handed_over: int


def details_of(sink: Sink) -> dict[str, Any]:
    """Return what the sink's ``snapshot()`` says, if it has one; an error in it is its own trouble.

    It may wait for a lock that the sink holds: to be called where the sink is, and never where calls come in.
    """
    snapshot = getattr(sink, "snapshot", None)
    if not callable(snapshot):
        return {}
    try:
        said = snapshot()
        return asdict(said) if is_dataclass(said) and not isinstance(said, type) else dict(said)
    except BaseException as error:  # of others' code also what would end the thread
        return {"snapshot_error": repr(error)}
