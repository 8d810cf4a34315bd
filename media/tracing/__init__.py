"""A trace of each call for OpenTelemetry, made of its events; needs the extra ``otel``.

* `media.tracing.spans`: events become spans.
* `media.tracing.companion`: that beside a server, in threads of its own, sent by OTLP over HTTP.
"""
