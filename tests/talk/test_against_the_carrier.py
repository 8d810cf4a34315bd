"""What the simulated carrier heard is what was played, to the sample, in every dialect that can be talked back in."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from media.codecs import Encoding, decoder_for, encoder_for
from media.talk.contract import Pcm
from media.talk.handle import PlayState
from media.talk.mode import PlaybackMode
from strep.clock import NS_PER_MS
from strep.g711 import Codec, decode
from tests.talk.simulated_carrier import SimulatedCall

RTP_DIALECTS = ("telnyx", "twilio", "signalwire")
CODECS = {
    "telnyx": ("PCMU", "PCMA", "G722", "L16", "OPUS"),
    "twilio": ("PCMU",),
    "signalwire": ("PCMU", "PCMA", "L16", "OPUS"),
}
EXACT = [
    (dialect, codec) for dialect in RTP_DIALECTS for codec in CODECS[dialect] if codec in ("PCMU", "PCMA", "L16")
]
WIDE = [(dialect, codec) for dialect in RTP_DIALECTS for codec in CODECS[dialect] if codec in ("G722", "OPUS")]


def rtp(codec: str = "PCMU", **options: Any) -> PlaybackMode:
    return PlaybackMode("rtp", codec, {"OPUS": 16000, "L16": 16000}.get(codec, 8000), **options)


def sound(codec: str, samples: int, seed: int = 0) -> Pcm:
    """Return (n,) int16 without a silent sample that `codec` keeps as they are."""
    random = np.random.default_rng(seed)
    if codec == "L16":
        pcm = random.integers(1, 32767, samples).astype(np.int16) * random.choice([-1, 1], samples).astype(np.int16)
        return pcm
    law = Codec[codec]
    codes = np.arange(256, dtype=np.uint8)
    audible = codes[decode(codes, law) != 0]
    return decode(random.choice(audible, samples), law)


def silence_after(codec: str) -> int:
    """Return what a padded tail sounds like: A-law has no zero, its smallest value is 8."""
    return 8 if codec == "PCMA" else 0


class TestRtpMode:
    @pytest.mark.parametrize(("dialect", "codec"), EXACT)
    def test_heard_is_played_bit_by_bit(self, dialect: str, codec: str) -> None:
        call = SimulatedCall(dialect, rtp(codec))
        parts = [sound(codec, 160 * n + extra, n) for n, extra in ((50, 0), (3, 1), (120, 77), (0, 5))]
        handles = [call.play(part) for part in parts]
        call.run_out()
        whole = np.concatenate(parts)
        heard = np.trim_zeros(call.heard, "f")
        assert np.array_equal(heard[: len(whole)], whole)
        assert set(heard[len(whole) :]) <= {0, silence_after(codec)}
        assert [handle.state for handle in handles] == [PlayState.FINISHED] * 4
        assert [handle.position_samples for handle in handles] == [len(part) for part in parts]
        assert all(handle.is_measured for handle in handles)
        self.check_manners(call)

    @staticmethod
    def check_manners(call: SimulatedCall) -> None:
        """Nothing was refused, nothing ran dry, and nothing was far ahead."""
        assert call.carrier.snapshot()["refused"] == 0
        assert call.carrier.snapshot()["underruns"] == call.playout.snapshot().underruns == 0
        assert call.most_queued <= 0.2 * call.rate_hz

    @pytest.mark.parametrize(("dialect", "codec"), WIDE)
    def test_heard_is_what_was_encoded(self, dialect: str, codec: str) -> None:
        mode = rtp(codec)
        encoding: Encoding = mode.encoding
        call = SimulatedCall(dialect, mode)
        pcm = (9000 * np.sin(np.arange(50 * encoding.frame_samples) * 0.2)).astype(np.int16)
        call.play(pcm)
        call.run_out()
        encoder, decoder = encoder_for(encoding), decoder_for(encoding)
        frames = [encoder.encode(frame) for frame in pcm.reshape(-1, encoding.frame_samples)]
        assert b"".join(call.payloads) == b"".join(frames)
        assert encoding.can_be_joined or call.payloads == frames
        expected = np.concatenate([decoder.decode(frame) for frame in frames])
        began = int(np.flatnonzero(call.heard)[0]) - int(np.flatnonzero(expected)[0])
        assert np.array_equal(call.heard[began : began + len(expected)], expected)
        assert not call.heard[began + len(expected) :].any()
        self.check_manners(call)

    @pytest.mark.parametrize("dialect", RTP_DIALECTS)
    @pytest.mark.parametrize("delay_ms", [0, 30])
    def test_marks_come_when_what_is_before_them_has_been_heard(self, dialect: str, delay_ms: int) -> None:
        call = SimulatedCall(dialect, rtp(), delay_ns=delay_ms * NS_PER_MS)
        came: list[tuple[str, bool, int]] = []

        def mark(name: str) -> None:
            call.playout.mark(name, lambda ok: came.append((name, ok, call.carrier.position(call.clock.now_ns()))))

        mark("before")
        ends = [4000, 8090, 12_251]
        for n, (begin, end) in enumerate(itertools.pairwise([0, *ends])):
            call.play(sound("PCMU", end - begin, n))
            mark(f"after {n}")
        call.run_out()
        began = int(np.flatnonzero(call.heard)[0])
        assert [(name, ok) for name, ok, _ in came] == [
            ("before", True), ("after 0", True), ("after 1", True), ("after 2", True)
        ]  # fmt: skip
        for end, (_, _, position) in zip(ends, came[1:], strict=True):
            late = position - (began + end) - delay_ms * 8
            assert 0 <= late < 160, "within a frame"

    @pytest.mark.parametrize("dialect", RTP_DIALECTS)
    @pytest.mark.parametrize("after_s", [0.02, 0.731, 1.5])
    def test_clear_is_silence_at_once_and_tells_what_was_heard(self, dialect: str, after_s: float) -> None:
        call = SimulatedCall(dialect, rtp())
        first, second = sound("PCMU", 8000, 1), sound("PCMU", 80_000, 2)
        handles = [call.play(first), call.play(second)]
        call.run(after_s)
        reports = call.playout.clear(call.clock.now_ns())
        call.run_out()
        heard = np.trim_zeros(call.heard)
        assert np.array_equal(heard, np.concatenate([first, second])[: len(heard)])
        assert abs(sum(handle.position_samples for handle in handles) - len(heard)) <= 1
        assert [report.heard_samples for report in reports] == [report.play.position_samples for report in reports]
        assert abs(len(heard) - after_s * 8000) <= 1
        call.play(first)
        call.run_out()
        assert np.array_equal(np.trim_zeros(call.heard)[-8000:], first)

    @pytest.mark.parametrize("dialect", RTP_DIALECTS)
    def test_clear_over_a_slow_network_tells_no_more_than_was_heard(self, dialect: str) -> None:
        call = SimulatedCall(dialect, rtp(), delay_ns=40 * NS_PER_MS)
        pcm = sound("PCMU", 40_000)
        call.play(pcm)
        call.run(2.5)
        [report] = call.playout.clear(call.clock.now_ns())
        call.run_out()
        heard = np.trim_zeros(call.heard)
        assert np.array_equal(heard, pcm[: len(heard)])
        assert report.is_measured
        assert 0 <= len(heard) - report.heard_samples <= 3 * 40 * 8, "two ways of the network, and the clear's"

    @pytest.mark.parametrize("dialect", RTP_DIALECTS)
    def test_overlay_is_the_sum(self, dialect: str) -> None:
        call = SimulatedCall(dialect, rtp())
        random = np.random.default_rng(1)
        base, over = (
            8 * random.integers(1, 8, n).astype(np.int16) for n in (16_000, 4000)
        )  # exact, and so is the sum
        call.play(base)
        call.run(0.5)
        call.play(over, is_overlay=True)
        call.run_out()
        heard = np.trim_zeros(call.heard)
        added = heard - base
        at = int(np.flatnonzero(added)[0])
        assert 4000 <= at <= 4000 + 1600, "at most the look-ahead later"
        assert np.array_equal(added[at : at + 4000], over)
        assert np.count_nonzero(added) == 4000

    @pytest.mark.parametrize("dialect", RTP_DIALECTS)
    def test_pause_and_resume_lose_and_repeat_nothing(self, dialect: str) -> None:
        call = SimulatedCall(dialect, rtp())
        pcm = sound("PCMU", 16_000)
        handle = call.play(pcm)
        for _ in range(4):
            call.run(0.3)
            handle.pause()
            at = handle.position_samples
            call.run(0.2)
            assert handle.position_samples == at
            handle.resume()
        call.run_out()
        heard = call.heard
        assert np.array_equal(heard[heard != 0], pcm)
        assert handle.state is PlayState.FINISHED

    @pytest.mark.parametrize("dialect", RTP_DIALECTS)
    def test_loops_join_without_a_gap(self, dialect: str) -> None:
        call = SimulatedCall(dialect, rtp())
        pcm = sound("PCMU", 1111)
        handle = call.play(pcm, loop=7)
        call.run_out()
        assert np.array_equal(np.trim_zeros(call.heard), np.tile(pcm, 7))
        assert handle.position_samples == 7777

    def test_gaps_between_spurts_are_ours(self) -> None:
        call = SimulatedCall("telnyx", rtp())
        parts = [sound("PCMU", 1600, n) for n in range(5)]
        for part in parts:
            call.play(part)
            call.run(1)
        positions = [position for position, _, _ in call.carrier.heard.spurts()]
        assert all(later - earlier == 8000 for earlier, later in itertools.pairwise(positions))
