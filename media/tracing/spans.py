"""`CallSpans`: what happens in calls as spans, in the words of the event bus.

* A call is a span from its beginning to its end. Its trace is that of the ``traceparent`` (W3C Trace Context) which
  the carrier was given as custom parameter, if it was; else one whose id follows from the call's id and beginning.
  So a call that is handed over to another process, which knows nothing of the span, is one span all the same: of the
  process in which it ends.
* What takes its time in it - plays, takes, the finishing of its recording - is a span below that.
* Everything else is an event of the call's span, `MAX_EVENTS` of them at the most.

Nothing private is told: no digit, no text, no file and no URL.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from media.events.bus import Told
from media.events.calls import CallBegan, CallOver
from media.events.playbacks import PlaybackEnded, PlaybackStarted
from media.events.recordings import RecordingFailed, RecordingSaved, RecordingStarted
from media.events.transcripts import Transcription
from media.sinks.contract import CallInfo, CallReport

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanContext, Tracer

    from media.tracing.ids import CallIds

MAX_EVENTS = 128
MAX_ENDED = 10_000
"""Calls that have ended whose ends are known, when the finishing of a recording is told."""
_IDENTITY = ("call_leg_id", "leg", "stream_id", "call_control_id", "call_session_id", "call_sid", "account_sid")


@dataclass(slots=True)
class _Call:
    """A call, its span, and those below it that have begun."""

    call: CallInfo
    span: Span
    running: dict[str, Span] = field(default_factory=dict)


class CallSpans:
    """The spans of all live calls; used by one thread."""

    def __init__(self, tracer: Tracer, ids: CallIds) -> None:
        """Make spans by `tracer`, which gets its ids from `ids`."""
        self._tracer, self._ids = tracer, ids
        self._calls: dict[int, _Call] = {}  # by the id() of a `CallInfo`, which is kept
        self._ended: dict[tuple[int, int], int] = {}  # by `ids_of`: when

    def __len__(self) -> int:
        """Return how many calls go on."""
        return len(self._calls)

    def take(self, told: Told) -> None:
        """Take the next event."""
        event, at_ns = told.event, told.occurred_at_ns
        known = self._calls.get(id(told.call))
        if known is None and not self._is_to_begin(told):
            return
        known = known or self._begin(told.call)
        if isinstance(event, CallBegan) or (isinstance(event, Transcription) and not event.is_final):
            return
        if isinstance(event, PlaybackStarted):
            known.running[event.playback_id] = self._below(known, event.kind, at_ns)
        elif isinstance(event, PlaybackEnded):
            span = self._running(known, event.playback_id, event.kind, at_ns)
            said: dict[str, Any] = {"strep.status": event.status, "strep.heard_ms": event.heard_ms}
            _end(span, at_ns, said, "failed" if event.status == "failed" else "")
        elif isinstance(event, RecordingStarted):
            known.running[event.recording_id] = self._below(known, "take", at_ns)
        elif isinstance(event, RecordingSaved):
            span = self._running(known, event.recording_id, "take", at_ns)
            _end(span, at_ns, _about(event), "")
        elif isinstance(event, CallOver):
            self._end_call(known, event, at_ns)
        else:
            known.span.add_event(event.NAME, {"strep.track": event.track} if event.track else {}, at_ns)

    def _is_to_begin(self, told: Told) -> bool:
        """Return whether a call that is not known goes on; of one that has ended tell what is still to be told."""
        over_ns = self._ended.get(ids_of(told.call))
        if told.call.index < 0 and over_ns is None:  # what a dead process left behind is no call here
            return False
        if isinstance(told.event, RecordingSaved | RecordingFailed):
            self._tell_finished(told.call, told.event, told.occurred_at_ns, over_ns)
            return False
        return over_ns is None

    def _tell_finished(
        self, call: CallInfo, event: RecordingSaved | RecordingFailed, at_ns: int, over_ns: int | None
    ) -> None:
        """Tell what became of a recording: from the end of the call, if known, to when it was where it is to be."""
        from opentelemetry import trace

        self._ids.next = None
        above = trace.set_span_in_context(trace.NonRecordingSpan(_span_context(call)))
        span = self._tracer.start_span("recording", above, start_time=at_ns if over_ns is None else over_ns)
        _end(span, at_ns, _about(event), event.error if isinstance(event, RecordingFailed) else "")

    def _begin(self, call: CallInfo) -> _Call:
        from opentelemetry.trace import SpanKind

        said = {name: str(call.identity[name]) for name in _IDENTITY if call.identity.get(name) is not None}
        about = {"strep.call_id": call.call_id, "strep.door": call.door, "strep.dialect": call.dialect}
        self._ids.next = ids_of(call)
        span = self._tracer.start_span(
            "call",
            _parent(call),
            SpanKind.SERVER,
            {**about, **{f"strep.{name}": value for name, value in said.items()}},
            start_time=call.started_wall_ns,
        )
        known = self._calls[id(call)] = _Call(call, span)
        return known

    def _below(self, known: _Call, name: str, start_ns: int) -> Span:
        from opentelemetry.trace import set_span_in_context

        self._ids.next = None
        return self._tracer.start_span(name, set_span_in_context(known.span), start_time=start_ns)

    def _running(self, known: _Call, key: str, name: str, at_ns: int) -> Span:
        """Return a span that has begun, or one that begins now: its beginning was never told."""
        if key in known.running:
            return known.running.pop(key)
        return self._below(known, name, at_ns)

    def _end_call(self, known: _Call, over: CallOver, at_ns: int) -> None:
        for span in known.running.values():
            _end(span, at_ns, {}, "")
        known.running.clear()
        said: dict[str, Any] = {"strep.reason": over.reason, "strep.note": over.note}
        _end(known.span, at_ns, said | (_figures(over.report) if over.report else {}), "")
        del self._calls[id(known.call)]
        self._ended[ids_of(known.call)] = at_ns
        while len(self._ended) > MAX_ENDED:
            del self._ended[next(iter(self._ended))]


def ids_of(call: CallInfo) -> tuple[int, int]:
    """Return the ids of the trace and the span of a call, the same in every process."""
    digest = sha256(f"{call.call_id} {call.started_wall_ns}".encode()).digest()
    return int.from_bytes(digest[:16]), int.from_bytes(digest[16:24])


def _parent(call: CallInfo) -> Any:
    """Return the context that the carrier was given, or an empty one."""
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    said = call.identity.get("custom_parameters")
    given = said if isinstance(said, dict) else {}
    carried = {name: given[name] for name in ("traceparent", "tracestate") if isinstance(given.get(name), str)}
    return TraceContextTextMapPropagator().extract(carried, Context())


def _span_context(call: CallInfo) -> SpanContext:
    """Return where the span of a call is, which may have ended, and be of another process."""
    from opentelemetry.trace import SpanContext, TraceFlags, get_current_span

    trace_id, span_id = ids_of(call)
    given = get_current_span(_parent(call)).get_span_context()
    if not given.is_valid:
        return SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return SpanContext(given.trace_id, span_id, False, given.trace_flags, given.trace_state)


def _about(event: RecordingSaved | RecordingFailed) -> dict[str, Any]:
    if isinstance(event, RecordingFailed):
        return {"strep.recording_id": event.recording_id}
    return {"strep.recording_id": event.recording_id, "strep.size_bytes": event.size_bytes}


def _figures(report: CallReport) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for track in report.tracks:
        name = f"strep.{'outbound' if track.direction else 'inbound'}"
        said[f"{name}.packets"] = int(track.statistics["received"])
        said[f"{name}.lost"] = int(track.statistics["never_arrived"])
        said[f"{name}.jitter_ms"] = float(track.statistics["jitter_mean_ms"])
        if track.quality is not None and track.quality["mos"] is not None:
            said[f"{name}.mos"] = float(track.quality["mos"])
    return said


def _end(span: Span, at_ns: int, attributes: dict[str, Any], error: str) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_attributes(attributes)
    if error:
        span.set_status(Status(StatusCode.ERROR, error[:256]))
    span.end(max(at_ns, getattr(span, "start_time", None) or 0))
