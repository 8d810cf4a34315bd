"""RTP mode against a carrier that plays on a clock: what it heard is what was played."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from media.codecs import Encoding, encoder_for
from media.talk.contract import Pcm, PlaybackError
from media.talk.handle import Playback, PlayState
from media.talk.player import Player
from media.talk.rtp_mode import RtpOptions, RtpPlayout
from media.talk.voice import Voice
from strep.clock import NEVER_NS, NS_PER_MS, NS_PER_SECOND, ManualClock
from tests.talk.model_carrier import RATE_HZ, ArraySource, JsonFrames, ModelCarrier, World, samples_of


def world(options: RtpOptions | None = None, *, bare: bool = False) -> World:
    clock = ManualClock(10 * NS_PER_SECOND)
    encoder = encoder_for(Encoding("L16", RATE_HZ, big_endian=False))
    playout = RtpPlayout(Player(RATE_HZ), JsonFrames(bare=bare), encoder, options)
    return World(playout, ModelCarrier(clock), clock)


class TestPacing:
    def test_what_is_heard_is_what_was_played_without_a_gap(self) -> None:
        here = world()
        handles = [here.play(play, 3000 + play * 777) for play in range(4)]
        here.run_out()
        expected = np.concatenate([samples_of(play, 0, 3000 + play * 777) for play in range(4)])
        assert np.array_equal(np.trim_zeros(here.carrier.heard), expected)
        assert [handle.state for handle in handles] == [PlayState.FINISHED] * 4
        assert [handle.position_samples for handle in handles] == [3000 + play * 777 for play in range(4)]
        assert all(handle.is_measured for handle in handles)

    @pytest.mark.parametrize("message_ms", [20, 40, 60, 200, 1000])
    def test_messages_are_as_long_as_asked_for_and_the_tail_is_padded(self, message_ms: int) -> None:
        """But for the first, which fills the look-ahead."""
        here = world(RtpOptions(message_ms=message_ms))
        here.play(0, 8100)
        here.run_out()
        first = max(160 // message_ms, 1) * message_ms * 8
        whole, rest = divmod(8100 - first, message_ms * 8)
        assert here.carrier.sizes == [first] + [message_ms * 8] * whole + [-(-rest // 160) * 160]
        assert here.playout.snapshot().underruns == 0
        assert np.array_equal(np.trim_zeros(here.carrier.heard), samples_of(0, 0, 8100))

    @pytest.mark.parametrize("lookahead_ms", [40, 100, 200])
    def test_the_carrier_never_holds_more_than_the_lookahead(self, lookahead_ms: int) -> None:
        here = world(RtpOptions(20, lookahead_ms))
        here.play(0, 40_000)
        here.run_out()
        assert here.carrier.most_queued == lookahead_ms * 8

    def test_what_was_missed_goes_out_in_one_message_or_two(self) -> None:
        here = world()
        here.play(0, 80_000)
        here.run(1)
        sent = len(here.carrier.sizes)
        here.clock.advance(119 * NS_PER_MS)
        here.playout.poll(here.clock.now_ns())
        assert sum(here.carrier.sizes[sent:]) == 3 * 320
        assert len(here.carrier.sizes) <= sent + 2
        here.run_out()
        assert here.playout.snapshot().underruns == 0
        assert np.array_equal(np.trim_zeros(here.carrier.heard), samples_of(0, 0, 80_000))

    @pytest.mark.parametrize("stall_ms", [0, 500])
    def test_calls_that_begin_together_are_due_one_after_another(self, stall_ms: int) -> None:
        """And those that a stall has put in step are not in step for long."""
        worlds = [world(RtpOptions(phase=number / 8)) for number in range(8)]
        for here in worlds:
            here.play(0, 80_000)
            here.run(1)
            here.clock.advance(stall_ms * NS_PER_MS)
            here.run(1)
        due_ms = sorted(here.playout.deadline() // NS_PER_MS % 40 for here in worlds)
        assert due_ms == [0, 5, 10, 15, 20, 25, 30, 35]
        assert [here.playout.snapshot().underruns for here in worlds] == [stall_ms > 0] * 8

    def test_a_report_that_falls_just_before_a_message_does_not_make_it_late(self) -> None:
        """Every message has its deadline, whenever else the call is polled."""
        here = world()
        here.play(0, 80_000)
        here.run(0.5)
        for _ in range(200):
            due_ns = here.playout.deadline()
            if due_ns - here.clock.now_ns() > 3 * NS_PER_MS:
                here.playout.poll(due_ns - 3 * NS_PER_MS)
                assert here.playout.deadline() <= due_ns
            here.clock.advance(max(due_ns - here.clock.now_ns(), 0))
            here.deliver()
            here.playout.poll(here.clock.now_ns())
        assert isinstance(here.playout, RtpPlayout)
        assert here.playout.lateness.max_ns == 0

    def test_deadlines_are_absolute_so_a_late_poll_moves_nothing(self) -> None:
        here = world()
        here.play(0, 80_000)
        here.run(1)
        for _ in range(40):  # polls come 0 to 60 ms late: within the look-ahead
            here.clock.advance(60 * NS_PER_MS)
            here.deliver()
            here.playout.poll(here.clock.now_ns())
        here.run_out()
        assert here.playout.snapshot().underruns == 0
        assert np.array_equal(np.trim_zeros(here.carrier.heard), samples_of(0, 0, 80_000))

    def test_a_stall_longer_than_the_lookahead_is_an_underrun_and_loses_nothing(self) -> None:
        here = world()
        here.play(0, 16_000)
        here.run(1)
        here.clock.advance(500 * NS_PER_MS)
        here.run_out()
        assert here.playout.snapshot().underruns == 1
        assert np.array_equal(here.carrier.audible, samples_of(0, 0, 16_000))

    def test_a_source_that_keeps_up_has_no_underrun_and_one_that_pauses_has_one(self) -> None:
        here = world()
        begin_ns = here.clock.now_ns()

        def available() -> int:
            seconds = (here.clock.now_ns() - begin_ns) / NS_PER_SECOND
            return int((seconds if seconds < 1 else max(seconds - 0.7, 1)) * RATE_HZ) + 1600

        here.play(0, 0, source=ArraySource(samples_of(0, 0, 16_013), available=available))
        here.run_out()
        assert here.playout.snapshot().underruns == 1
        assert np.array_equal(here.carrier.audible, samples_of(0, 0, 16_013))

    def test_keep_alive_sends_silence_for_ever_and_is_off_by_default(self) -> None:
        quiet, alive = world(), world(RtpOptions(keep_alive=True))
        for here in (quiet, alive):
            here.play(0, 1600)
            here.run(2)
        assert sum(quiet.carrier.sizes) == 1600
        assert quiet.playout.deadline() == NEVER_NS
        assert sum(alive.carrier.sizes) == 2 * RATE_HZ + 1120  # ahead by 120 ms and a frame of silence
        assert alive.playout.snapshot().underruns == 0

    def test_keep_alive_sends_silence_too_while_a_live_source_has_nothing(self) -> None:
        here = world(RtpOptions(keep_alive=True))
        given = [0]
        handle = here.play(0, 0, source=ArraySource(samples_of(0, 0, 4000), available=lambda: given[0]))
        for samples in (0, 2000, 3001, 4000):
            given[0] = samples
            for _ in range(200):
                here.run(0.005)
                assert here.carrier.queued, "it is dry"
        assert np.array_equal(here.carrier.audible, samples_of(0, 0, 4000))
        assert handle.state is PlayState.FINISHED
        assert isinstance(here.playout, RtpPlayout)
        assert (here.playout.snapshot().underruns, here.playout.lateness.max_ns) == (0, 0)

    def test_a_live_source_that_is_silent_is_asked_ever_more_rarely(self) -> None:
        here, given = world(), [800]
        asked_ns: set[int] = set()

        def available() -> int:
            asked_ns.add(here.clock.now_ns())
            return given[0]

        here.play(0, 0, source=ArraySource(samples_of(0, 0, 4000), available=available))
        here.run(1)
        asked_ns.clear()
        here.run(1)
        assert len(asked_ns) <= 26
        before, given[0] = len(here.carrier.sizes), 4000
        here.run(0.04)
        assert len(here.carrier.sizes) > before, "it is heard so soon"
        here.run_out()
        assert np.array_equal(here.carrier.audible, samples_of(0, 0, 4000))

    def test_a_peer_that_does_not_read_is_sent_nothing_until_it_does(self) -> None:
        here = world()
        here.play(0, 8000)
        here.run(0.2)
        here.carrier.buffered_bytes = 1 << 20
        sent = len(here.carrier.sizes)
        here.run(3)
        assert len(here.carrier.sizes) == sent
        here.carrier.buffered_bytes = 0
        here.run_out()
        assert here.playout.snapshot().stalls == 1
        assert np.array_equal(here.carrier.audible, samples_of(0, 0, 8000))

    @pytest.mark.parametrize(("message_ms", "lookahead_ms"), [(10, 100), (30_020, 100), (20, 220), (20, 20)])
    def test_options_out_of_range_are_refused(self, message_ms: int, lookahead_ms: int) -> None:
        with pytest.raises(ValueError, match="_ms="):
            RtpOptions(message_ms, lookahead_ms)


class TestVolume:
    def test_changes_with_what_is_sent_next(self) -> None:
        here = world()
        handle = here.play(0, 0, source=ArraySource(np.full(16_000, 1000, np.int16)))
        here.run(1.02)
        sent = sum(here.carrier.sizes)
        handle.volume_db = -20
        here.run_out()
        heard = np.trim_zeros(here.carrier.heard)
        ramp = heard[sent : sent + 160]
        assert np.array_equal(heard[:sent], np.full(sent, 1000))
        assert np.all(np.diff(ramp.astype(int)) < 0)
        assert np.array_equal(heard[sent + 160 :], np.full(16_000 - sent - 160, 100))


class TestBargeIn:
    def test_clear_silences_at_once_and_tells_what_was_heard(self) -> None:
        here = world()
        first, second = here.play(0, 8000), here.play(1, 8000)
        here.run(1.3)
        reports = here.playout.clear(here.clock.now_ns())
        here.run_out()
        assert [(report.play, report.heard_samples) for report in reports] == [(second, 2400)]
        assert reports[0].is_measured
        assert (first.state, second.state) == (PlayState.FINISHED, PlayState.CUT_OFF)
        heard = np.concatenate([samples_of(0, 0, 8000), samples_of(1, 0, 2400)])
        assert np.array_equal(here.carrier.audible, heard)

    def test_before_the_first_mark_is_back_it_is_an_estimate(self) -> None:
        here = world()
        here.play(0, 8000)
        here.run(0.25)
        [report] = here.playout.clear(here.clock.now_ns())
        assert (report.heard_samples, report.is_measured) == (2000, False)

    def test_a_dialect_without_clear_and_marks_counts_what_was_sent(self) -> None:
        here = world(bare=True)
        cut = here.play(0, 8000)
        here.run(0.5)
        [report] = here.playout.clear(here.clock.now_ns())
        assert (report.heard_samples, report.is_measured) == (4000 + 1120, False)
        after = here.play(1, 1600)
        here.run_out()
        assert np.array_equal(here.carrier.audible, np.concatenate([samples_of(0, 0, 5120), samples_of(1, 0, 1600)]))
        assert (cut.state, after.state) == (PlayState.CUT_OFF, PlayState.FINISHED)
        assert not after.is_measured


class TestErrors:
    @pytest.mark.parametrize("code", [100003, 100004, 100005])
    def test_a_carrier_that_wants_no_such_audio_fails_the_play_in_its_own_words(self, code: int) -> None:
        here = world()
        here.carrier.refuse = lambda number: code
        handle = here.play(0, 8000)
        here.run_out()
        assert handle.state is PlayState.FAILED
        assert f"{code} some words" in str(handle.error)
        assert "stream_bidirectional_mode=rtp" in str(handle.error)
        assert here.carrier.sizes.count(160) <= 5

    def test_an_unknown_error_is_counted_and_playing_goes_on(self) -> None:
        here = world()
        here.play(0, 8000)
        here.carrier.reply({"event": "error", "code": 100002})
        here.run_out()
        assert np.array_equal(here.carrier.audible, samples_of(0, 0, 8000))
        assert here.playout.snapshot().errors == 1

    def test_a_source_that_breaks_off_fails_when_the_rest_was_heard(self) -> None:
        here = world()
        why = PlaybackError("the file ends in the middle")
        handle = here.play(0, 0, source=ArraySource(samples_of(0, 0, 4000), error=why))
        here.run(0.4)
        assert handle.state is PlayState.PLAYING
        here.run_out()
        assert (handle.state, handle.error, handle.position_samples) == (PlayState.FAILED, why, 4000)


class Kept:
    """A wire that keeps what it gets."""

    is_open, buffered_bytes = True, 0

    def __init__(self) -> None:
        self.pcm: list[Pcm] = []

    def send(self, message: str | bytes) -> None:
        self.pcm.append(np.frombuffer(base64.b64decode(json.loads(message)["media"]["payload"]), "<i2"))


@pytest.mark.parametrize("rate_hz", [8001, 11_025, 22_050, 44_101, 47_999])
def test_a_rate_of_which_20_ms_are_no_whole_samples_is_played_too(rate_hz: int) -> None:
    clock, wire = ManualClock(NS_PER_SECOND), Kept()
    encoding = Encoding("L16", rate_hz, big_endian=False)
    playout = RtpPlayout(Player(rate_hz), JsonFrames(bare=True), encoder_for(encoding))
    handle, said = Playback(rate_hz), np.arange(rate_hz).astype(np.int16)
    playout.attach(wire, clock.now_ns())
    playout.add(Voice(ArraySource(said), handle))
    while (due_ns := playout.deadline()) != NEVER_NS:
        clock.advance(max(due_ns - clock.now_ns(), 0))
        playout.poll(clock.now_ns())
    heard = np.concatenate(wire.pcm)
    assert np.array_equal(heard[: len(said)], said)
    assert not heard[len(said) :].any()
    assert {len(pcm) % encoding.frame_samples for pcm in wire.pcm} == {0}
    assert (handle.state, handle.position_samples) == (PlayState.FINISHED, rate_hz)
