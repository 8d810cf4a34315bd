"""Telnyx's own Python package verifies and types what is posted; skipped where `make peers` has not put it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from media.events.bus import Told
from media.events.kinds import Event
from media.events.recordings import RecordingFailed
from media.sinks.contract import CallInfo
from media.webhooks.envelope import Selection, body_of, data_of
from media.webhooks.signing import Signer, make_key
from strep.clock import NS_PER_SECOND, SystemClock
from tests.webhooks.events import (
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
from tests.webhooks.test_envelope import saved

pytestmark = pytest.mark.peer
PEERS = Path(__file__).resolve().parents[2] / ".peers"
FAILED = RecordingFailed(recording_id="r", error="full")
EVENTS = [
    (began("strep"), fork(), "CallForkStartedWebhookEvent"),
    (over(), fork(), "CallForkStoppedWebhookEvent"),
    (began(), call(), "CallStreamingStartedWebhookEvent"),
    (over(), call(), "CallStreamingStoppedWebhookEvent"),
    (over("closed"), call(), "CallStreamingFailedWebhookEvent"),
    (digit(), call(), "CallDtmfReceivedWebhookEvent"),
    (started(source="hold.wav"), call(), "CallPlaybackStartedWebhookEvent"),
    *((ended(status=status), call(), "CallPlaybackEndedWebhookEvent") for status in ("completed", "cancelled")),
    (ended(status="call_hangup"), call(), "CallPlaybackEndedWebhookEvent"),
    (ended(status="failed", error="no audio"), call(), "CallPlaybackEndedWebhookEvent"),
    (started("speak"), call(), "CallSpeakStartedWebhookEvent"),
    (ended("speak"), call(), "CallSpeakEndedWebhookEvent"),
    (gathered("42"), call(), "CallGatherEndedWebhookEvent"),
    (transcribed("hello", 0.9), call(), "TranscriptionWebhookEvent"),
    (saved(), fork(), "CallRecordingSavedWebhookEvent"),
    (FAILED, fork(), "CallRecordingErrorWebhookEvent"),
    (judged("silence"), call(), "CallMachineDetectionEndedWebhookEvent"),
    (greeted("ended"), call(), "CallMachineGreetingEndedWebhookEvent"),
]


@pytest.fixture(scope="module")
def telnyx() -> Any:
    if str(PEERS) not in sys.path:
        sys.path.append(str(PEERS))  # behind everything of ours
    return pytest.importorskip("telnyx")


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return make_key(tmp_path / "key.pem")


def now_s() -> int:
    """Return the time: it refuses what is five minutes old."""
    return SystemClock().wall_ns() // NS_PER_SECOND


def body(one: Told) -> bytes:
    data = data_of(one, Selection(("*",)))
    assert data is not None
    return body_of(data, 1, "https://app.example/hook")


def test_it_verifies_what_we_sign(telnyx: Any, signer: Signer) -> None:
    client = telnyx.Telnyx(api_key="none", public_key=signer.public_key)
    one = told(digit("#"))
    posted = body(one)
    event = client.webhooks.unwrap(posted.decode(), headers=signer.headers(posted, now_s()))
    assert (event.data.id, event.data.event_type) == (one.event_id, "call.dtmf.received")
    assert event.data.payload.digit == "#"


@pytest.mark.parametrize("change", ["body", "timestamp", "key", "old"])
def test_it_refuses_what_we_did_not_sign(telnyx: Any, signer: Signer, change: str, tmp_path: Path) -> None:
    key = make_key(tmp_path / "other.pem").public_key if change == "key" else signer.public_key
    client, posted = telnyx.Telnyx(api_key="none", public_key=key), body(told(digit()))
    signed_s = now_s() - (3600 if change == "old" else 0)
    headers = signer.headers(posted, signed_s)
    if change == "timestamp":
        headers["telnyx-timestamp"] = str(signed_s + 1)
    with pytest.raises(Exception, match=r"(?i)signature|timestamp"):
        client.webhooks.unwrap(posted.decode() + (" " if change == "body" else ""), headers=headers)


@pytest.mark.parametrize(("event", "of", "model"), EVENTS, ids=lambda value: value if isinstance(value, str) else "")
def test_its_types_take_our_payloads(telnyx: Any, event: Event, of: CallInfo, model: str) -> None:
    """Strictly: a status that Telnyx does not have, or a time that is none, is refused."""
    getattr(telnyx.types, model).model_validate_json(body(told(event, of)))
