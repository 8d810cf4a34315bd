"""What was heard or found out, by `media.hearing`, as events."""

from __future__ import annotations

from typing import Any

from media.events.detections import GreetingEnded, GreetingGoesOn, MachineDetectionEnded
from media.events.kinds import DigitPressed, Event, SpeechEnded, SpeechStarted, TalkedOver, ToneHeard
from media.hearing.ear import Heard
from media.hearing.machine import Finding, GreetingEnd, GreetingResumed, Verdict
from media.hearing.rows import CHANNELS
from media.hearing.tones import Tone
from media.hearing.verdict import Digit
from media.hearing.voice import TalkOver, Voice
from strep.header import Direction


def event_of(key: int, report: Heard | Finding) -> Event:
    """Return what was heard in a track as an event.

    Raises:
        ValueError: it is nobody's business: a word.
    """
    about: dict[str, Any] = {
        "track": Direction(key % CHANNELS).name.lower(),
        "position_samples": report.position_samples,
    }
    match report:
        case Digit():
            tones: dict[str, Any] = {"level_dbm0": report.level_dbm0, "twist_db": report.twist_db}
            return DigitPressed(
                **about, digit=report.digit, source="inband", duration_samples=report.length_samples, **tones
            )
        case Voice(speaks=True):
            return SpeechStarted(**about, silence_samples=report.length_samples)
        case Voice():
            return SpeechEnded(**about, duration_samples=report.length_samples)
        case TalkOver():
            return TalkedOver(**about, duration_samples=report.length_samples)
        case Tone():
            sound: dict[str, Any] = {"kind": report.kind, "frequency_hz": report.frequency_hz}
            return ToneHeard(**about, **sound, duration_samples=report.length_samples)
        case Verdict():
            said = report._asdict()
            return MachineDetectionEnded(**said, track=about["track"])
        case GreetingEnd():
            return GreetingEnded(**about, result=report.result, reason=report.reason)
        case GreetingResumed():
            return GreetingGoesOn(**about)
        case _:
            raise ValueError(f"{report!r} is no event")
