"""Whatever is asked for, whatever the carrier does: every sample is heard or cut off, in order, and we know which.

The carrier answers at once here, so that nothing is an estimate; `test_a_slow_network_costs_no_more_than_its_delay`
is about one that does not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.talk.contract import PlaybackError
from media.talk.handle import PlayState
from media.talk.player import Player
from media.talk.rtp_mode import RtpPlayout
from strep.clock import NEVER_NS, NS_PER_MS, NS_PER_SECOND, ManualClock
from tests.searching import brief
from tests.talk import test_rtp_mode
from tests.talk.history import FAULTS, LOSS, MODES, OPERATIONS, REFUSALS, History, check
from tests.talk.model_carrier import (
    RATE_HZ,
    ArraySource,
    JsonFrames,
    ModelCarrier,
    World,
    indices_of,
    samples_of,
)


@pytest.mark.parametrize("mode", MODES)
@brief(60)
@given(operations=st.lists(OPERATIONS, max_size=25), refusals=REFUSALS)
def test_every_sample_is_heard_or_cut_off_and_we_know_which(
    mode: str, operations: list[tuple[str, Any]], refusals: list[int | None]
) -> None:
    world = MODES[mode]()
    if mode == "mp3":
        world.carrier.refuse = lambda number: refusals[number] if number < len(refusals) else None
    history = History(world)
    for name, value in operations:
        history.do(name, value)
    check(history, history.finish())


@pytest.mark.parametrize("mode", MODES)
@brief(60)
@given(operations=st.lists(OPERATIONS | LOSS, max_size=25), refusals=FAULTS, delay_ms=st.sampled_from([20, 150]))
def test_late_and_lost_marks_hang_nothing_and_lose_nothing_but_what_is_refused(
    mode: str, operations: list[tuple[str, Any]], refusals: list[int | None], delay_ms: int
) -> None:
    """What is said to be heard may be too little, by the delay or by a lost mark, and is played again then."""
    world = MODES[mode]()
    world.carrier.delay_ns = delay_ms * NS_PER_MS
    if mode == "mp3":
        world.carrier.refuse = lambda number: refusals[number] if number < len(refusals) else None
    history = History(world)
    for name, value in operations:
        history.do(name, value)
    heard = history.finish()
    assert None not in history.marks, "a mark never came"
    for play, (handle, length) in enumerate(zip(history.handles, history.lengths, strict=True)):
        assert handle.state.is_final
        if mode == "mp3" and any(refusals):
            continue
        assert handle.state is not PlayState.FAILED
        indices = indices_of(play, heard)
        assert handle.state is PlayState.CUT_OFF or len(indices) >= length
        if ("lose", 0) not in operations:
            again = -np.diff(indices, prepend=-1) % 8000  # 7999: the next sample
            assert np.all((again == 7999) | (again <= delay_ms * 8 + 40)), f"play {play} lost something"


@pytest.mark.parametrize("mode", MODES)
def test_a_play_is_playing_when_it_sounds_and_not_when_it_is_sent(mode: str) -> None:
    world = MODES[mode]()
    first, second = world.play(0, 8000), world.play(1, 8000)
    for _ in range(60):
        world.run(0.035)
        if not len(indices_of(1, world.carrier.heard)):
            assert second.state is PlayState.QUEUED
        elif second.position_samples < 8000:
            assert second.state is (PlayState.PLAYING if second.position_samples else PlayState.QUEUED)
    assert (first.state, second.state) == (PlayState.FINISHED, PlayState.FINISHED)


@pytest.mark.parametrize("mode", MODES)
def test_playing_goes_on_on_the_next_socket(mode: str) -> None:
    history = History(MODES[mode]())
    history.do("play", 40_000)
    for _ in range(4):
        history.do("run", 1.105)
        history.do("reconnect", 0)
    check(history, history.finish())
    assert history.handles[0].state is PlayState.FINISHED


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("returns_marks", [True, False])
def test_a_slow_network_costs_no_more_than_its_delay(mode: str, returns_marks: bool) -> None:
    """Marks that come late, or never: what is said to be heard at a clear is off by no more than their way."""
    world = MODES[mode]()
    world.carrier.delay_ns = 80 * NS_PER_MS
    world.carrier.returns_marks = returns_marks
    world.play(0, 80_000)
    world.run(6.2)
    [report] = world.playout.clear(world.clock.now_ns())
    world.run(0.2)
    really = len(world.carrier.audible)
    assert really - 80 * 8 <= report.heard_samples <= really
    assert report.is_measured is returns_marks


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("delay_ms", [0, 80])
@pytest.mark.parametrize("samples", [3000, 3001, 3199, 3200, 11_111])
def test_a_play_is_finished_when_it_was_heard_out_and_not_before(mode: str, delay_ms: int, samples: int) -> None:
    """So that whoever hangs up then cuts nothing off; it makes no difference where in a message it ends."""
    world = MODES[mode]()
    world.carrier.delay_ns = delay_ms * NS_PER_MS
    handle = world.play(0, samples)
    for _ in range(2000):
        world.run(0.005)
        if handle.state.is_final:
            break
    assert (handle.state, handle.position_samples, handle.is_measured) == (PlayState.FINISHED, samples, True)
    late_ms = (world.clock.now_ns() - 10 * NS_PER_SECOND) / NS_PER_MS - samples / 8
    assert delay_ms <= late_ms <= delay_ms + 25, "a frame of padding, and a step of the clock"
    assert len(world.carrier.audible) == samples


def test_an_overlay_is_finished_when_it_was_heard_out() -> None:
    world = test_rtp_mode.world()
    world.play(0, 80_000)
    world.run(1)
    handle = world.play(1, 0, source=ArraySource(np.full(3003, 1, np.int16)), is_overlay=True)
    world.run(0.3)
    assert not handle.state.is_final
    world.run(0.3)
    assert (handle.state, handle.position_samples, handle.is_measured) == (PlayState.FINISHED, 3003, True)


def test_a_clear_is_sent_whenever_the_carrier_may_have_something_left() -> None:
    """By the clock it has played everything, and it is only the clock that says so: the network may be slow."""
    world = test_rtp_mode.world()
    world.play(0, 80_000)
    world.run(0.3)
    world.clock.advance(NS_PER_SECOND)  # a stall: by now the carrier has run dry
    clears = world.carrier.clears
    world.playout.clear(world.clock.now_ns())
    assert world.carrier.clears == clears + 1
    world.playout.clear(world.clock.now_ns())
    assert world.carrier.clears == clears + 1, "it has nothing, and that is certain"


class TestPause:
    @pytest.mark.parametrize("mode", MODES)
    def test_falls_silent_at_once_and_goes_on_with_the_next_sample(self, mode: str) -> None:
        world = MODES[mode]()
        handle = world.play(0, 40_000)
        world.run(2.5)
        handle.pause()
        assert handle.state.value == "paused"
        world.run(3)
        assert len(world.carrier.audible) == 20_000
        assert world.playout.deadline() == NEVER_NS
        handle.resume()
        assert handle.state.value == "playing"
        world.run_out()
        assert np.array_equal(world.carrier.audible, samples_of(0, 0, 40_000))

    def test_leaves_nothing_to_lay_a_play_over(self) -> None:
        world = test_rtp_mode.world()
        first, second = world.play(0, 8000), world.play(1, 8000)
        world.playout.mark("between", lambda ok: None)
        third = world.play(2, 8000)
        world.run(0.5)
        first.pause()
        with pytest.raises(PlaybackError, match="none is playing"):
            world.play(3, 8000, is_overlay=True)
        first.stop()
        second.stop()
        world.play(3, 8000, is_overlay=True)
        third.pause()
        with pytest.raises(PlaybackError, match="none is playing"):
            world.play(4, 8000, is_overlay=True)

    def test_of_an_overlay_leaves_the_queue_sounding(self) -> None:
        world = test_rtp_mode.world()
        quiet = ArraySource(np.full(16_000, 1000, np.int16))
        world.play(0, 0, source=ArraySource(np.full(16_000, 20, np.int16)))
        overlay = world.play(1, 0, source=quiet, is_overlay=True)
        world.run(0.5)
        overlay.pause()
        world.run(0.5)
        overlay.resume()
        world.run_out()
        heard = np.trim_zeros(world.carrier.heard)
        assert np.array_equal(heard[:4000], np.full(4000, 1020))
        assert np.array_equal(heard[4000:8000], np.full(4000, 20))
        # What was sent ahead stays as it is: 140 ms.
        assert np.array_equal(heard[8000:], np.array([20] * 1120 + [1020] * 6880 + [1000] * 5120))


def test_a_call_that_ends_settles_everything() -> None:
    world = test_rtp_mode.world()
    came: list[bool] = []
    handles = [world.play(0, 8000), world.play(1, 8000)]
    world.playout.mark("end", came.append)
    world.run(0.5)
    reports = world.playout.close(world.clock.now_ns())
    assert [report.heard_samples for report in reports] == [4000, 0]
    assert [handle.state for handle in handles] == [PlayState.CUT_OFF] * 2
    assert came == [False]
    assert world.playout.deadline() == NEVER_NS


def test_without_a_socket_plays_wait() -> None:
    from media.codecs import Encoding, encoder_for

    clock = ManualClock(NS_PER_SECOND)
    encoder = encoder_for(Encoding("L16", RATE_HZ, big_endian=False))
    playout = RtpPlayout(Player(RATE_HZ), JsonFrames(), encoder)
    assert playout.deadline() == NEVER_NS
    world = World(playout, ModelCarrier(clock), clock)
    playout.detach(clock.now_ns())
    handle = world.play(0, 800)
    world.run(5)
    assert handle.state is PlayState.QUEUED
    playout.attach(world.carrier, clock.now_ns())
    world.run_out()
    assert np.array_equal(world.carrier.audible, samples_of(0, 0, 800))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("late_ms", [1505, 1520, 1545, 1580])
def test_a_source_that_ends_when_all_of_it_was_heard_long_ago(mode: str, late_ms: int) -> None:
    """It had stalled, and then it fails: nothing is left to be heard, and the play is over all the same."""
    world, is_over = MODES[mode](), False

    class Stalled(ArraySource):
        @property
        def has_ended(self) -> bool:
            return is_over

    handle = world.play(0, 0, source=Stalled(samples_of(0, 0, 800), error=PlaybackError("stalled")))
    world.run(late_ms / 1000)
    assert not handle.state.is_final
    is_over = True
    world.run(0.5)
    assert (handle.state, handle.position_samples) == (PlayState.FAILED, 800)
    assert world.playout.deadline() == NEVER_NS
