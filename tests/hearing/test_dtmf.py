"""Digits: all of them, none twice, and none where there is none; ITU-T Q.23 and Q.24."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.hearing_corpus import Keys, Line, key_line, lossy, music, signals
from benchmarks.hearing_score import Score, score
from media.hearing.ear import Ear
from media.hearing.verdict import DIGITS, HIGH_HZ, LOW_HZ, Digit
from tests.hearing.audio import batches, digits, hear, line, row_batch, silence, tones


def ear(rate_hz: int = 8000) -> Ear:
    return Ear({"dtmf"}, rate_hz)


def judged(keys: Keys, loss: float = 0.0, rate_hz: int = 8000, lines: int = 30, block_ms: int = 20) -> Score:
    random = np.random.default_rng(7)
    made = [key_line(keys, 20, random, loss, rate_hz) for _ in range(lines)]
    return score(hear(ear(rate_hz), made, block_ms), made, rate_hz)


def press(
    digit: str, seconds: float = 0.08, pause: float = 0.08, off: float = 0.0, amplitude: float = 3000
) -> NDArray[np.float64]:
    code = DIGITS.index(digit)
    hz = LOW_HZ[code // 4] * (1 + off), HIGH_HZ[code % 4] * (1 + off)
    return np.concatenate([tones(seconds, *hz, amplitude=amplitude), silence(pause)])


class TestEveryDigit:
    @pytest.mark.parametrize("rate_hz", [8000, 16_000, 24_000, 48_000])
    def test_at_the_worst_that_is_allowed(self, rate_hz: int) -> None:
        """40 ms on and off, 1.5 % off, 8 dB of twist either way, noise 15 dB below."""
        found = judged(Keys(), rate_hz=rate_hz, lines=10)
        assert (found.pressed, found.missed, found.doubled, found.invented) == (200, 0, 0, 0)

    @pytest.mark.parametrize("block_ms", [20, 100, 1000])
    def test_whatever_the_blocks(self, block_ms: int) -> None:
        made = [key_line(Keys(), 12, np.random.default_rng(3)) for _ in range(3)]
        padded = [
            Line(np.append(one.pcm, np.zeros(8000, np.int16)), np.zeros(0, np.bool_), one.presses) for one in made
        ]
        assert sorted(hear(ear(), padded, block_ms)) == sorted(hear(ear(), padded, 20))

    def test_with_packets_lost(self) -> None:
        found = judged(Keys(), loss=0.05, lines=60)
        assert (found.pressed, found.missed, found.doubled, found.invented) == (1200, 0, 0, 0)
        assert found.undecidable < 12, "hardly ever is there nothing left"

    def test_quiet_and_loud(self) -> None:
        for level_db in (-15.0, 10.0):
            found = judged(Keys(level_db=level_db), lines=5)
            assert (found.missed, found.doubled, found.invented) == (0, 0, 0)

    def test_place_and_length(self) -> None:
        [digit] = hear(ear(), [line(silence(0.5), press("7", 0.1))])
        assert isinstance(digit, Digit)
        assert digit.position_samples == pytest.approx(4000, abs=40)
        assert digit.length_samples == pytest.approx(800, abs=60)
        assert digit.level_dbm0 == pytest.approx(-14.5, abs=0.5), "two tones of 3000"
        assert digit.twist_db == pytest.approx(0, abs=0.5)

    def test_a_key_that_is_held_is_one(self) -> None:
        [digit] = hear(ear(), [line(silence(0.1), press("#", 3.0))])
        assert isinstance(digit, Digit)
        assert digit.length_samples == pytest.approx(24_000, abs=60)

    def test_a_key_held_to_the_end_is_one(self) -> None:
        assert digits(hear(ear(), [line(silence(0.1), press("5", 1.0, pause=0), noise=0)])) == "5"


class TestNoDigit:
    @pytest.mark.parametrize("seconds", [0.01, 0.02, 0.023])
    def test_too_short(self, seconds: float) -> None:
        assert hear(ear(), [line(silence(0.1), *[press(digit, seconds) for digit in DIGITS])]) == []

    @pytest.mark.parametrize("off", [-0.035, 0.035])
    def test_too_far_off(self, off: float) -> None:
        assert hear(ear(), [line(silence(0.1), *[press(digit, off=off) for digit in DIGITS])]) == []

    def test_too_much_twist(self) -> None:
        alone = [np.concatenate([tones(0.1, 770, amplitude=4000) + tones(0.1, 1336, amplitude=800), silence(0.1)])]
        assert hear(ear(), [line(silence(0.1), *alone)]) == [], "14 dB"

    def test_one_tone_or_three(self) -> None:
        pieces = [np.concatenate([tones(0.1, *hz), silence(0.1)]) for hz in ((770,), (1336,), (770, 1336, 852))]
        assert hear(ear(), [line(silence(0.1), *pieces)]) == []

    def test_with_its_second_harmonics(self) -> None:
        overtones = tones(0.1, 941, 1336) + tones(0.1, 1882, amplitude=1400)
        assert hear(ear(), [line(silence(0.1), overtones, silence(0.1))]) == []

    def test_too_quiet(self) -> None:
        assert hear(ear(), [line(silence(0.1), press("5", amplitude=100))]) == []

    def test_music_and_the_network_s_tones(self) -> None:
        random = np.random.default_rng(11)
        lines = [lossy(pcm, 0.0, random) for pcm in (*music(60, random), *signals(60, random))]
        assert hear(ear(), lines, 100) == []


class TestOneDigitOrTwo:
    def test_an_interruption_of_10_ms_is_none(self) -> None:
        assert digits(hear(ear(), [line(silence(0.1), press("5", 0.06, 0.01), press("5", 0.06))])) == "5"

    def test_a_pause_of_40_ms_is_one(self) -> None:
        assert digits(hear(ear(), [line(silence(0.1), press("5", 0.06, 0.04), press("5", 0.06))])) == "55"

    @pytest.mark.parametrize("at", range(0, 160, 20))
    @pytest.mark.parametrize("packets", [1, 2, 3])
    def test_what_is_lost_is_no_pause(self, at: int, packets: int) -> None:
        """A tone of 160 ms, from which one to three packets in a row are missing."""
        one = line(silence(0.1), press("8", 0.16), noise=0)
        one.lost[1120 + at : 1120 + at + 160 * packets] = True
        one.pcm[one.lost] = 0
        assert digits(hear(ear(), [one])) == "8"

    def test_silence_that_is_not_lost_is_a_pause(self) -> None:
        one = line(silence(0.1), press("8", 0.16), noise=0)
        one.pcm[1120:1440] = 0
        assert digits(hear(ear(), [one])) == "88"

    def test_a_loss_does_not_join_what_a_pause_parts(self) -> None:
        one = line(silence(0.1), press("8", 0.06, 0.04), press("8", 0.06), noise=0)
        one.lost[1280 + 80 : 1280 + 240] = True
        assert digits(hear(ear(), [one])) == "88"


class TestTracks:
    def test_thousands_at_once_each_with_its_own(self) -> None:
        random = np.random.default_rng(5)
        made = [key_line(Keys(50, 50), 3, random) for _ in range(40)]
        lines = [made[i % 40] for i in range(2000)]
        found = hear(ear(), lines, 100)
        expected = ["".join(press.digit for press in one.presses) for one in made]
        heard: dict[int, str] = {}
        for digit in sorted(found, key=lambda digit: digit.position_samples):
            assert isinstance(digit, Digit)
            heard[digit.key // 2] = heard.get(digit.key // 2, "") + digit.digit
        assert heard == {i: expected[i % 40] for i in range(2000)}

    def test_late_blocks_are_not_heard(self) -> None:
        one, other = ear(), ear()
        for batch in batches([line(silence(0.1), press("4"))]):
            late = row_batch(list(batch.pcm), [0], [int(batch.positions[0])], late=True)
            assert one.receive(late) == []
            assert one.receive(batch) == other.receive(batch)

    def test_a_call_number_that_is_used_again(self) -> None:
        """The old call ends within a tone, the new one begins within another."""
        one = ear()
        tone = tones(0.2, 697, 1209).astype(np.int16)
        for start in (0, 160, 320):
            assert one.receive(row_batch([tone[start : start + 160]], [3], [start])) == []
        assert digits(one.forget(3), 3) == "1"
        assert one.receive(row_batch([tone[480:640]], [3], [480])) == []
        assert one.forget(3) == [], "20 ms of the new call are no digit"

    def test_both_channels_of_a_call(self) -> None:
        one, found = ear(), []
        ticks = zip(batches([line(silence(0.1), press("1"))]), batches([line(silence(0.1), press("2"))]), strict=True)
        for left, right in ticks:
            pcm, start = [left.pcm[0], right.pcm[0]], int(left.positions[0])
            found += one.receive(row_batch(pcm, [0, 0], [start, start], channel=[0, 1]))
        assert sorted((digit.key, digit.digit) for digit in found if isinstance(digit, Digit)) == [(0, "1"), (1, "2")]

    def test_several_blocks_of_a_track_in_one_batch(self) -> None:
        pcm = line(silence(0.1), press("6")).pcm[:2560].reshape(-1, 160)
        batch = row_batch(list(pcm), [0] * len(pcm), [160 * i for i in range(len(pcm))])
        assert digits([*ear().receive(batch), *ear().forget(0)]) == "6"

    @pytest.mark.parametrize("cut", [200, 201, 260, 319, 330])
    def test_blocks_in_part(self, cut: int) -> None:
        """The first block of a track begins anywhere; of a block that comes in two parts, nothing is lost."""
        one, found, pcm = ear(), [], line(press("9", 0.12)).pcm
        for start in range(0, 1920, 160):
            piece = [pcm[start : start + 160]]
            if start <= cut < start + 160:
                found += one.receive(row_batch(piece, [0], [start], first=[0], last=[cut - start]))
                found += one.receive(row_batch(piece, [0], [start], first=[cut - start]))
            else:
                found += one.receive(row_batch(piece, [0], [start], first=[37 if not start else 0]))
        assert digits(found) == "9"

    def test_a_gap_ends_what_was_before(self) -> None:
        one = ear()
        tone = tones(0.2, 697, 1209).astype(np.int16)
        for start in range(0, 480, 160):
            one.receive(row_batch([tone[start : start + 160]], [0], [start]))
        [digit] = one.receive(row_batch([tone[:160]], [0], [80_000]))
        assert isinstance(digit, Digit)
        assert digit.length_samples == pytest.approx(480, abs=60)

    def test_blocks_of_no_whole_frames_are_refused(self) -> None:
        with pytest.raises(ValueError, match="20 ms"):
            ear().receive(row_batch([np.zeros(168, np.int16)], [0], [0]))
