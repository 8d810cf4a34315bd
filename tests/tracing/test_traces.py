"""A trace of each call, as a collector gets it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from media.carrier.options import SimulationOptions
from media.events.bus import EventBus
from media.events.calls import CallBegan, CallOver
from media.events.kinds import DigitPressed, Event
from media.events.playbacks import PlaybackEnded, PlaybackStarted
from media.events.recordings import RecordingFailed
from media.events.transcripts import Transcription
from media.reports import call_over
from media.sinks.contract import CallInfo
from media.tracing import spans
from media.tracing.companion import Traces
from media.tracing.spans import MAX_EVENTS, ids_of
from strep.clock import ManualClock
from strep.errors import ConfigurationError
from tests.cdr.records import a_call, a_report
from tests.media.recorded import record
from tests.tracing.collector import Collector, attributes, collecting

pytest.importorskip("opentelemetry.sdk")
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


async def traced(collector: Collector, *events: Event | CallInfo) -> Traces:
    """Tell events, each of the call before it."""
    clock = ManualClock()
    bus = EventBus(clock)
    traces = Traces(collector.url, bus, clock)
    await traces.start()
    call = a_call()
    for event in events:
        clock.advance(1_000_000)
        if isinstance(event, CallInfo):
            call = event
        else:
            bus.publish(call, event)
    await traces.close()
    return traces


def over(call: CallInfo) -> CallOver:
    return call_over(a_report(call))


async def test_of_a_server(tmp_path: Path) -> None:
    with collecting() as collector:
        server, _, _ = await record(tmp_path, SimulationOptions(calls=2, seconds=0.3), otlp=collector.url)
    assert {resource["service.name"] for resource in collector.resources} == {"strep"}
    calls, recordings = collector.named("call"), collector.named("recording")
    assert len({span.trace_id for span in calls}) == len(calls) == 2
    assert {span.parent_span_id for span in recordings} == {span.span_id for span in calls}
    for span in calls:
        said = attributes(span)
        assert said["strep.door"] == "strep"
        assert said["strep.inbound.packets"] > 0
        assert span.end_time_unix_nano >= span.start_time_unix_nano
        assert (tmp_path / f"{said['strep.call_id']}.wav").exists()
    assert server.snapshot()["companions"]["traces"]["exported"] == len(collector.spans)


async def test_a_play_is_below_its_call_and_what_is_private_is_nowhere() -> None:
    call = a_call()
    play: dict[str, Any] = {"playback_id": "p1", "kind": "play", "source": "https://user:secret@host/"}
    with collecting() as collector:
        await traced(
            collector,
            call,
            CallBegan(door="ws", identity={}),
            PlaybackStarted(**play),
            DigitPressed(digit="7", source="ws", track="inbound"),
            Transcription(text="a secret", is_final=True, duration_samples=1, engine="vosk"),
            PlaybackEnded(**play, status="failed", heard_ms=5, is_measured=True, error="secret"),
            PlaybackStarted(**{**play, "playback_id": "p2"}),
            over(call),
            RecordingFailed(recording_id="r1", error="no room"),
        )
    [span] = collector.named("call")
    assert [event.name for event in span.events] == ["dtmf", "transcription"]
    first, second = collector.named("play")
    assert {one.parent_span_id for one in (first, second)} == {span.span_id}
    assert attributes(first) == {"strep.status": "failed", "strep.heard_ms": 5}
    assert (first.status.code, second.status.code) == (2, 0)
    assert collector.named("recording")[0].status.message == "no room"
    assert attributes(span)["strep.reason"] == "stop"
    assert "secret" not in str(collector.spans)
    assert '"7"' not in str(collector.spans)


async def test_a_trace_of_the_callers_is_joined() -> None:
    call = a_call(custom_parameters={"traceparent": f"00-{TRACE}-{PARENT}-01"})
    with collecting() as collector:
        await traced(collector, call, CallBegan(door="ws", identity={}), over(call))
    [span] = collector.named("call")
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)


@pytest.mark.parametrize("given", ["", "rubbish", f"00-{'0' * 32}-{PARENT}-01", 5, None, {"a": []}])
async def test_what_is_no_traceparent_is_nothing(given: Any) -> None:
    call = a_call(custom_parameters={"traceparent": given})
    with collecting() as collector:
        await traced(collector, call, over(call))
    [span] = collector.named("call")
    assert (int.from_bytes(span.trace_id), int.from_bytes(span.span_id)) == ids_of(call)
    assert not span.parent_span_id


async def test_a_call_that_was_handed_over_is_one_span() -> None:
    """Of the process in which it ends, below which is what happened in the first."""
    play: dict[str, Any] = {"playback_id": "p1", "kind": "play"}
    with collecting() as collector:
        before, after = a_call(), a_call()
        await traced(
            collector,
            before,
            CallBegan(door="strep", identity={}),
            PlaybackStarted(**play),
            PlaybackEnded(**play, status="completed", heard_ms=5, is_measured=True),
        )
        await traced(collector, after, DigitPressed(digit="1", source="ws"), over(after))
    [span] = collector.named("call")
    [child] = collector.named("play")
    assert (child.trace_id, child.parent_span_id) == (span.trace_id, span.span_id)


async def test_events_are_bounded() -> None:
    call = a_call()
    digits = [DigitPressed(digit="1", source="ws", position_samples=80_000 * n) for n in range(MAX_EVENTS + 5)]
    with collecting() as collector:
        await traced(collector, call, *digits, over(call))
    [span] = collector.named("call")
    assert (len(span.events), span.dropped_events_count) == (MAX_EVENTS, 5)


async def test_a_collector_that_does_not_take_them() -> None:
    call = a_call()
    with collecting() as collector:
        collector.status = 400
        traces = await traced(collector, call, over(call))
    assert (traces.counts.exported, traces.counts.lost, len(traces.spans)) == (0, 1, 0)


async def test_of_a_call_that_has_ended_nothing_is_kept_and_nothing_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "MAX_ENDED", 1)
    trace = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    calls = [a_call(), replace(a_call(custom_parameters=trace), call_id="leg-2"), replace(a_call(), call_id="leg-3")]
    told: list[Event | CallInfo] = []
    for call in calls:
        told += [call, CallBegan(door="ws", identity={}), over(call)]
    for call in calls:
        told += [call, RecordingFailed(recording_id=call.call_id, error="no room")]
    with collecting() as collector:
        traces = await traced(collector, *told)
    assert (len(traces.spans), traces.counts.lost) == (0, 0)
    above = {attributes(span)["strep.call_id"]: (span.trace_id, span.span_id) for span in collector.named("call")}
    assert len(above) == 3
    assert above == {
        attributes(span)["strep.recording_id"]: (span.trace_id, span.parent_span_id)
        for span in collector.named("recording")
    }


def test_without_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("opentelemetry")]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigurationError, match=r"pip install '/path/to/strep\[otel\]'"):
        Traces("http://127.0.0.1:1", EventBus(ManualClock()), ManualClock())
