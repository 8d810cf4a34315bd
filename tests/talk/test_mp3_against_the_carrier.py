"""MP3 mode with real MP3s: each message is decoded by itself, the limit is enforced to the nanosecond, errors come.

What is played is a tone that rises from second to second, so that every stretch of it is like no other.
``STREP_FUZZ=long`` (``make soak``) plays for longer, and with more carriers.
"""

from __future__ import annotations

import io
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from media.carrier.options import ErrorShape, PlaybackManners
from media.talk.contract import Pcm
from media.talk.handle import PlayState
from media.talk.mode import PlaybackMode
from strep.clock import NS_PER_MS
from tests.searching import IS_LONG
from tests.talk.simulated_carrier import SimulatedCall

SEEDS = range(40) if IS_LONG else range(8)
RATE_HZ = 8000
GAIN = 0.95
"""LAME's own."""
MINUTE = 60 * RATE_HZ


def mp3(rate_hz: int = RATE_HZ) -> PlaybackMode:
    return PlaybackMode("mp3", rate_hz=rate_hz)


def sine(samples: int, rate_hz: int = RATE_HZ) -> Pcm:
    pcm: Pcm = np.rint(10_000 * np.sin(2 * np.pi * 440 * np.arange(samples) / rate_hz)).astype(np.int16)
    return pcm


def rising(samples: int) -> Pcm:
    """Return (n,) int16: from 300 to 2700 Hz within a minute, and again."""
    hz = 300 + 40 * (np.arange(samples) % MINUTE / RATE_HZ)
    pcm: Pcm = np.rint(10_000 * np.sin(2 * np.pi * np.cumsum(hz) / RATE_HZ)).astype(np.int16)
    return pcm


def difference_db(heard: Pcm, played: Pcm, width: int) -> NDArray[np.float64]:
    """Return (n // width,), in dB of what was played, what is different in each stretch of `width` samples."""
    whole = len(played) - len(played) % width
    expected = GAIN * played[:whole].astype(np.float64)
    stretches = (heard[:whole] - expected).reshape(-1, width)
    level = np.sqrt(np.mean(np.square(expected)))
    decibels: NDArray[np.float64] = 20 * np.log10(np.sqrt(np.mean(np.square(stretches), axis=1)) / level + 1e-9)
    return decibels


def without_gaps(call: SimulatedCall) -> Pcm:
    """Return what was heard without the silence between spurts."""
    heard = call.heard
    parts = [heard[start : start + samples] for start, samples, _ in call.carrier.heard.spurts()]
    return np.concatenate([np.zeros(0, np.int16), *parts])


def decoded_by_pyav(file: bytes) -> int:
    with av.open(io.BytesIO(file), mode="r") as container:
        return sum(frame.samples for frame in container.decode(audio=0))


