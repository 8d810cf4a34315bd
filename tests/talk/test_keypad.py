"""Keys as tones: what is pressed is heard."""

from __future__ import annotations

import numpy as np
import pytest

from media.hearing.ear import Ear
from media.hearing.verdict import DIGITS, Digit
from media.talk.keypad import key_tones
from tests.hearing.audio import digits, hear, line


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 24_000, 48_000])
@pytest.mark.parametrize("ms", [40, 250])
def test_every_key(rate_hz: int, ms: int) -> None:
    pcm = key_tones(DIGITS, ms, ms, rate_hz)
    assert len(pcm) == 16 * 2 * ms * rate_hz // 1000
    assert digits(hear(Ear({"dtmf"}, rate_hz), [line(np.zeros(4800), pcm.astype(float), np.zeros(9600))])) == DIGITS


def test_pauses() -> None:
    found = hear(Ear({"dtmf"}), [line(key_tones("1w2W3", 100, 50, 8000).astype(float))])
    starts = [digit.position_samples for digit in found if isinstance(digit, Digit)]
    assert np.diff(starts) == pytest.approx([8000 * 0.65, 8000 * 1.15], abs=20)


@pytest.mark.parametrize(
    ("keys", "duration_ms", "pause_ms"),
    [
        ("", 100, 100),
        ("1a", 100, 100),
        ("1", 39, 100),
        ("1", 100, 5001),
        ("1" * 129, 100, 100),
        ("1" * 60, 501, 500),
        ("W" * 61, 100, 100),
    ],
)
def test_what_cannot_be(keys: str, duration_ms: int, pause_ms: int) -> None:
    with pytest.raises(ValueError, match=r"digits=|duration_ms="):
        key_tones(keys, duration_ms, pause_ms, 8000)


def test_a_minute_at_most() -> None:
    assert len(key_tones("1" * 59 + "w", 501, 500, 8000)) == 8 * (59 * 1001 + 500)
