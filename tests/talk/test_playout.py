"""Whatever is asked for, whatever the carrier does: every sample is heard or cut off, in order, and we know which.

The carrier answers at once here, so that nothing is an estimate; `test_a_slow_network_costs_no_more_than_its_delay`
is about one that does not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.talk.contract import PlaybackError
from media.talk.handle import Playback, PlayState
from media.talk.mp3_mode import Mp3Playout
from media.talk.player import Player
from media.talk.playout import Playout
from media.talk.rtp_mode import RtpPlayout
from strep.clock import NEVER_NS, NS_PER_MS, NS_PER_SECOND, ManualClock
from tests.searching import brief
from tests.talk import test_mp3_mode, test_rtp_mode
from tests.talk.model_carrier import (
    PLAYS,
    RATE_HZ,
    ArraySource,
    JsonFrames,
    ModelCarrier,
    World,
    indices_of,
    samples_of,
)

MODES: dict[str, Callable[[], World]] = {"rtp": test_rtp_mode.world, "mp3": test_mp3_mode.world}

_seconds = st.sampled_from([0.005, 0.1, 0.3, 0.75, 1.5, 4.0])
OPERATIONS = st.one_of(
    st.tuples(st.just("play"), st.integers(1, 30_000)),
    st.tuples(st.just("run"), _seconds),
    st.tuples(st.sampled_from(["pause", "resume", "stop"]), st.integers(0, PLAYS - 1)),
    st.tuples(st.sampled_from(["clear", "mark", "reconnect"]), st.just(0)),
)
LOSS = st.tuples(st.just("lose"), st.just(0))
REFUSALS = st.lists(st.sampled_from([None, None, None, 100005]), max_size=12)
FAULTS = st.lists(st.sampled_from([None, None, None, 100002, 100004, 100005]), max_size=12)


class History:
    """Carries out operations on a world and keeps what they say."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.handles: list[Playback] = []
        self.lengths: list[int] = []
        self.marks: list[bool | None] = []
        self.reported: dict[Playback, int] = {}
        self.cut: list[Playback] = []
        self.heard: list[Any] = []

    def do(self, name: str, value: Any) -> None:
        world, now_ns = self.world, self.world.clock.now_ns()
        if name == "play":
            if len(self.handles) < PLAYS:
                self.lengths.append(value)
                self.handles.append(world.play(len(self.handles), value))
        elif name == "run":
            world.run(value)
        elif name == "clear":
            for report in world.playout.clear(now_ns):
                self.reported[report.play] = report.heard_samples
        elif name == "mark":
            self._mark()
        elif name == "reconnect":
            self.reconnect()
        elif name == "lose":  # marks come back no more, or again
            world.carrier.returns_marks = not world.carrier.returns_marks
        elif value < len(self.handles):
            getattr(self.handles[value], name)()
        playout = world.playout
        assert playout.player.position == playout._clock.sent + unsent_samples(playout), (
            "player and clock have parted"
        )

    def _mark(self) -> None:
        number = len(self.marks)
        self.marks.append(None)

        def came(was_played: bool) -> None:
            assert self.marks[number] is None, "a mark came twice"
            self.marks[number] = was_played

        self.world.playout.mark("same name" if number % 2 else f"mark {number}", came)

    def reconnect(self) -> None:
        world, old = self.world, self.world.carrier
        old.play_until(world.clock.now_ns())
        self.heard.append(old.heard)
        new = ModelCarrier(world.clock, refuse=old.refuse, delay_ns=old.delay_ns, min_interval_ns=old.min_interval_ns)
        world.playout.detach(world.clock.now_ns())
        world.carrier = new
        world.playout.attach(new, world.clock.now_ns())

    def finish(self) -> np.ndarray[Any, np.dtype[np.int16]]:
        for handle in self.handles:
            handle.resume()
        self.world.run_out()
        return np.concatenate([*self.heard, self.world.carrier.heard])


def unsent_samples(playout: Playout) -> int:
    """Return what was pulled from the player and is not with the carrier."""
    if isinstance(playout, RtpPlayout):
        return playout._encoded_samples + len(playout._pending)
    assert isinstance(playout, Mp3Playout)
    piece, making = playout._piece, playout._making
    refused = piece.samples if piece is not None and piece.again_ns is not None else 0
    return len(playout._pending) + (making.samples if making is not None else 0) + refused


def check(history: History, heard: np.ndarray[Any, np.dtype[np.int16]]) -> None:
    for play, (handle, length) in enumerate(zip(history.handles, history.lengths, strict=True)):
        indices = indices_of(play, heard)
        assert np.array_equal(indices, np.arange(len(indices)) % 8000), f"play {play} lost, repeated or disordered"
        assert handle.position_samples == len(indices), f"play {play} was heard {len(indices)} of {length}"
        if handle in history.reported:
            assert history.reported[handle] == len(indices)
        if handle.state is PlayState.FINISHED:
            assert len(indices) == length
        else:
            assert handle.state is PlayState.CUT_OFF
            assert len(indices) <= length
    first_sounds = [int(np.flatnonzero(heard == samples_of(play, 0, 1)[0])[0])
                    for play in range(len(history.handles)) if len(indices_of(play, heard))]  # fmt: skip
    assert first_sounds == sorted(first_sounds), "the queue was not kept"
    assert None not in history.marks, "a mark never came"
    assert history.world.playout.snapshot().marks_unknown == 0


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
