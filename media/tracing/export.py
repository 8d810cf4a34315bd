"""`CountedExporter` and `CountingProcessor`: spans on their way to the collector, of which each one is counted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from media.throttle import ThrottledLog
from strep.clock import Clock

_LOG = logging.getLogger("strep.traces")


class Counts:
    """What became of the spans that have ended; used by several threads.

    Attributes:
        exported, lost: spans.
        waiting: spans that are neither yet.
    """

    def __init__(self, max_waiting: int, clock: Clock) -> None:
        """Let at most `max_waiting` wait."""
        self.exported = self.lost = self.waiting = 0
        self._max_waiting, self._is_over = max_waiting, False
        self._lock = threading.Lock()
        self._trouble = ThrottledLog(_LOG, clock)

    def add(self) -> bool:
        """Count one that has ended; return whether it is to wait: else it is lost."""
        with self._lock:
            is_taken = self.waiting < self._max_waiting
            self.waiting += is_taken
            self.lost += not is_taken
        if not is_taken:
            self._trouble.warning(
                f"spans are lost: the collector is slower than calls, {self._max_waiting} wait for it"
            )
        return is_taken

    def settle(self, count: int, error: str) -> None:
        """Take note that so many of those that wait are sent, or lost if there is an error."""
        with self._lock:
            if self._is_over:  # they were given up: who took them after all took too long
                return
            self.waiting -= count
            self.exported += 0 if error else count
            self.lost += count if error else 0
        if error:
            self._trouble.warning(f"{count} spans are lost: {error}")

    def give_up(self) -> None:
        """Take note that those that wait still are lost."""
        if self.waiting:
            self.settle(self.waiting, "the collector did not take them before the end")
        with self._lock:
            self._is_over = True


class CountedExporter(SpanExporter):
    """Sends spans by another exporter, and counts what becomes of them."""

    def __init__(self, exporter: SpanExporter, counts: Counts) -> None:
        """Send by `exporter`."""
        self._exporter, self._counts = exporter, counts

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send them."""
        try:
            result, error = self._exporter.export(spans), "the collector did not take them"
        except Exception as found:
            result, error = SpanExportResult.FAILURE, repr(found)
        self._counts.settle(len(spans), "" if result is SpanExportResult.SUCCESS else error)
        return result

    def shutdown(self) -> None:
        """Be done."""
        self._exporter.shutdown()


class CountingProcessor(BatchSpanProcessor):
    """Has spans wait for the next export, as many as may; its own bound, where nothing is counted, is never met."""

    def __init__(self, exporter: CountedExporter, counts: Counts, max_waiting: int) -> None:
        """Send by `exporter`."""
        super().__init__(exporter, max_queue_size=max_waiting)
        self._counts = counts

    def on_end(self, span: ReadableSpan) -> None:
        """Have a span wait."""
        if span.context is not None and span.context.trace_flags.sampled and self._counts.add():
            super().on_end(span)
