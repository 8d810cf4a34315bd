"""`CallIds`: ids of traces and spans, of which that of a call is known beforehand."""

from __future__ import annotations

from opentelemetry.sdk.trace.id_generator import RandomIdGenerator


class CallIds(RandomIdGenerator):
    """Random ones, but for the next span if `next` says which; used by one thread.

    Attributes:
        next: ids of the trace and the span that is begun next.
    """

    next: tuple[int, int] | None = None

    def generate_trace_id(self) -> int:
        """Return the id of a trace that has no parent."""
        return self.next[0] if self.next else super().generate_trace_id()

    def generate_span_id(self) -> int:
        """Return the id of a span."""
        if self.next is None:
            return super().generate_span_id()
        _, span_id = self.next
        return span_id
