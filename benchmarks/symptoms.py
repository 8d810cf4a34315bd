"""What gives way first when there are too many calls? Looked at while packets are sent, a few times a second.

The kernel's drops are read from /proc, the server's totals are asked for in the measured process; what can be seen
only afterwards (how old the audio was, how late the sender) is added with its time, and the earliest wins.
"""

from __future__ import annotations

import contextlib
from typing import Any, NamedTuple

from benchmarks.child import Child
from benchmarks.kernel import queue
from benchmarks.results import Run
from strep.clock import NS_PER_SECOND

SENDER_LATE_MS = 20.0
"""A sender whose p99 is later than a packet's length is not the network that it plays."""
SENDER_SHARE = 0.97
"""Of the rate that was to be offered; the rest is what a short plateau's edges blur."""
SETTLE_SECONDS = 2
"""At the beginning of a plateau: what the beginnings of calls have left behind is worked off."""


class Symptom(NamedTuple):
    """Something that should not be.

    Attributes:
        at_s: since the first packet; when it was first seen.
        what: in words.
    """

    at_s: float
    what: str


class Symptoms:
    """Those of one run."""

    def __init__(self, latency_ms: float) -> None:
        """Take note of nothing yet; audio older than `latency_ms` at p99 of a second is a symptom."""
        self._latency_ms = latency_ms
        self._first: dict[str, float] = {}

    def watch(self, receiver: Child, port: int, since_start_ns: int) -> None:
        """Look at the kernel's queue and at the server; see `benchmarks.course.Watch`."""
        at_s = since_start_ns / NS_PER_SECOND
        with contextlib.suppress(LookupError):
            if queue(port).drops:
                self._note("the kernel dropped datagrams: the receive buffer was full", at_s)
        self._look_at(receiver.ask("status"), at_s)

    def _look_at(self, totals: dict[str, Any], at_s: float) -> None:
        for sink in totals.get("sinks", []):
            if sink["dropped_blocks"] or sink["detached"]:
                self._note(f"the queue of the sink {sink['name']} overflowed", at_s)
            if sink["errors"]:
                self._note(f"the sink {sink['name']} raised", at_s)
        if totals.get("failed_beats"):
            self._note("a beat of the receive path raised", at_s)

    def _note(self, what: str, at_s: float) -> None:
        self._first.setdefault(what, at_s)

    def diagnose(self, run: Run, offered_per_s: float, plateau_s: tuple[float, float]) -> list[Symptom]:
        """Return everything that was wrong with a run, earliest first; nothing if it carried all calls.

        Args:
            run: what was measured, and what the referee found.
            offered_per_s: packets that were to be sent on the plateau.
            plateau_s: from when to when that was, after the first packet.
        """
        first_s, last_s = plateau_s
        if run.sent and (
            run.offered_per_s < SENDER_SHARE * offered_per_s or run.lateness_ms.get("p99_ms", 0) > SENDER_LATE_MS
        ):
            rate, late = run.offered_per_s, run.lateness_ms.get("p99_ms", 0)
            self._note(f"the SENDER did not keep up: {rate:,.0f} packets/s, {late:.0f} ms late at p99", first_s)
        if run.latency is not None:
            seconds = list(enumerate(run.latency.seconds_p99_ms))[SETTLE_SECONDS:]
            over = [(second, p99) for second, p99 in seconds if p99 > self._latency_ms]
            if over:
                worst = max(p99 for _, p99 in over)
                text = f"audio was more than {self._latency_ms:g} ms old at p99 (up to {worst:.0f} ms)"
                self._note(text, first_s + over[0][0])
        if run.kernel_drops:
            self._note("the kernel dropped datagrams: the receive buffer was full", last_s)
        if run.complaints and not self._first:
            self._note(f"the referee: {run.complaints[0].splitlines()[0]}", last_s)
        return sorted(Symptom(at_s, what) for what, at_s in self._first.items())
