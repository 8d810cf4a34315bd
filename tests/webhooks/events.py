"""Events as the bus tells them."""

from __future__ import annotations

import uuid
from typing import Any

from media.events.bus import Told
from media.events.calls import CallBegan, CallOver
from media.events.detections import GreetingEnded, MachineDetectionEnded
from media.events.gathers import GatherEnded
from media.events.kinds import DigitPressed, Event
from media.events.playbacks import PlaybackEnded, PlaybackStarted
from media.events.transcripts import Transcription
from media.sinks.contract import CallInfo
from strep.clock import NS_PER_SECOND

AT_NS = 1_780_000_000 * NS_PER_SECOND
LEG = "7f3a1c52-c9d0-11f0-8e41-02420a5b6c7d"
IDENTITY: dict[str, Any] = {
    "call_control_id": "v3:q1Zk0aTx",
    "call_session_id": "7f3a1a10-c9d0-11f0-9b1a-02420a5b6c7d",
    "stream_id": "5b0f3f0e-3c5d-4e0e-9c39-2f9a6b1d7c10",
    "client_state": "Zm9yaz0x",
    "from": "+15550100",
    "to": "+15550111",
}
PLAY: dict[str, Any] = {"playback_id": "p1", "track": "outbound"}
ENDED: dict[str, Any] = {**PLAY, "heard_ms": 900, "is_measured": True}


def call(call_id: str = "5b0f", door: str = "ws", identity: dict[str, Any] | None = None) -> CallInfo:
    return CallInfo(1, call_id, door, AT_NS, identity=IDENTITY if identity is None else identity)


def fork() -> CallInfo:
    return call(LEG, "strep", {"call_leg_id": LEG, "leg": "A"})


def told(event: Event, of: CallInfo | None = None, sequence: int = 1) -> Told:
    return Told(str(uuid.uuid4()), sequence, AT_NS, of or call(), event)


def digit(character: str = "5") -> DigitPressed:
    return DigitPressed(track="inbound", position_samples=8000, digit=character, source="rfc4733")


def began(door: str = "ws") -> CallBegan:
    return CallBegan(door=door, identity=IDENTITY)


def over(reason: str = "stop") -> CallOver:
    return CallOver(reason=reason, duration_samples=16_000)


def started(kind: Any = "play", source: str = "") -> PlaybackStarted:
    return PlaybackStarted(**PLAY, kind=kind, source=source)


def ended(kind: Any = "play", status: Any = "completed", source: str = "", error: str = "") -> PlaybackEnded:
    return PlaybackEnded(**ENDED, kind=kind, status=status, source=source, error=error)


def gathered(digits: str) -> GatherEnded:
    return GatherEnded(track="inbound", digits=digits, status="valid", reason="ended by #", tries=1)


def transcribed(text: str, confidence: float) -> Transcription:
    said: dict[str, Any] = {"track": "inbound", "position_samples": 8000, "duration_samples": 4000}
    return Transcription(**said, text=text, confidence=confidence, is_final=True, engine="scripted")


def judged(result: str) -> MachineDetectionEnded:
    heard: dict[str, Any] = {"words": 1, "greeting_samples": 4000, "silence_samples": 4000}
    return MachineDetectionEnded(track="inbound", position_samples=16_000, result=result, reason="a rule", **heard)


def greeted(result: str) -> GreetingEnded:
    return GreetingEnded(track="inbound", position_samples=48_000, result=result, reason="a rule")
