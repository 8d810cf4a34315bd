"""A decoded track: where its frames lie on a tape of any rate, whatever clock the sender counts by."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from media.codecs import Encoding, encoder_for
from media.decoding.order import Packet
from media.decoding.track import DecodedTrack
from media.frame_buffer import FrameBuffer
from strep.frames import FrameBatch
from strep.g711 import Codec

WAIT_NS = 60_000_000
RATES_HZ = (8000, 11025, 16000, 22050, 44100, 48000)


def track(
    encoding: Encoding, rate_hz: int, law: Codec | None = None, **options: Any
) -> tuple[DecodedTrack, FrameBuffer]:
    buffer = FrameBuffer(is_linear=law is None)
    return DecodedTrack(3, encoding, rate_hz, law, buffer, WAIT_NS, **options), buffer


def l16(encoding: Encoding, number: int, timestamp: int, samples: int = 0, ssrc: int = 7) -> Packet:
    payload = bytes(2 * (samples or encoding.frame_samples))
    return Packet(number & 0xFFFF, timestamp & 0xFFFF_FFFF, ssrc, 0, payload, encoding)


def ends(frames: FrameBatch) -> list[int]:
    return list(((frames.timestamp + frames.length) & 0xFFFF_FFFF).tolist())


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("from_hz", RATES_HZ)
class TestRates:
    def test_frames_of_any_rate_follow_one_another(self, from_hz: int, rate_hz: int) -> None:
        encoding = Encoding("L16", from_hz)
        decoded, buffer = track(encoding, rate_hz)
        first, size = 2**32 - 5 * encoding.frame_samples, encoding.frame_samples
        for i in range(200):
            decoded.receive(l16(encoding, i, first + i * size))
        frames = buffer.take()
        assert frames.timestamp.tolist()[1:] == ends(frames)[:-1], "no gap and no overlap, not of one sample"
        assert abs(int(frames.length.sum()) - 200 * size * rate_hz / from_hz) <= 1

    def test_a_pause_is_as_long_as_it_was(self, from_hz: int, rate_hz: int) -> None:
        encoding = Encoding("L16", from_hz)
        decoded, buffer = track(encoding, rate_hz)
        size = encoding.frame_samples
        for i in range(20):
            decoded.receive(l16(encoding, i, i * size + (from_hz * 3 if i >= 10 else 0)))
        frames = buffer.take()
        gap = int(frames.timestamp[10]) - ends(frames)[9]
        assert abs(gap - 3 * rate_hz) <= 1
        assert frames.timestamp.tolist()[11:] == ends(frames)[10:-1]


def test_an_overtaken_frame_has_its_place() -> None:
    encoding = Encoding("L16", 16000)
    decoded, buffer = track(encoding, 16000)
    for number in (0, 2, 1, 3):
        decoded.receive(l16(encoding, number, number * 320))
    assert buffer.take().timestamp.tolist() == [0, 640, 320, 960]


def test_a_sender_that_begins_anew_is_placed_by_its_own_clock() -> None:
    encoding = Encoding("L16", 16000)
    decoded, buffer = track(encoding, 8000)
    decoded.receive(l16(encoding, 0, 3_000_000_000))
    decoded.receive(l16(encoding, 0, 1000, ssrc=8))
    decoded.receive(l16(encoding, 1, 1320, ssrc=8))
    assert buffer.take().timestamp.tolist() == [1_500_000_000, 500, 660]


def test_media_frames_count_samples() -> None:
    encoding = Encoding("G722", 16000)
    encoder = encoder_for(encoding)
    decoded, buffer = track(encoding, 16000, clock_hz=16000)
    for i in range(5):
        decoded.receive(Packet(i, i * 320, 0, 0, encoder.encode(np.zeros(320, np.int16)), encoding))
    decoded.finish()
    assert buffer.take().timestamp.tolist() == [0, 320, 640, 960, 1280]


def test_a_frame_of_more_than_a_second_is_invalid() -> None:
    encoding = Encoding("L16", 16000)
    decoded, buffer = track(encoding, 16000)
    decoded.receive(l16(encoding, 0, 0, 16_000))
    decoded.receive(l16(encoding, 1, 16_000, 16_001))
    frames = buffer.take()
    assert (frames.length.tolist(), frames.is_audio.tolist()) == ([16_000, 0], [True, False])


def test_on_a_tape_of_code_bytes_it_is_that_law() -> None:
    encoding = Encoding("L16", 16000)
    decoded, buffer = track(encoding, 8000, Codec.PCMA)
    decoded.receive(l16(encoding, 0, 0))
    frames = buffer.take()
    assert frames.table.dtype == np.uint8
    assert frames.length.tolist() == [160]
    assert set(frames.table[0].tolist()) == {Codec.PCMA.silence}
