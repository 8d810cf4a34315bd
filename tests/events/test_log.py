"""What an operator sees of calls in the log."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from media.events.bus import EventBus
from media.events.calls import CallBegan, CallOver
from media.events.kinds import DigitPressed, Event
from media.events.log import MAX_LINES, CallLog
from media.events.recordings import RecordingFailed, RecordingSaved
from media.logs import extras_of
from media.reports import call_over
from strep.clock import NS_PER_SECOND, ManualClock
from tests.cdr.records import a_call, a_report

SAVED: dict[str, Any] = {
    "recording_id": "1", "started_at": "", "ended_at": "", "channels": "dual", "format": "wav", "size_bytes": 64_044,
    "duration_samples": 16_000,
}  # fmt: skip


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "strep.calls")
    return caplog


def lines(told: pytest.LogCaptureFixture) -> list[tuple[str, dict[str, Any]]]:
    return [(record.getMessage(), extras_of(record)) for record in told.records]


def test_a_call_from_its_beginning_to_its_recording(told: pytest.LogCaptureFixture) -> None:
    bus, call = EventBus(ManualClock()), a_call()
    CallLog(bus, ManualClock())
    events: list[Event] = [
        CallBegan(door="ws", identity={"from": "+15550100"}),
        DigitPressed(digit="7", source="ws"),
        RecordingSaved(**SAVED, path="/recordings/leg-1.greeting.wav", is_take=True),
        call_over(a_report(call)),
        RecordingFailed(recording_id="1", error="no room"),
        RecordingFailed(recording_id="1", error="away", step="upload", will_retry=True),
        RecordingSaved(**SAVED, path="", is_take=False, files=({"url": "s3://bucket/leg-1.mp3"},)),
    ]
    for event in events:
        bus.publish(call, event)
    assert lines(told) == [
        ("call began", {"call_id": "leg-1", "door": "ws", "dialect": "telnyx"}),
        ("take saved", {"call_id": "leg-1", "file": "/recordings/leg-1.greeting.wav", "seconds": 2.0}),
        (
            "call ended",
            {"call_id": "leg-1", "reason": "stop", "seconds": 2.0, "inbound": "100 packets, 5 lost"},
        ),
        ("recording failed", {"call_id": "leg-1", "error": "no room"}),
        ("recording saved", {"call_id": "leg-1", "file": "s3://bucket/leg-1.mp3", "seconds": 2.0}),
    ]


def test_why_there_was_nothing_to_hear(told: pytest.LogCaptureFixture) -> None:
    bus = EventBus(ManualClock())
    CallLog(bus, ManualClock())
    bus.publish(a_call(), CallOver(reason="idle", duration_samples=0, note="unsupported_payload"))
    [(_, said)] = lines(told)
    assert said == {"call_id": "leg-1", "reason": "idle", "seconds": 0.0, "note": "unsupported_payload"}


def test_a_flood_of_calls_is_no_flood_of_lines(told: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    bus = EventBus(clock)
    log = CallLog(bus, clock)
    for number in range(MAX_LINES + 7):
        bus.publish(a_call(f"leg-{number}"), CallBegan(door="strep", identity={}))
    assert len(lines(told)) == MAX_LINES
    assert log.snapshot() == {"left_out": 7}
    clock.advance(NS_PER_SECOND)
    for number in range(2):
        bus.publish(a_call(f"late-{number}"), CallBegan(door="strep", identity={}))
    assert [said.get("lines_left_out") for _, said in lines(told)[-3:]] == [None, 7, None]
