"""`Reconciliation`: every call that began has ended or goes on, and every call that has ended has its recording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The books of one process; of several the sums.

    Attributes:
        calls: that began.
        unaccounted: of them neither ended nor live; anything but 0 is a bug.
        finished: recordings that were closed with all that came; None where nothing is recorded.
        handed_over: recordings that go on in another process, which has them in its books.
        failed: recordings that ended early, or could not begin: their sidecars and the log say why.
        missing: calls that have ended without a recording, and recordings whose file is not there any more.
        is_settled: the recorder has nothing in its queue, so that `missing` is what it says.
    """

    calls: int
    unaccounted: int
    finished: int | None = None
    handed_over: int = 0
    failed: int = 0
    missing: int = 0
    is_settled: bool = True


def reconcile(snapshot: dict[str, Any]) -> Reconciliation:
    """Return the books of a snapshot as `media.server.Server.snapshot` makes it."""
    calls, ended = snapshot["calls_started"], snapshot["calls_ended"]
    unaccounted = calls - ended - snapshot.get("calls", 0)  # workers that have ended leave no gauges behind
    sink = next(
        (sink for sink in snapshot["sinks"] if sink["name"] == "recording" and "failed" in sink["details"]), None
    )
    if sink is None:
        return Reconciliation(calls, unaccounted)
    details = sink["details"]
    handed_over = details.get("handed_over", 0)
    gone = snapshot["companions"].get("finisher", {}).get("gone", 0)
    return Reconciliation(
        calls,
        unaccounted,
        finished=max(details["ended"] - details["failed"] - handed_over - gone, 0),
        handed_over=handed_over,
        failed=details["failed"],
        missing=ended - details["ended"] + gone,
        is_settled=not sink.get("queued_items") and not sink.get("lag_ns"),
    )