class TestLength:
    @pytest.mark.parametrize("rate_hz", [8000, 16000, 24000])
    def test_ten_minutes_gain_and_lose_no_sample_in_two_decoders(self, rate_hz: int) -> None:
        seconds = 600 if rate_hz == RATE_HZ or IS_LONG else 60
        call = SimulatedCall("telnyx", mp3(rate_hz))
        samples = seconds * rate_hz + 137
        handle = call.play(sine(samples, rate_hz))
        call.run_out()
        by_libsndfile = [len(soundfile.read(io.BytesIO(file))[0]) for file in call.payloads]
        by_ffmpeg = [decoded_by_pyav(file) for file in call.payloads]
        assert by_libsndfile == by_ffmpeg
        assert sum(by_ffmpeg) == samples == call.carrier.snapshot()["samples"]
        assert [span[1] for span in call.carrier.heard.spurts()] == [samples], "without a gap"
        assert (handle.state, handle.position_samples) == (PlayState.FINISHED, samples)

    @pytest.mark.parametrize("rate_hz", [8000, 16000, 24000])
    def test_a_seam_is_no_worse_than_anywhere_else(self, rate_hz: int) -> None:
        """On a sine: -80 dB both near seams and elsewhere; the worst is the onset, -50 to -57 dB."""
        call = SimulatedCall("telnyx", mp3(rate_hz))
        played = sine(60 * rate_hz, rate_hz)
        call.play(played)
        call.run_out()
        width = rate_hz // 100
        differences = difference_db(without_gaps(call), played, width)
        ends = np.cumsum([decoded_by_pyav(file) for file in call.payloads])[:-1]
        assert len(ends) >= 12
        near = np.unique(np.concatenate([ends // width - 1, ends // width]))
        inner = np.ones(len(differences), bool)
        inner[:10] = inner[-10:] = inner[near] = False
        assert differences[near].max() < differences[inner].max() + 3
        assert power_db(differences[near]) < power_db(differences[inner]) + 1
        assert power_db(differences[near]) < -75


def power_db(decibels: NDArray[np.float64]) -> float:
    return float(10 * np.log10(np.mean(10 ** (decibels / 10))))


class TestRateLimit:
    @pytest.mark.parametrize("jitter_ms", [0, 90])
    def test_a_long_talk_never_provokes_a_refusal(self, jitter_ms: int) -> None:
        """At a limit of exactly a second; one second between two messages may become less on the way."""
        call = SimulatedCall("telnyx", mp3(), jitter_ns=jitter_ms * NS_PER_MS, delay_ns=20 * NS_PER_MS)
        minutes = 30 if IS_LONG else 10
        played = rising(minutes * MINUTE)
        call.play(played[: 5 * MINUTE])
        for start in range(5 * MINUTE, len(played), 2 * RATE_HZ + 1111):  # and in many plays
            call.play(played[start : start + 2 * RATE_HZ + 1111])
        call.run_out()
        assert call.errors == []
        assert call.carrier.snapshot()["refused"] == call.carrier.snapshot()["underruns"] == 0
        assert len(without_gaps(call)) == len(played)
        assert difference_db(without_gaps(call), played, RATE_HZ).max() < -30

    def test_short_plays_that_come_one_by_one_never_do_either(self) -> None:
        call = SimulatedCall("telnyx", mp3(), jitter_ns=90 * NS_PER_MS)
        random = np.random.default_rng(4)
        played = rising(3 * MINUTE)
        at = 0
        while at < len(played):
            samples = int(random.integers(50, 8000))
            call.play(played[at : at + samples])
            at += samples
            call.run(float(random.random()))
        call.run_out()
        assert call.errors == []


def manners(error_rate: float, shape: ErrorShape) -> PlaybackManners:
    return PlaybackManners(error_rate=error_rate, error_shape=shape)


class TestErrors:
    @pytest.mark.parametrize("shape", list(ErrorShape))
    @pytest.mark.parametrize("seed", SEEDS)
    def test_whatever_is_refused_at_random_every_second_is_heard_in_order_and_once(
        self, seed: int, shape: ErrorShape
    ) -> None:
        """Half of them are 100005, half 100002; two of the latter for one piece fail its plays, and they say so."""
        call = SimulatedCall("telnyx", mp3(), manners=manners(0.15, shape), seed=seed)
        played = rising((30 if IS_LONG else 3) * MINUTE)
        parts = np.array_split(played, 9)
        handles = [call.play(part) for part in parts]
        call.run_out()
        assert call.errors
        assert set(call.errors) <= {100002, 100005}
        failed = [handle for handle in handles if handle.state is PlayState.FAILED]
        assert all(handle.state is PlayState.FINISHED for handle in handles if handle not in failed)
        assert all("100002" in str(handle.error) for handle in failed)
        assert bool(failed) <= (call.errors.count(100002) > 1)
        expected = np.concatenate(
            [part[: handle.position_samples] for part, handle in zip(parts, handles, strict=True)]
        )
        heard = without_gaps(call)
        assert len(heard) == len(expected)
        assert difference_db(heard, expected, RATE_HZ).max() < (-20 if failed else -30)

    @pytest.mark.parametrize("shape", [ErrorShape.PRESENT, ErrorShape.OLD])
    def test_a_malformed_frame_fails_the_play_with_the_carriers_words(self, shape: ErrorShape) -> None:
        call = SimulatedCall("telnyx", mp3(), manners=manners(0, shape))
        call.spoil = lambda message: message[:-1] if '"media"' in message else message
        handle = call.play(sine(3 * RATE_HZ))
        call.run_out()
        assert call.errors == [100003]
        assert handle.state is PlayState.FAILED
        assert "100003 malformed_frame" in str(handle.error)
        call.spoil = lambda message: message
        after = call.play(sine(RATE_HZ))
        call.run_out()
        assert after.state is PlayState.FINISHED
        assert len(without_gaps(call)) == RATE_HZ

    @pytest.mark.parametrize("shape", [ErrorShape.PRESENT, ErrorShape.OLD])
    @pytest.mark.parametrize("ours", ["rtp", "mp3"])
    def test_invalid_media_fails_the_play_with_the_carriers_words(self, ours: str, shape: ErrorShape) -> None:
        """RTP mode on a stream that was asked for without it; and a file that was cut off on the way."""
        mode: Any = PlaybackMode(ours)
        call = SimulatedCall("telnyx", mode, manners=manners(0, shape), carrier_mode=mp3())
        if ours == "mp3":
            call.spoil = lambda message: message.replace('"payload":"', '"payload":"AAAA')
        handle = call.play(sine(3 * RATE_HZ))
        call.run_out()
        assert set(call.errors) == {100004}
        assert handle.state is PlayState.FAILED
        assert "100004 invalid_media" in str(handle.error)
        assert (ours == "mp3") or "stream_bidirectional_mode" in str(handle.error)
