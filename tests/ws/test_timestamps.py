from __future__ import annotations

from itertools import pairwise

import pytest

from media.ws.timestamps import AGREEMENTS, MAX_SILENCE_SAMPLES, TimestampTrust


def trusted(unit: int) -> TimestampTrust:
    trust = TimestampTrust(8000)
    for _ in range(AGREEMENTS):
        assert trust.learn(160 // unit, 160, 160) == 0
    return trust


class TestTrust:
    @pytest.mark.parametrize(("unit", "name"), [(8, "ms"), (1, "samples")])
    def test_is_earned_by_agreement_in_a_row(self, unit: int, name: str) -> None:
        trust = TimestampTrust(8000)
        for i in range(AGREEMENTS):
            assert trust.unit == "", i
            trust.learn(160 // unit, 160, 160)
        assert trust.unit == name

    def test_one_disagreement_starts_over(self) -> None:
        trust = TimestampTrust(8000)
        for _ in range(AGREEMENTS - 1):
            trust.learn(20, 160, 160)
        trust.learn(21 + 2, 160, 160)
        for _ in range(AGREEMENTS - 1):
            trust.learn(20, 160, 160)
        assert trust.unit == ""

    @pytest.mark.parametrize("elapsed", [0, -20, 100])
    def test_is_not_earned_by_nonsense(self, elapsed: int) -> None:
        trust = TimestampTrust(8000)
        for _ in range(50):
            trust.learn(elapsed, 4 if not elapsed else 160, 160)
        assert trust.scale == 0

    def test_milliseconds_may_be_rounded(self) -> None:
        trust = TimestampTrust(8000)
        starts_ms = [99 * i // 8 for i in range(60)]
        assert {trust.learn(b - a, 99, 99) for a, b in pairwise(starts_ms)} == {0}
        assert (trust.unit, trust.times_lost) == ("ms", 0)

    def test_other_rates_have_other_scales(self) -> None:
        trust = TimestampTrust(16_000)
        for _ in range(AGREEMENTS):
            trust.learn(20, 320, 320)
        assert (trust.scale, trust.unit) == (16, "ms")

    @pytest.mark.parametrize("elapsed", [0, -20, 10, 28, MAX_SILENCE_SAMPLES])
    def test_one_contradiction_loses_it(self, elapsed: int) -> None:
        trust = trusted(8)
        assert trust.learn(elapsed, 160, 160) == 0
        assert (trust.unit, trust.times_lost) == ("", 1)


class TestSilence:
    @pytest.mark.parametrize(("unit", "elapsed"), [(8, 30), (8, 1020), (1, 240), (1, 8160)])
    def test_is_what_a_timestamp_is_ahead(self, unit: int, elapsed: int) -> None:
        trust = trusted(unit)
        assert trust.learn(elapsed, 160, 160) == elapsed * unit - 160
        assert trust.learn(160 // unit, 160, 160) == 0
        assert trust.times_lost == 0
