"""The option of `strep serve` for traces."""

from __future__ import annotations

from media.cdr.options import SECTION
from media.formats import Format
from media.option import Option
from media.webhooks.options import parse_url

TRACING_OPTIONS = (
    Option(
        "otlp",
        SECTION,
        Format("URL", parse_url, is_secret=True),
        "http://127.0.0.1:4318",
        "Send a trace of each call to an OpenTelemetry collector, by OTLP over HTTP; /v1/traces unless the URL has a "
        "path. Headers as in OTEL_EXPORTER_OTLP_HEADERS. Needs the extra otel.",
    ),
)
