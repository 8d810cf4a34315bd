"""Our events in Telnyx's words: type and payload of a webhook for each kind of event (`media.events`).

Telnyx's call-control documents name the types and the fields beyond the common ones (call_control_id, call_leg_id,
call_session_id, connection_id, client_state, which come from the carrier's identity of the call). An event that has
no name there is ``strep.<its name>``. Two kinds of calls begin: a media fork (``call.fork.*``) and a media stream
(``streaming.*``, without "call.").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from media.sinks.contract import CallInfo

Said = dict[str, Any]
"""An event as `media.events.bus.Told.to_json` has it."""
Translation = tuple[str, dict[str, Any]]
"""Event type, and fields of the payload beyond the common ones."""

OURS = "strep."
STREAM_FAILURES = {"closed": "connection_closed", "idle": "idle_timeout"}
"""Ends of a media stream that nobody asked for, by the reason of the call's end."""

DETECTED = {"fax_detected": "machine", "silence": "not_sure"}
"""Results that Telnyx knows in its premium detection only, as its other one would have them."""


def translate(said: Said, call: CallInfo) -> Translation:
    """Return the event's type and its fields."""
    word = VOCABULARY.get(said["event"])
    return word(said, call) if word is not None else (OURS + said["event"], {})


def _started(said: Said, call: CallInfo) -> Translation:
    return ("streaming.started", {}) if call.door == "ws" else ("call.fork.started", {"stream_type": "decrypted"})


def _ended(said: Said, call: CallInfo) -> Translation:
    if call.door != "ws":
        return "call.fork.stopped", {"stream_type": "decrypted"}
    failure = STREAM_FAILURES.get(said["reason"])
    if failure is None:
        return "streaming.stopped", {}
    return "streaming.failed", {"failure_reason": failure, "stream_type": "websocket", "stream_params": {}}


def _dtmf(said: Said, call: CallInfo) -> Translation:
    return "call.dtmf.received", {"digit": said["digit"]}


def _gathered(said: Said, call: CallInfo) -> Translation:
    return "call.gather.ended", {"digits": said.get("digits", ""), "status": said["status"]}


def _playback_started(said: Said, call: CallInfo) -> Translation:
    match said.get("kind"):
        case "speak":
            return "call.speak.started", {}
        case "play":
            return "call.playback.started", _media(said)
    return OURS + "playback_started", {}  # keys that are pressed have no webhooks at Telnyx


def _playback_ended(said: Said, call: CallInfo) -> Translation:
    status = {"status": said["status"]}
    match said.get("kind"):
        case "speak":  # "cancelled" is none of Telnyx's three, and "completed" would be untrue
            return "call.speak.ended", status
        case "play":
            detail = {"status_detail": said["error"]} if said.get("error") else {}
            return "call.playback.ended", _media(said) | status | detail
    return OURS + "playback_ended", {}


def _media(said: Said) -> dict[str, Any]:
    source = said.get("source", "")
    is_url = source.startswith(("http://", "https://"))
    return {
        "media_url": source if is_url else None,
        "media_name": source if source and not is_url else None,
        "overlay": said.get("overlay", False),
    }


def _recording_saved(said: Said, call: CallInfo) -> Translation:
    urls = {file["format"]: file["url"] for file in said.get("files", ()) if file.get("url")}
    return "call.recording.saved", {
        "channels": said["channels"],
        "recording_id": said["recording_id"],
        "recording_started_at": said["started_at"],
        "recording_ended_at": said["ended_at"],
        "recording_urls": {"wav": None, "mp3": None} | urls,
        "public_recording_urls": {"wav": None, "mp3": None},
    }


def _recording_failed(said: Said, call: CallInfo) -> Translation:
    if said.get("will_retry"):
        return OURS + "recording_failed", {}
    # The one reason of Telnyx's four that is no statement about its own storage; ours is in payload.strep.
    return "call.recording.error", {"recording_id": said.get("recording_id"), "reason": "Internal server error"}


def _transcription(said: Said, call: CallInfo) -> Translation:
    data = {
        "transcript": said.get("text", ""),
        "confidence": said.get("confidence"),
        "is_final": said.get("is_final", True),
        "transcription_track": said.get("track"),
    }
    return "call.transcription", {"transcription_data": data}


def _machine(said: Said, call: CallInfo) -> Translation:
    result = said["result"]
    return "call.machine.detection.ended", {"result": DETECTED.get(result, result)}


def _greeting(said: Said, call: CallInfo) -> Translation:
    return "call.machine.greeting.ended", {"result": said["result"]}


VOCABULARY: dict[str, Callable[[Said, CallInfo], Translation]] = {
    "call_started": _started,
    "call_ended": _ended,
    "dtmf": _dtmf,
    "gather_ended": _gathered,
    "playback_started": _playback_started,
    "playback_ended": _playback_ended,
    "recording_saved": _recording_saved,
    "recording_failed": _recording_failed,
    "transcription": _transcription,
    "machine_detection_ended": _machine,
    "greeting_ended": _greeting,
}
