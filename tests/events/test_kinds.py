"""Events as JSON."""

from __future__ import annotations

from typing import Any

from media.events.kinds import DigitPressed, SpeechEnded, SpeechStarted, TalkedOver, ToneHeard

ABOUT: dict[str, Any] = {"track": "inbound", "position_samples": 8_000}
SAID = {"track": "inbound", "position_ms": 500}


def test_what_is_in_samples_is_told_in_milliseconds() -> None:
    digit = DigitPressed(**ABOUT, digit="5", source="inband", duration_samples=1600, level_dbm0=-9.5, twist_db=0.0)
    told = {"digit": "5", "source": "inband", "duration_ms": 100, "level_dbm0": -9.5, "twist_db": 0.0}
    assert digit.to_json(16_000) == {**SAID, **told}
    assert SpeechStarted(**ABOUT, silence_samples=32_000).to_json(16_000) == {
        **SAID, "silence_ms": 2000,
    }  # fmt: skip
    ended = {**SAID, "duration_ms": 0}
    assert SpeechEnded(**ABOUT, duration_samples=0).to_json(16_000) == ended
    over = {**SAID, "duration_ms": 250}
    assert TalkedOver(**ABOUT, duration_samples=4000).to_json(16_000) == over
    tone = ToneHeard(**ABOUT, kind="cng", frequency_hz=1100.0, duration_samples=8000).to_json(16_000)
    assert tone == {**SAID, "kind": "cng", "frequency_hz": 1100.0, "duration_ms": 500}


def test_what_is_unknown_is_not_told() -> None:
    digit = DigitPressed(digit="#", source="ws")
    assert digit.to_json(16_000) == {"digit": "#", "source": "ws"}
