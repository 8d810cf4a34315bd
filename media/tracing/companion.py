"""`Traces`: traces of calls as configured, beside a server; nothing of it is in the media path."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from media.events.background import Background
from media.events.bus import EventBus, Told
from media.throttle import ThrottledLog
from media.tracing.spans import MAX_EVENTS, CallSpans
from strep import __version__
from strep.clock import Clock
from strep.errors import ConfigurationError

_LOG = logging.getLogger("strep.traces")
NOT_INSTALLED = "otlp needs the OpenTelemetry SDK: pip install '/path/to/strep[otel]'"
PATH = "/v1/traces"
"""Of OTLP over HTTP, where the URL has none."""
MAX_QUEUE = 4096
"""Spans that wait for the collector; beyond it they are lost."""
EXPORT_TIMEOUT_S = 5
CLOSE_TIMEOUT_S = 10.0


class Traces:
    """Sends a trace of each call that has ended.

    Attributes:
        exported, lost: spans.
    """

    name = "traces"

    def __init__(self, url: str, bus: EventBus, clock: Clock) -> None:
        """Subscribe; nothing is sent before `start`.

        Raises:
            ConfigurationError: a package is missing.
        """
        self.exported = self.lost = 0
        self._trouble = ThrottledLog(_LOG, clock)
        try:
            self._provider, ids = self._make(url if urlsplit(url).path.strip("/") else url.rstrip("/") + PATH)
        except ImportError:
            raise ConfigurationError(NOT_INSTALLED) from None
        self.spans = CallSpans(self._provider.get_tracer("strep", __version__), ids)
        self._background = Background(self.name, self._take, clock)
        bus.subscribe(self._background.put)

    def _make(self, url: str) -> tuple[Any, Any]:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

        from media.tracing.ids import CallIds

        traces = self

        class Exporter(OTLPSpanExporter):
            """Counts what becomes of spans."""

            def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
                """Send them."""
                try:
                    result = super().export(spans)
                except Exception as error:
                    traces._trouble.warning(f"traces are not sent: {error!r}")
                    result = SpanExportResult.FAILURE
                is_sent = result is SpanExportResult.SUCCESS
                traces.exported += is_sent * len(spans)
                traces.lost += (not is_sent) * len(spans)
                if not is_sent:
                    traces._trouble.warning(f"{len(spans)} spans are lost: the collector did not take them")
                return result

        resource = Resource.create({"service.name": "strep", "service.version": __version__})
        ids = CallIds()
        provider = TracerProvider(
            resource=resource,
            id_generator=ids,
            span_limits=SpanLimits(max_events=MAX_EVENTS),
            shutdown_on_exit=False,
        )
        exporter = Exporter(endpoint=url, timeout=EXPORT_TIMEOUT_S)
        provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=MAX_QUEUE))
        return provider, ids

    def _take(self, batch: list[Told]) -> None:
        for told in batch:
            try:
                self.spans.take(told)
            except Exception as error:  # a mistake of ours must cost no other span
                self._trouble.warning(f"{told.event.NAME} is in no trace: {error!r}", exc_info=error)

    async def start(self) -> None:
        """Begin."""
        self._background.start()

    async def close(self) -> None:
        """Send what there is to be sent."""
        await asyncio.to_thread(self._background.stop, CLOSE_TIMEOUT_S)
        try:
            async with asyncio.timeout(2 * CLOSE_TIMEOUT_S):
                await asyncio.to_thread(self._provider.shutdown)
        except TimeoutError:
            _LOG.error("the last traces are not sent: the collector took too long")

    def snapshot(self) -> dict[str, Any]:
        """Return counters."""
        return {"exported": self.exported, "lost": self.lost, **self._background.snapshot()}
