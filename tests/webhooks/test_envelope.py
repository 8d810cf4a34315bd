"""What is posted, beside the examples of Telnyx's documents (`payload` only, ids shortened there)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from media.events.bus import EventBus
from media.events.calls import MarkReturned
from media.events.kinds import WITHHELD, Event, SpeechEnded
from media.events.recordings import RecordingFailed, RecordingSaved
from media.pauses.spans import Pause
from media.sinks.contract import CallInfo
from media.webhooks.envelope import MAX_IDENTITY_BYTES, Selection, body_of, data_of
from strep.clock import ManualClock
from tests.webhooks.events import (
    IDENTITY,
    LEG,
    began,
    call,
    digit,
    ended,
    fork,
    gathered,
    greeted,
    judged,
    over,
    started,
    told,
    transcribed,
)

EVERYTHING = Selection(("*",))


def data(event: Event, of: CallInfo | None = None) -> dict[str, Any]:
    encoded = data_of(told(event, of), EVERYTHING)
    assert encoded is not None
    document: dict[str, Any] = json.loads(encoded)
    return document


@dataclass(frozen=True, slots=True, kw_only=True)
class SomethingNew(Event):
    """An event that the vocabulary has no word for."""

    NAME: ClassVar[str] = "something_new"

    answer: int


class TestTheEnvelope:
    def test_is_the_documented_one(self) -> None:
        one = told(digit())
        encoded = data_of(one, EVERYTHING)
        assert encoded is not None
        body = json.loads(body_of(encoded, 3, "https://user:secret@app.example/hook?tenant=9"))
        assert body["meta"] == {"attempt": 3, "delivered_to": "https://app.example/hook?tenant=9"}
        assert {name: value for name, value in body["data"].items() if name != "payload"} == {
            "record_type": "event",
            "event_type": "call.dtmf.received",
            "id": one.event_id,
            "occurred_at": "2026-05-28T20:26:40.000000Z",
        }

    def test_data_is_the_same_in_every_attempt(self) -> None:
        encoded = data_of(told(digit()), EVERYTHING)
        assert encoded is not None
        assert all(b'{"data":' + encoded + b',"meta"' in body_of(encoded, n, "https://a/") for n in (1, 2))

    def test_the_payload_says_what_the_carrier_said_of_the_call(self) -> None:
        payload = data(digit())["payload"]
        assert {name: payload[name] for name in IDENTITY} == IDENTITY

    def test_client_state_is_null_where_there_is_none(self) -> None:
        assert data(over(), fork())["payload"]["client_state"] is None

    def test_our_own_words_lie_in_a_place_of_their_own(self) -> None:
        assert data(digit())["payload"]["strep"] == {
            "event": "dtmf",
            "call_id": "5b0f",
            "sequence": 1,
            "track": "inbound",
            "position_ms": 1000,
            "digit": "5",
            "source": "rfc4733",
        }

    def test_a_carrier_that_says_very_much_makes_no_long_webhooks(self) -> None:
        talkative = IDENTITY | {"custom_parameters": {"x": "y" * MAX_IDENTITY_BYTES}}
        payload = data(digit(), call(identity=talkative))["payload"]
        assert "custom_parameters" not in payload
        assert payload["call_control_id"] == IDENTITY["call_control_id"]


def test_what_is_private_while_recording_is_paused_is_not_told() -> None:
    """The bus withholds it; whatever is made of its events is without it."""
    paused, posted = call(), list[bytes | None]()
    paused.pauses.append(Pause(0, (0, 0), "silence", 0))
    bus = EventBus(ManualClock())
    bus.subscribe(lambda one: posted.append(data_of(one, EVERYTHING)))
    bus.publish(paused, digit("7"))
    [encoded] = posted
    assert encoded is not None
    payload = json.loads(encoded)["payload"]
    assert (payload["digit"], payload["strep"]["digit"]) == (WITHHELD, WITHHELD)
    assert b'"7"' not in encoded


FORK = {"call_leg_id": LEG, "stream_type": "decrypted"}
FAILED = {"stream_id": IDENTITY["stream_id"], "stream_type": "websocket"}
NOT_SURE, BEEP = {"result": "not_sure"}, {"result": "beep_detected"}
FROM, TO = "2026-01-31T12:00:00.000000Z", "2026-01-31T12:01:00.000000Z"
SAID: dict[str, Any] = {"recording_id": "r", "channels": "dual", "format": "wav", "started_at": FROM, "ended_at": TO}
SAVED = {"channels": "dual", "recording_id": "r", "recording_started_at": FROM, "recording_ended_at": TO}


def saved(*files: dict[str, Any]) -> RecordingSaved:
    place: dict[str, Any] = {"path": "r.wav", "size_bytes": 44, "duration_samples": 0}
    return RecordingSaved(**SAID, **place, is_take=False, files=files)


MEDIA = {"media_url": None, "media_name": None, "overlay": False}


CASES: list[tuple[Event, CallInfo, str, dict[str, Any]]] = [
    (began("strep"), fork(), "call.fork.started", FORK),
    (over("idle"), fork(), "call.fork.stopped", FORK),
    (began(), call(), "streaming.started", {}),
    (over("stop"), call(), "streaming.stopped", {}),
    (over("hang_up"), call(), "streaming.stopped", {}),
    (over("shutdown"), call(), "streaming.stopped", {}),
    (over("closed"), call(), "streaming.failed", FAILED | {"failure_reason": "connection_closed"}),
    (over("idle"), call(), "streaming.failed", FAILED | {"failure_reason": "idle_timeout"}),
    (digit("#"), call(), "call.dtmf.received", {"digit": "#", "from": "+15550100", "to": "+15550111"}),
    (started(), call(), "call.playback.started", MEDIA),
    (started(source="hold.wav"), call(), "call.playback.started", MEDIA | {"media_name": "hold.wav"}),
    (
        started(source="https://s/h.mp3"),
        call(),
        "call.playback.started",
        MEDIA | {"media_url": "https://s/h.mp3"},
    ),
    (ended(status="call_hangup"), call(), "call.playback.ended", MEDIA | {"status": "call_hangup"}),
    (
        ended(status="failed", error="no audio"),
        call(),
        "call.playback.ended",
        {"status": "failed", "status_detail": "no audio"},
    ),
    (started("speak"), call(), "call.speak.started", {}),
    (ended("speak", "cancelled"), call(), "call.speak.ended", {"status": "cancelled"}),
    (started("keys"), call(), "strep.playback_started", {}),
    (MarkReturned(name="m"), call(), "strep.mark", {}),
    (SpeechEnded(track="inbound", duration_samples=800), call(), "strep.speech_ended", {}),
    (
        gathered("427"),
        call(),
        "call.gather.ended",
        {"digits": "427", "status": "valid"},
    ),
    (
        transcribed("hello", 0.93),
        call(),
        "call.transcription",
        {
            "transcription_data": {
                "transcript": "hello",
                "confidence": 0.93,
                "is_final": True,
                "transcription_track": "inbound",
            }
        },
    ),
    (saved(), fork(), "call.recording.saved", SAVED | {"recording_urls": {"wav": None, "mp3": None}}),
    (
        saved({"format": "mp3", "url": "s3://b/x.mp3"}, {"format": "flac"}),
        fork(),
        "call.recording.saved",
        SAVED | {"recording_urls": {"wav": None, "mp3": "s3://b/x.mp3"}},
    ),
    (
        RecordingFailed(recording_id="r", error="disk full"),
        fork(),
        "call.recording.error",
        {"reason": "Internal server error"},
    ),
    (
        RecordingFailed(recording_id="r", error="503", step="upload", will_retry=True),
        fork(),
        "strep.recording_failed",
        {},
    ),
    (
        judged("human"),
        call(),
        "call.machine.detection.ended",
        {"result": "human"},
    ),
    (judged("silence"), call(), "call.machine.detection.ended", NOT_SURE),
    (greeted("beep_detected"), call(), "call.machine.greeting.ended", BEEP),
    (SomethingNew(answer=42), call(), "strep.something_new", {}),
]
TYPES = {event_type for _, _, event_type, _ in CASES}


@pytest.mark.parametrize(("event", "of", "event_type", "fields"), CASES, ids=[case[2] for case in CASES])
def test_vocabulary(event: Event, of: CallInfo, event_type: str, fields: dict[str, Any]) -> None:
    document = data(event, of)
    assert document["event_type"] == event_type
    assert fields.items() <= document["payload"].items()


@pytest.mark.parametrize(
    ("patterns", "wanted", "not_wanted"),
    [
        (("call.*", "streaming.*"), ["call.dtmf.received", "streaming.failed"], ["strep.mark", "callx", "xcall.a"]),
        (("call.dtmf.received",), ["call.dtmf.received"], ["call.dtmf.received.x", "call-dtmf.received"]),
        (("*.ended",), ["call.speak.ended", "call.gather.ended"], ["call.speak.started"]),
        (("*",), ["strep.mark", "call.fork.started"], []),
    ],
)
def test_selection(patterns: tuple[str, ...], wanted: list[str], not_wanted: list[str]) -> None:
    selection = Selection(patterns)
    assert [name for name in wanted + not_wanted if name in selection] == wanted


def test_what_is_not_wanted_is_not_written() -> None:
    assert data_of(told(digit()), Selection(("streaming.*",))) is None
