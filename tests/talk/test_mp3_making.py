"""Pieces that are made in the background, while the carrier plays what it has."""

from __future__ import annotations

import random

import numpy as np
import pytest

from media.talk.handle import Playback, PlayState
from media.talk.playout import POLL_NS
from strep.clock import NS_PER_MS, NS_PER_SECOND
from tests.talk.model_carrier import (
    PER_PLAY,
    PLAYS,
    RATE_HZ,
    STEP_NS,
    ArraySource,
    indices_of,
    samples_of,
)
from tests.talk.mp3_world import clear_of, maker, reconnect_of, world


class TestMaking:
    """A piece that takes a while to be made."""

    @pytest.mark.parametrize("made_in_ms", [30, 400])
    def test_nothing_waits_for_it_but_the_first(self, made_in_ms: int) -> None:
        here = world(lambda: made_in_ms * NS_PER_MS)
        handle = here.play(0, 30 * RATE_HZ)
        here.run_out()
        assert np.array_equal(np.trim_zeros(here.carrier.heard), samples_of(0, 0, 30 * RATE_HZ))
        assert (handle.state, here.playout.snapshot().underruns) == (PlayState.FINISHED, 0)
        first_ms = int(np.flatnonzero(here.carrier.heard)[0]) * 1000 // RATE_HZ
        assert made_in_ms <= first_ms <= made_in_ms + 2 * POLL_NS // NS_PER_MS

    def test_it_is_due_when_the_carrier_runs_dry_and_at_once_where_it_is(self) -> None:
        here = world()
        here.play(0, 12 * RATE_HZ)
        here.run_out()
        here.play(1, 8 * RATE_HZ)
        here.run(3)
        here.playout.clear(here.clock.now_ns())
        here.play(2, RATE_HZ)
        here.run_out()
        assert maker(here).due_in_s == pytest.approx([0.5, 2, 2, 1.3, 0.5, 2, 0.5], abs=0.03)

    def test_after_a_clear_what_was_being_made_is_not_heard(self) -> None:
        here = world(lambda: 500 * NS_PER_MS)
        here.play(0, 10 * RATE_HZ)
        here.run(0.3)
        [report] = here.playout.clear(here.clock.now_ns())
        assert report.heard_samples == 0
        assert maker(here).files[0].cancelled()
        here.play(1, RATE_HZ)
        here.run_out()
        assert np.array_equal(here.carrier.audible, samples_of(1, 0, RATE_HZ))

    def test_an_overlay_lies_over_what_is_being_made(self) -> None:
        here = world(lambda: 500 * NS_PER_MS)
        here.play(0, 4 * RATE_HZ)
        here.run(0.3)
        over = here.play(0, 0, source=ArraySource(np.full(RATE_HZ, 1, np.int16)), is_overlay=True)
        here.run_out()
        base = samples_of(0, 0, 4 * RATE_HZ)
        base[:RATE_HZ] += 1
        assert np.array_equal(np.trim_zeros(here.carrier.heard), base)
        assert (over.state, over.position_samples) == (PlayState.FINISHED, RATE_HZ)

    def test_a_change_of_volume_that_is_taken_back_in_time_is_not_heard(self) -> None:
        here = world(lambda: 500 * NS_PER_MS)
        handle = here.play(0, 0, source=ArraySource(np.full(2 * RATE_HZ, 1000, np.int16)))
        for volume_db in (0, -20, 0):
            here.run(0.1)
            handle.volume_db = volume_db
        here.run_out()
        assert np.array_equal(here.carrier.audible, np.full(2 * RATE_HZ, 1000))

    def test_a_change_of_volume_is_smooth_though_it_is_made_twice(self) -> None:
        here = world(lambda: 500 * NS_PER_MS)
        handle = here.play(0, 0, source=ArraySource(np.full(2 * RATE_HZ, 1000, np.int16)))
        here.run(0.1)
        handle.volume_db = -20
        here.run(0.1)
        here.play(1, 0, source=ArraySource(np.full(80, 1, np.int16)), is_overlay=True)
        here.run_out()
        assert here.carrier.audible[0] > 990
        assert here.carrier.audible[-1] == 100

    def test_a_refusal_meanwhile_keeps_the_order(self) -> None:
        here = world(lambda: 200 * NS_PER_MS)
        here.carrier.delay_ns = 400 * NS_PER_MS
        here.carrier.refuse = lambda number: 100005 if number in (0, 3) else None
        here.play(0, 30 * RATE_HZ)
        here.run_out()
        assert np.array_equal(here.carrier.audible, samples_of(0, 0, 30 * RATE_HZ))

    def test_what_cannot_be_made_fails_its_play_and_no_other(self) -> None:
        here = world()
        maker(here).failures = [None, MemoryError("no room")]
        first, second = here.play(0, 8 * RATE_HZ), here.play(1, 2 * RATE_HZ)
        here.run_out()
        assert (first.state, second.state) == (PlayState.FAILED, PlayState.FINISHED)
        assert "no MP3 can be made of it: MemoryError" in str(first.error)
        assert np.array_equal(
            here.carrier.audible, np.concatenate([samples_of(0, 0, 20_000), samples_of(1, 0, 2 * RATE_HZ)])
        )

    @pytest.mark.parametrize("seed", range(20))
    def test_whatever_happens_meanwhile_what_is_reported_was_heard(self, seed: int) -> None:
        """Plays, pauses, stops, clears, broken sockets and refusals; every play is heard from its beginning, once."""
        chance = random.Random(seed)
        here = world(lambda: chance.randrange(1500) * NS_PER_MS)
        here.carrier.refuse = lambda number: 100005 if chance.random() < 0.2 else None
        handles: list[Playback] = []
        for play in range(PLAYS):
            handles.append(here.play(play, chance.randrange(40, PER_PLAY)))
            for _ in range(chance.randrange(4)):
                here.run(chance.random() * 2)
                some = chance.choice(handles)
                chance.choice([some.pause, some.resume, some.resume, some.stop, clear_of(here), reconnect_of(here)])()
        for handle in handles:
            handle.resume()
        here.run_out()
        for play, handle in enumerate(handles):
            heard = indices_of(play, here.carrier.heard)
            assert np.array_equal(heard, np.arange(len(heard)))
            assert handle.state.is_final
            assert abs(handle.position_samples - len(heard)) <= (STEP_NS * RATE_HZ // NS_PER_SECOND)
