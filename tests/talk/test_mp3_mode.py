"""MP3 mode against a carrier with a rate limit; a "file" here is its samples, to compare with what was heard."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from media.talk.contract import Pcm
from media.talk.handle import PlayState
from media.talk.mp3_mode import INTERVAL_NS, LONGEST_NS, MAX_REFUSALS, SHORTEST_SAMPLES, Mp3Playout
from media.talk.player import Player
from strep.clock import NS_PER_SECOND, ManualClock
from tests.talk.model_carrier import RATE_HZ, ArraySource, JsonFrames, ModelCarrier, World, samples_of


class Samples:
    """An encoder whose files are the samples; it sees that what is to follow does follow."""

    def __init__(self) -> None:
        self._expected: Pcm | None = None

    def encode(self, pcm: Pcm, following: Pcm | None = None) -> bytes:
        if self._expected is not None:
            n = min(len(pcm), len(self._expected))
            assert np.array_equal(pcm[:n], self._expected[:n])
        self._expected = following
        assert len(pcm) >= SHORTEST_SAMPLES
        return pcm.astype("<i2").tobytes()

    def reset(self) -> None:
        self._expected = None


def world() -> World:
    clock = ManualClock(10 * NS_PER_SECOND)
    carrier = ModelCarrier(clock, min_interval_ns=NS_PER_SECOND)
    return World(Mp3Playout(Player(RATE_HZ), JsonFrames(), Samples()), carrier, clock)


class TestPieces:
    def test_the_first_is_short_and_the_following_grow(self) -> None:
        here = world()
        handle = here.play(0, 30 * RATE_HZ)
        here.run_out()
        seconds = [size / RATE_HZ for size in here.carrier.sizes]
        assert seconds == [1.25, 2.5, 5, 5, 5, 5, 5, 1.25]
        assert np.array_equal(np.trim_zeros(here.carrier.heard), samples_of(0, 0, 30 * RATE_HZ))
        assert (handle.state, handle.position_samples, handle.is_measured) == (PlayState.FINISHED, 30 * RATE_HZ, True)
        assert here.playout.snapshot().underruns == 0

    def test_never_more_than_one_a_second_nor_more_than_seven_seconds_ahead(self) -> None:
        here = world()
        for play, samples in enumerate((300, 8000, 100, 40_000, 2000)):
            here.play(play, samples)
            here.run(0.3)
        here.run_out()
        gaps = [later - earlier for earlier, later in itertools.pairwise(here.carrier.sent_ns)]
        assert min(gaps) >= INTERVAL_NS
        assert here.carrier.most_queued <= 7 * RATE_HZ
        assert max(here.carrier.sizes) <= LONGEST_NS * RATE_HZ // NS_PER_SECOND
        assert here.playout.snapshot().errors == 0

    def test_several_plays_share_pieces_without_a_gap(self) -> None:
        here = world()
        for play in range(6):
            here.play(play, 1700)
        here.run_out()
        assert np.array_equal(
            np.trim_zeros(here.carrier.heard), np.concatenate([samples_of(play, 0, 1700) for play in range(6)])
        )

    @pytest.mark.parametrize("speed", [1.0, 1.05, 4.0])
    def test_a_source_that_is_still_talking_is_heard_without_a_gap(self, speed: float) -> None:
        here = world()
        begin_ns = here.clock.now_ns()

        def available() -> int:
            return int((here.clock.now_ns() - begin_ns) / NS_PER_SECOND * speed * RATE_HZ)

        here.play(0, 0, source=ArraySource(samples_of(0, 0, 20 * RATE_HZ), available=available))
        here.run_out()
        assert np.array_equal(np.trim_zeros(here.carrier.heard), samples_of(0, 0, 20 * RATE_HZ))
        assert here.playout.snapshot().underruns == 0
        first_ns = int(np.flatnonzero(here.carrier.heard)[0]) * NS_PER_SECOND // RATE_HZ
        assert first_ns <= 1.3 * NS_PER_SECOND

    def test_a_word_and_then_nothing_is_heard_after_a_second(self) -> None:
        here = world()
        here.play(0, 0, source=ArraySource(samples_of(0, 0, 8000), available=lambda: 2400))
        here.run(2)
        assert np.array_equal(here.carrier.audible, samples_of(0, 0, 2400))

    def test_a_mark_in_the_middle_ends_a_piece(self) -> None:
        here = world()
        came: list[float] = []
        here.play(0, 3 * RATE_HZ)
        begin_ns = here.clock.now_ns()
        here.playout.mark("middle", lambda ok: came.append((here.clock.now_ns() - begin_ns) / NS_PER_SECOND))
        here.play(1, 20 * RATE_HZ)
        here.run_out()
        assert came == [3.0]


class TestClear:
    def test_tells_what_was_heard(self) -> None:
        here = world()
        here.play(0, 10 * RATE_HZ)
        here.run(4)
        [report] = here.playout.clear(here.clock.now_ns())
        assert (report.heard_samples, report.is_measured) == (4 * RATE_HZ, True)
        here.play(1, RATE_HZ)
        here.run_out()
        expected = [samples_of(0, 0, 4 * RATE_HZ), samples_of(1, 0, RATE_HZ)]
        assert np.array_equal(here.carrier.audible, np.concatenate(expected))


class TestErrors:
    def test_a_piece_refused_for_the_rate_is_sent_again_and_every_second_is_heard(self) -> None:
        here = world()
        chance = random.Random(5)
        here.carrier.refuse = lambda number: 100005 if chance.random() < 0.5 else None
        handles = [here.play(play, 7 * RATE_HZ + play) for play in range(5)]
        here.run_out()
        expected = np.concatenate([samples_of(play, 0, 7 * RATE_HZ + play) for play in range(5)])
        assert np.array_equal(here.carrier.audible, expected)
        assert all(handle.state is PlayState.FINISHED for handle in handles)
        assert here.playout.snapshot().errors > 3

    def test_one_refusal_costs_no_gap(self) -> None:
        here = world()
        here.carrier.refuse = lambda number: 100005 if number in (3, 6) else None
        here.play(0, 30 * RATE_HZ)
        here.run_out()
        assert np.array_equal(np.trim_zeros(here.carrier.heard), samples_of(0, 0, 30 * RATE_HZ))

    @pytest.mark.parametrize("code", [100003, 100004])
    def test_audio_that_the_carrier_cannot_take_fails_its_play_and_no_other(self, code: int) -> None:
        here = world()
        here.carrier.refuse = lambda number: code if number == 1 else None
        first, second = here.play(0, 5 * RATE_HZ), here.play(1, 2 * RATE_HZ)
        here.run_out()
        assert (first.state, second.state) == (PlayState.FAILED, PlayState.FINISHED)
        assert f"{code} some words" in str(first.error)
        assert first.position_samples == 1.25 * RATE_HZ
        expected = [samples_of(0, 0, 10_000), samples_of(1, 0, 2 * RATE_HZ)]
        assert np.array_equal(here.carrier.audible, np.concatenate(expected))

    def test_an_unknown_error_is_tried_again_once(self) -> None:
        here = world()
        here.carrier.refuse = lambda number: 100002 if number in (0, 2, 3) else None
        first = here.play(0, 4 * RATE_HZ)
        here.run_out()
        assert first.state is PlayState.FAILED
        assert np.array_equal(here.carrier.audible, samples_of(0, 0, 10_000))

    def test_a_carrier_that_always_refuses_is_given_up(self) -> None:
        here = world()
        here.carrier.refuse = lambda number: 100005
        handle = here.play(0, RATE_HZ)
        here.run_out()
        assert handle.state is PlayState.FAILED
        assert len(here.carrier.sizes) == MAX_REFUSALS + 1

    def test_marks_behind_a_refused_piece_are_not_believed(self) -> None:
        """The carrier has nothing when it gets them, so it returns them at once."""
        here = world()
        here.carrier.refuse = lambda number: 100005 if number == 0 else None
        came: list[float] = []
        begin_ns = here.clock.now_ns()
        handle = here.play(0, RATE_HZ)
        here.playout.mark("end", lambda ok: came.append((here.clock.now_ns() - begin_ns) / NS_PER_SECOND))
        here.run(0.5)
        assert (handle.state, handle.position_samples, came) == (PlayState.PLAYING, 0, [])
        here.run_out()
        assert came == [INTERVAL_NS / NS_PER_SECOND + 1]

    def test_an_error_that_belongs_to_nothing_is_counted(self) -> None:
        here = world()
        here.playout.take_error(100004, "words", here.clock.now_ns())
        here.play(0, RATE_HZ)
        here.run_out()
        assert np.array_equal(here.carrier.audible, samples_of(0, 0, RATE_HZ))
        assert here.playout.snapshot().errors == 1
