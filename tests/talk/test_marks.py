"""Marks that come late, too early, or never, and that nobody sent."""

from __future__ import annotations

import pytest

from media.talk.handle import PlayState
from strep.clock import NEVER_NS, NS_PER_MS
from tests.talk import test_rtp_mode
from tests.talk.history import MODES, History
from tests.talk.model_carrier import (
    ArraySource,
    indices_of,
    samples_of,
)


def test_marks_that_never_come_do_not_hold_a_play_up_and_are_told_of(caplog: pytest.LogCaptureFixture) -> None:
    world = test_rtp_mode.world()
    world.carrier.returns_marks = False
    handle = world.play(0, 16_000)
    came: list[bool] = []
    world.playout.mark("end", came.append)
    world.run_out()
    assert (handle.state, handle.position_samples, handle.is_measured) == (PlayState.FINISHED, 16_000, False)
    assert came == [True]
    assert world.playout.snapshot().marks_missing == 4
    assert "marks do not come back" in caplog.text


@pytest.mark.parametrize("cut", ["clear", "reconnect"])
def test_marks_that_come_back_late_after_all_harm_nothing_later(cut: str) -> None:
    """By the clock more was heard than the mark then proves; that is not taken back."""
    history = History(test_rtp_mode.world())
    world = history.world
    world.carrier.returns_marks = False
    history.do("play", 80_000)
    world.run(4.2)
    world.carrier.returns_marks, world.carrier.delay_ns = True, 200 * NS_PER_MS
    world.run(0.7)  # the mark behind 4.68 s comes at 4.88
    history.do(cut, 0)
    history.do("play", 4000)
    world.run_out()
    assert history.handles[1].state is PlayState.FINISHED
    assert len(indices_of(1, world.carrier.heard)) == 4000


def test_a_mark_that_is_sent_long_after_its_audio_was_heard_is_not_overdue() -> None:
    world, is_over = test_rtp_mode.world(), False
    world.carrier.delay_ns = 150 * NS_PER_MS

    class Stalled(ArraySource):
        @property
        def has_ended(self) -> bool:
            return is_over

    handle = world.play(0, 0, source=Stalled(samples_of(0, 0, 800)))
    world.run(5)
    is_over = True
    world.run_out()
    assert (handle.state, handle.is_measured) == (PlayState.FINISHED, True)
    assert world.playout.snapshot().marks_missing == 0


class TestMarksThatProveNothing:
    def test_unknown_ones_are_counted(self) -> None:
        world = test_rtp_mode.world()
        handle = world.play(0, 8000)
        for name in ("", "never sent", "strep.", "strep.99", "strep.x", "x" * 10_000):
            world.playout.take_mark(name, world.clock.now_ns())
        assert world.playout.snapshot().marks_unknown == 6
        world.run_out()
        assert handle.state is PlayState.FINISHED

    @pytest.mark.parametrize("mode", MODES)
    def test_ones_that_come_too_early_leave_it_to_the_clock(self, mode: str) -> None:
        world = MODES[mode]()
        handle = world.play(0, 32_000)
        world.run(1)
        for number in range(1, 4):
            world.playout.take_mark(f"strep.{number}", world.clock.now_ns())
        assert handle.position_samples <= 8000 + 320  # two frames early is no offence
        world.run_out()
        assert handle.position_samples == 32_000

    @pytest.mark.parametrize("mode", MODES)
    def test_the_proof_that_what_is_before_a_mark_was_heard_stands_for_one_that_is_lost(self, mode: str) -> None:
        world = MODES[mode]()
        world.carrier.lost = lambda name: not name.startswith("strep.")
        came: list[tuple[bool, int]] = []
        world.play(0, 4000)
        world.playout.mark("lost", lambda ok: came.append((ok, len(world.carrier.audible))))
        world.play(1, 20_000)
        world.run_out()
        assert came == [(True, 4000 if mode == "rtp" else 10_000)]  # where the piece ends
        assert world.playout.snapshot().marks_unknown == 0

    def test_a_lost_mark_behind_nothing_is_given_up(self) -> None:
        world = test_rtp_mode.world()
        world.carrier.returns_marks = False
        came: list[bool] = []
        world.playout.mark("lost", came.append)
        world.run(2.9)
        assert came == []
        world.run(0.3)
        assert (came, world.playout.snapshot().marks_missing) == ([True], 1)
        assert world.playout.deadline() == NEVER_NS

    @pytest.mark.parametrize("is_sent", [True, False])
    def test_one_that_nobody_waits_for_any_more_is_swallowed(self, is_sent: bool) -> None:
        world = test_rtp_mode.world()
        world.carrier.delay_ns = 100 * NS_PER_MS
        came: list[bool] = []
        world.play(0, 4000)
        mark = world.playout.mark("nobody", came.append)
        world.run(0.45 if is_sent else 0.1)
        assert mark.is_sent is is_sent
        world.playout.drop_mark(mark)
        world.run_out()
        assert (came, world.playout.snapshot().marks_unknown) == ([], 0)

    def test_a_user_mark_of_nothing_comes_back_at_once(self) -> None:
        world = test_rtp_mode.world()
        came: list[bool] = []
        world.playout.mark("now", came.append)
        world.run(0.01)
        assert came == [True]

    def test_a_clear_tells_what_became_of_marks(self) -> None:
        world = test_rtp_mode.world()
        came: list[tuple[str, bool]] = []
        world.play(0, 4000)
        world.playout.mark("first", lambda ok: came.append(("first", ok)))
        world.play(1, 4000)
        world.playout.mark("second", lambda ok: came.append(("second", ok)))
        world.run(0.7)
        world.playout.clear(world.clock.now_ns())
        world.run(0.5)
        assert came == [("first", True), ("second", False)]
        assert world.playout.snapshot().marks_unknown == 0
