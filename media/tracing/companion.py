"""`Traces`: traces of calls as configured, beside a server; nothing of it is in the media path."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from media.events.background import Background
from media.events.bus import EventBus, Told
from media.throttle import ThrottledLog
from media.tracing.spans import MAX_EVENTS, CallSpans
from strep import __version__
from strep.clock import Clock
from strep.errors import ConfigurationError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from media.tracing.ids import CallIds

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
        counts: of spans.
    """

    name = "traces"

    def __init__(self, url: str, bus: EventBus, clock: Clock) -> None:
        """Subscribe; nothing is sent before `start`.

        Raises:
            ConfigurationError: a package is missing.
        """
        self._trouble = ThrottledLog(_LOG, clock)
        try:
            from media.tracing.export import Counts

            self.counts = Counts(MAX_QUEUE, clock)
            self._provider, ids = self._make(url if urlsplit(url).path.strip("/") else url.rstrip("/") + PATH)
        except ImportError:
            raise ConfigurationError(NOT_INSTALLED) from None
        self.spans = CallSpans(self._provider.get_tracer("strep", __version__), ids)
        self._background = Background(self.name, self._take, clock)
        bus.subscribe(self._background.put)

    def _make(self, url: str) -> tuple[TracerProvider, CallIds]:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import SpanLimits, TracerProvider

        from media.tracing.export import CountedExporter, CountingProcessor
        from media.tracing.ids import CallIds

        ids = CallIds()
        provider = TracerProvider(
            resource=Resource.create({"service.name": "strep", "service.version": __version__}),
            id_generator=ids,
            span_limits=SpanLimits(max_events=MAX_EVENTS),
            shutdown_on_exit=False,
        )
        exporter = CountedExporter(OTLPSpanExporter(endpoint=url, timeout=EXPORT_TIMEOUT_S), self.counts)
        provider.add_span_processor(CountingProcessor(exporter, self.counts, MAX_QUEUE))
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
        self.counts.give_up()

    def snapshot(self) -> dict[str, Any]:
        """Return counters."""
        return {"exported": self.counts.exported, "lost": self.counts.lost, **self._background.snapshot()}
