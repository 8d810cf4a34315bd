from __future__ import annotations

from itertools import pairwise

import pytest

from media.ws.timestamps import AGREEMENTS, MAX_SILENCE_SAMPLES, TimestampTrust


class Track:
    """Neighbouring chunks, one after the other."""

    def __init__(self, sample_rate_hz: int = 8000) -> None:
        self.trust = TimestampTrust(sample_rate_hz)

    def learn(self, elapsed: int, samples: int = 160, usual_samples: int = 160) -> int:
        return self.trust.learn(elapsed, samples, usual_samples)


def trusted(unit: int) -> Track:
    track = Track()
    for _ in range(AGREEMENTS):
        assert track.learn(160 // unit) == 0
    return track


class TestTrust:
    @pytest.mark.parametrize(("unit", "name"), [(8, "ms"), (1, "samples")])
    def test_is_earned_by_agreement_in_a_row(self, unit: int, name: str) -> None:
        track = Track()
        for i in range(AGREEMENTS):
            assert track.trust.unit == "", i
            track.learn(160 // unit)
        assert track.trust.unit == name

    def test_one_disagreement_starts_over(self) -> None:
        track = Track()
        for _ in range(AGREEMENTS - 1):
            track.learn(20)
        track.learn(21 + 2)
        for _ in range(AGREEMENTS - 1):
            track.learn(20)
        assert track.trust.unit == ""

    @pytest.mark.parametrize("elapsed", [0, -20, 100])
    def test_is_not_earned_by_nonsense(self, elapsed: int) -> None:
        track = Track()
        for _ in range(50):
            track.learn(elapsed, 4 if not elapsed else 160, 160)
        assert track.trust.scale == 0

    def test_milliseconds_may_be_rounded(self) -> None:
        track = Track()
        starts_ms = [99 * i // 8 for i in range(60)]
        assert {track.learn(b - a, 99, 99) for a, b in pairwise(starts_ms)} == {0}
        assert (track.trust.unit, track.trust.times_lost) == ("ms", 0)

    def test_other_rates_have_other_scales(self) -> None:
        track = Track(16_000)
        for _ in range(AGREEMENTS):
            track.learn(20, 320, 320)
        assert (track.trust.scale, track.trust.unit) == (16, "ms")

    @pytest.mark.parametrize("elapsed", [0, -20, 10, 28, MAX_SILENCE_SAMPLES])
    def test_one_contradiction_loses_it(self, elapsed: int) -> None:
        track = trusted(8)
        assert track.learn(elapsed) == 0
        assert (track.trust.unit, track.trust.times_lost) == ("", 1)


class TestSilence:
    @pytest.mark.parametrize(("unit", "elapsed"), [(8, 30), (8, 1020), (1, 240), (1, 8160)])
    def test_is_what_a_timestamp_is_ahead(self, unit: int, elapsed: int) -> None:
        track = trusted(unit)
        assert track.learn(elapsed) == elapsed * unit - 160
        assert track.learn(160 // unit) == 0
        assert track.trust.times_lost == 0

    def test_before_the_trust_is_made_up_for_when_it_is_earned(self) -> None:
        track = Track()
        for elapsed in [20, 20, 1020, *[20] * (AGREEMENTS - 1)]:
            assert track.learn(elapsed) == 0
        assert track.learn(20) == 8000
        assert track.learn(20) == 0

    def test_before_a_contradiction_is_not(self) -> None:
        track = Track()
        for elapsed in [20, 1020, -500, *[20] * (AGREEMENTS + 5)]:
            assert track.learn(elapsed) == 0
        assert track.trust.unit == "ms"

    @pytest.mark.parametrize("unit", [1, 8])
    def test_is_counted_in_the_unit_that_proves_right(self, unit: int) -> None:
        track = Track()
        elapsed = [480 // unit, *[160 // unit] * AGREEMENTS]
        assert [track.learn(step) for step in elapsed] == [0] * AGREEMENTS + [320]

    def test_is_made_up_for_once(self) -> None:
        track = Track()
        for elapsed in [1020, *[20] * AGREEMENTS, 0, *[20] * (AGREEMENTS - 1)]:
            track.learn(elapsed)
        assert track.trust.times_lost == 1
        assert track.learn(20) == 0
