"""The soak's referee: what it takes away before it compares, and what the kernel may have dropped."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.soak_verdict import lacks_no_more, without_pauses

SILENCE = 0xFF
SENT = np.arange(1, 1601, dtype=np.uint16).astype(np.uint8) % 200


@pytest.mark.parametrize("kind", ["silence", "restart"])
def test_what_was_put_in_is_taken_away(kind: str) -> None:
    heard = np.concatenate([SENT[:800], np.full(300, SILENCE, np.uint8), SENT[800:]])
    report = {"start_samples": 50, "ledger": [{"kind": kind, "start_samples": 850, "length_samples": 300}]}
    audio, put_in = without_pauses(heard, report, 8000)
    assert put_in == 300
    assert np.array_equal(audio, SENT)


def test_sound_in_such_a_span_is_not_taken_away() -> None:
    report = {"start_samples": 0, "ledger": [{"kind": "silence", "start_samples": 100, "length_samples": 10}]}
    assert without_pauses(SENT, report, 8000)[1] == 0


def test_a_span_longer_than_the_sender_was_late_is_not_taken_away() -> None:
    heard = np.concatenate([SENT[:800], np.full(300, SILENCE, np.uint8), SENT[800:]])
    report = {"start_samples": 0, "ledger": [{"kind": "restart", "start_samples": 800, "length_samples": 300}]}
    assert without_pauses(heard, report, 299)[1] == 0


@pytest.mark.parametrize("at_the_start", [0, 160, 480])
def test_dropped_packets_may_be_missing_anywhere(at_the_start: int) -> None:
    heard = SENT[at_the_start:-160].copy()
    heard[160:320] = SILENCE
    assert lacks_no_more(heard, SENT, 160, at_the_start // 160 + 2)
    assert not lacks_no_more(heard, SENT, 160, at_the_start // 160 + 1)


def test_a_sample_that_is_another_is_no_drop() -> None:
    heard = SENT.copy()
    heard[700] += 1
    assert not lacks_no_more(heard, SENT, 160, 10)
