"""Each span that has ended is counted, whatever becomes of it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from strep.clock import ManualClock
from tests.patience import PATIENCE_S

pytest.importorskip("opentelemetry.sdk")
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from media.tracing.export import CountedExporter, CountingProcessor, Counts

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

MOST = 512
"""As many as are exported at once."""


class Held(SpanExporter):
    """Takes spans as soon as it may."""

    def __init__(self) -> None:
        self.may, self.taken = threading.Event(), 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        assert self.may.wait(PATIENCE_S)
        self.taken += len(spans)
        return SpanExportResult.SUCCESS


class Away(SpanExporter):
    """Takes none."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        raise ConnectionError("away")


def made(exporter: SpanExporter) -> tuple[Counts, TracerProvider, Tracer]:
    counts = Counts(MOST, ManualClock())
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(CountingProcessor(CountedExporter(exporter, counts), counts, MOST))
    return counts, provider, provider.get_tracer("test")


def test_those_that_are_too_many_are_lost_and_counted() -> None:
    exporter = Held()
    counts, provider, tracer = made(exporter)
    for number in range(MOST + 88):
        tracer.start_span(str(number)).end()
    assert (counts.waiting, counts.lost, counts.exported) == (MOST, 88, 0)
    exporter.may.set()
    provider.shutdown()
    assert (counts.waiting, counts.lost, counts.exported) == (0, 88, MOST)
    assert exporter.taken == MOST


def test_those_that_could_not_be_sent_are_lost() -> None:
    counts, provider, tracer = made(Away())
    tracer.start_span("one").end()
    provider.shutdown()
    assert (counts.waiting, counts.lost, counts.exported) == (0, 1, 0)


def test_those_that_wait_at_the_end_are_lost() -> None:
    counts = Counts(MOST, ManualClock())
    assert counts.add()
    counts.give_up()
    counts.settle(1, "")  # who was at it when time was up
    assert (counts.waiting, counts.lost, counts.exported) == (0, 1, 0)
