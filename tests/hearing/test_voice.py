"""Who speaks when: energy above a floor that adapts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from media.carrier.audio import CONVERSATION, load
from media.hearing.ear import Ear
from media.hearing.voice import TalkOver, Voice
from tests.hearing.audio import RATE_HZ, hear, line, row_batch, silence, tones


def ear() -> Ear:
    return Ear({"voice", "dtmf"})


def murmur(seconds: float, amplitude: float = 2000.0, seed: int = 1) -> NDArray[np.float64]:
    """Return something as lively as speech: noise in syllables of 200 ms."""
    n = round(seconds * RATE_HZ)
    shape = 0.6 + 0.4 * np.sin(2 * np.pi * np.arange(n) / RATE_HZ / 0.2)
    return amplitude * shape * np.random.default_rng(seed).normal(0, 1, n)


def spoken(found: Sequence[object], key: int = 0) -> list[tuple[float, float]]:
    """Return (begin, end) of all speech of a track, in seconds."""
    changes = [heard for heard in found if isinstance(heard, Voice) and heard.key == key]
    assert [change.speaks for change in changes] == [True, False] * (len(changes) // 2)
    starts = [change.position_samples / RATE_HZ for change in changes[::2]]
    return list(zip(starts, [change.position_samples / RATE_HZ for change in changes[1::2]], strict=True))


def test_beginning_and_end() -> None:
    found = hear(ear(), [line(silence(1), murmur(1.5), silence(1), murmur(0.5), silence(1))])
    assert spoken(found)[0] == pytest.approx((1, 2.5), abs=0.05)
    assert spoken(found)[1] == pytest.approx((3.5, 4), abs=0.05)
    silences = [heard.length_samples / RATE_HZ for heard in found if isinstance(heard, Voice) and heard.speaks]
    assert silences == pytest.approx([1, 1], abs=0.06)


def test_a_short_pause_is_part_of_a_sentence() -> None:
    [(begin, end)] = spoken(hear(ear(), [line(silence(1), murmur(1), silence(0.2), murmur(1), silence(1))]))
    assert (begin, end) == pytest.approx((1, 3.2), abs=0.05)


def test_noise_that_stays_is_no_voice_and_does_not_hide_one() -> None:
    hiss = np.random.default_rng(2).normal(0, 400, RATE_HZ * 8)
    hiss[4 * RATE_HZ : 5 * RATE_HZ] += murmur(1, 4000)
    [(begin, end)] = spoken(hear(ear(), [line(silence(1), hiss)]))
    assert (begin, end) == pytest.approx((5, 6), abs=0.08)


@pytest.mark.parametrize("hz", [(440,), (350, 440), (1100,), (941, 1336)])
def test_tones_are_no_voices(hz: tuple[float, ...]) -> None:
    assert spoken(hear(ear(), [line(silence(1), tones(2, *hz), silence(1), tones(0.1, *hz), silence(1))])) == []


def test_clicks_are_no_voices() -> None:
    assert spoken(hear(ear(), [line(*[murmur(0.02, 8000), silence(0.5)] * 5)])) == []


def test_two_who_speak_at_once() -> None:
    left, right = line(silence(0.5), murmur(2), silence(2)), line(silence(1.5), murmur(2, seed=2), silence(1))
    one, found = ear(), []
    for start in range(0, len(left.pcm) // 160 * 160, 160):
        pcm = [left.pcm[start : start + 160], right.pcm[start : start + 160]]
        found += one.receive(row_batch(pcm, [0, 0], [start, start], channel=[0, 1]))
    [over] = [heard for heard in found if isinstance(heard, TalkOver)]
    assert over.position_samples == pytest.approx(1.5 * RATE_HZ, abs=300)
    assert over.length_samples == pytest.approx(RATE_HZ, abs=500)


def test_speech_that_goes_on_ends_with_the_call() -> None:
    one = ear()
    audio = line(silence(0.5), murmur(1.5)).pcm[: 2 * RATE_HZ]
    begun = [heard for i in range(100) for heard in one.receive(row_batch([audio[160 * i :][:160]], [4], [160 * i]))]
    assert [heard.speaks for heard in begun if isinstance(heard, Voice)] == [True]
    [ended] = one.forget(4)
    assert isinstance(ended, Voice)
    assert not ended.speaks
    assert ended.position_samples == pytest.approx(2 * RATE_HZ, abs=320)
    assert one.forget(4) == []


def test_a_conversation() -> None:
    """Within 100 ms of where the samples themselves are loud; the pauses within sentences are shorter than 300 ms."""
    talk = load(CONVERSATION)
    for channel in (0, 1):
        found = hear(ear(), [line(talk[channel].astype(float), noise=3)])
        loud = np.abs(talk[channel].astype(float)).reshape(-1, 160).max(axis=1) > 300
        said = np.zeros(len(loud), np.bool_)
        for begin, end in spoken(found):
            said[round(begin * 50) : round(end * 50)] = True
        assert (loud & ~said).sum() <= 0.06 * loud.sum()
        assert (said & ~loud).sum() <= 0.25 * said.sum()


def test_lost_packets_end_nothing() -> None:
    one = line(silence(1), murmur(2), silence(1))
    for start in range(8000, 24_000, 1600):
        one.lost[start : start + 320] = True
    one.pcm[one.lost] = 0
    [(begin, end)] = spoken(hear(ear(), [one]))
    assert end - begin == pytest.approx(2, abs=0.1)


def test_who_is_not_heard_any_more_does_not_talk_over() -> None:
    left, right = line(silence(0.5), murmur(3.5), silence(1)), line(silence(1.5), murmur(2.5, seed=2))
    one, found = ear(), []
    for start in range(0, len(left.pcm) // 160 * 160, 160):
        channels = [0, 1] if start < 2 * RATE_HZ else [0]
        pcm = [said.pcm[start : start + 160] for said in (left, right)][: len(channels)]
        found += one.receive(row_batch(pcm, [0] * len(channels), [start] * len(channels), channel=channels))
    found += one.forget(0)
    [over] = [heard for heard in found if isinstance(heard, TalkOver)]
    assert over.key == 0
    assert over.position_samples == pytest.approx(1.5 * RATE_HZ, abs=300)
    assert over.position_samples + over.length_samples == pytest.approx(2 * RATE_HZ, abs=300)


def test_speech_from_the_first_sample_on_has_no_silence_before_it() -> None:
    """Which may lie within a block."""
    one, pcm, found = ear(), murmur(1).astype(np.int16), []
    for start in range(0, len(pcm), 160):
        found += one.receive(row_batch([pcm[start : start + 160]], [0], [start], first=[0 if start else 60]))
    [begun] = [heard for heard in found if isinstance(heard, Voice)]
    assert (begun.speaks, begun.position_samples, begun.length_samples) == (True, 60, 0)


def test_speech_behind_a_long_loss_begins_there() -> None:
    one = line(silence(1), murmur(0.7), silence(0.5), murmur(0.7), silence(1))
    one.lost[round(1.7 * RATE_HZ) : round(2.2 * RATE_HZ)] = True
    found = hear(ear(), [one])
    assert spoken(found)[0] == pytest.approx((1, 1.7), abs=0.05)
    assert spoken(found)[1] == pytest.approx((2.2, 2.9), abs=0.05)
    silences = [heard.length_samples / RATE_HZ for heard in found if isinstance(heard, Voice) and heard.speaks]
    assert silences == pytest.approx([1, 0.5], abs=0.06)
