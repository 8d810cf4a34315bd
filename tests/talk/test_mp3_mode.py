"""MP3 mode against a carrier with a rate limit; a "file" here is its samples, to compare with what was heard."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from media.talk.handle import PlayState
from media.talk.mp3_mode import INTERVAL_NS, LONGEST_NS, MAX_REFUSALS
from strep.clock import NS_PER_MS, NS_PER_SECOND
from tests.talk.model_carrier import (
    PER_PLAY,
    RATE_HZ,
    ArraySource,
    indices_of,
    samples_of,
)
from tests.talk.mp3_world import world


class TestPieces:
    def test_the_first_is_short_and_the_following_grow(self) -> None:
        here = world()
        handle = here.play(0, 30 * RATE_HZ)
        here.run_out()
        seconds = [size / RATE_HZ for size in here.carrier.sizes]
        assert seconds == [2.5, 3.75, 5, 5, 5, 5, 3.75]
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

    @pytest.mark.parametrize(("seconds", "back"), [(4, 4.0), (3, 3.6)])
    def test_a_mark_in_the_middle_ends_a_piece(self, seconds: int, back: float) -> None:
        """The first piece has 2.5 s, and the second may not have less than 1.1."""
        here = world()
        came: list[float] = []
        here.play(0, seconds * RATE_HZ)
        begin_ns = here.clock.now_ns()
        here.playout.mark("middle", lambda ok: came.append((here.clock.now_ns() - begin_ns) / NS_PER_SECOND))
        here.play(1, 20 * RATE_HZ)
        here.run_out()
        assert came == [back]


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


class TestWhatTheCarrierDoesNotHave:
    @pytest.mark.parametrize("verb", ["stop", "pause"])
    def test_falls_silent_without_cutting_what_sounds(self, verb: str) -> None:
        here = world()
        here.play(0, 4 * RATE_HZ)
        second = here.play(1, 2 * RATE_HZ)
        here.run(1)
        assert here.playout.player.position > 4 * RATE_HZ, "it was pulled"
        getattr(second, verb)()
        here.run_out()
        assert here.carrier.clears == 0
        assert np.array_equal(np.trim_zeros(here.carrier.heard), samples_of(0, 0, 4 * RATE_HZ))
        if verb == "pause":
            second.resume()
            here.run_out()
            assert np.array_equal(indices_of(1, here.carrier.heard), np.arange(2 * RATE_HZ) % PER_PLAY)


class TestErrors:
    def test_a_piece_refused_for_the_rate_is_sent_again_and_every_second_is_heard(self) -> None:
        here = world()
        chance = random.Random(1)
        here.carrier.refuse = lambda number: 100005 if chance.random() < 0.5 else None
        handles = [here.play(play, 7 * RATE_HZ + play) for play in range(5)]
        here.run_out()
        expected = np.concatenate([samples_of(play, 0, 7 * RATE_HZ + play) for play in range(5)])
        assert np.array_equal(here.carrier.audible, expected)
        assert all(handle.state is PlayState.FINISHED for handle in handles)
        assert here.playout.snapshot().errors > 3

    @pytest.mark.parametrize("refused", [(0, 2), (1, 3), (2, 6), (6,)])
    def test_one_refusal_costs_no_gap(self, refused: tuple[int, ...]) -> None:
        """The last of the seven pieces is number 6, where none was refused before it."""
        here = world()
        here.carrier.delay_ns = 150 * NS_PER_MS
        here.carrier.refuse = lambda number: 100005 if number in refused else None
        here.play(0, 30 * RATE_HZ)
        here.run_out()
        assert np.array_equal(np.trim_zeros(here.carrier.heard), samples_of(0, 0, 30 * RATE_HZ))

    @pytest.mark.parametrize("code", [100003, 100004])
    def test_audio_that_the_carrier_cannot_take_fails_its_play_and_no_other(self, code: int) -> None:
        here = world()
        here.carrier.refuse = lambda number: code if number == 1 else None
        first, second = here.play(0, 8 * RATE_HZ), here.play(1, 2 * RATE_HZ)
        here.run_out()
        assert (first.state, second.state) == (PlayState.FAILED, PlayState.FINISHED)
        assert f"{code} some words" in str(first.error)
        assert first.position_samples == 2.5 * RATE_HZ
        expected = [samples_of(0, 0, 20_000), samples_of(1, 0, 2 * RATE_HZ)]
        assert np.array_equal(here.carrier.audible, np.concatenate(expected))

    def test_an_unknown_error_is_tried_again_once(self) -> None:
        here = world()
        here.carrier.refuse = lambda number: 100002 if number in (0, 2, 3) else None
        first = here.play(0, 4 * RATE_HZ)
        here.run_out()
        assert first.state is PlayState.FAILED
        assert np.array_equal(here.carrier.audible, samples_of(0, 0, 20_000))

    def test_a_carrier_that_always_refuses_is_given_up(self) -> None:
        here = world()
        here.carrier.refuse = lambda number: 100005
        handle = here.play(0, RATE_HZ)
        here.run_out()
        assert handle.state is PlayState.FAILED
        assert len(here.carrier.sizes) == MAX_REFUSALS + 1

    @pytest.mark.parametrize("samples", [400, 3 * RATE_HZ])
    def test_an_error_that_is_slower_than_the_report_fails_its_play_and_no_other(self, samples: int) -> None:
        """By then some of it counts as heard; what is played next goes on from there."""
        here = world()
        here.carrier.delay_ns = 150 * NS_PER_MS
        here.carrier.refuse = lambda number: 100004 if number == 0 else None
        first, second = here.play(0, samples), here.play(1, 2 * RATE_HZ)
        if samples == 400:  # then both are in the piece
            third = here.play(2, 5 * RATE_HZ)
            here.run_out()
            assert (first.state, second.state, third.state) == (PlayState.FAILED,) * 3
            fourth = here.play(3, RATE_HZ)
            here.run_out()
            assert fourth.state is PlayState.FINISHED
            assert np.array_equal(here.carrier.audible, samples_of(3, 0, RATE_HZ))
        else:
            here.run_out()
            assert (first.state, second.state) == (PlayState.FAILED, PlayState.FINISHED)
            assert np.array_equal(here.carrier.audible, samples_of(1, 0, 2 * RATE_HZ))

    def test_a_clear_between_a_refusal_and_the_next_try_harms_nothing_later(self) -> None:
        here = world()
        here.carrier.delay_ns = 150 * NS_PER_MS
        here.carrier.refuse = lambda number: 100005 if number == 0 else None
        first = here.play(0, 3 * RATE_HZ)
        here.run(0.4)
        here.playout.clear(here.clock.now_ns())
        second = here.play(1, RATE_HZ)
        here.run_out()
        assert (first.state, second.state) == (PlayState.CUT_OFF, PlayState.FINISHED)
        assert np.array_equal(here.carrier.audible, samples_of(1, 0, RATE_HZ))

    def test_marks_behind_a_refused_piece_are_not_believed(self) -> None:
        """The carrier has nothing when it gets them, so it returns them at once."""
        here = world()
        here.carrier.refuse = lambda number: 100005 if number == 0 else None
        came: list[float] = []
        begin_ns = here.clock.now_ns()
        handle = here.play(0, RATE_HZ)
        here.playout.mark("end", lambda ok: came.append((here.clock.now_ns() - begin_ns) / NS_PER_SECOND))
        here.run(0.5)
        assert (handle.state, handle.position_samples, came) == (PlayState.QUEUED, 0, [])
        here.run_out()
        assert came == [INTERVAL_NS / NS_PER_SECOND + 1]

    def test_an_error_that_belongs_to_nothing_is_counted(self) -> None:
        here = world()
        here.playout.take_error(100004, "words", here.clock.now_ns())
        here.play(0, RATE_HZ)
        here.run_out()
        assert np.array_equal(here.carrier.audible, samples_of(0, 0, RATE_HZ))
        assert here.playout.snapshot().errors == 1
