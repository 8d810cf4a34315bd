"""Encoders and decoders against the programs that everybody else has."""

from __future__ import annotations

import audioop
import subprocess
import sys
from shutil import which
from typing import Any

import numpy as np
import pytest

from media.codecs import Encoding, decoder_for, encoder_for
from media.codecs.opus import CONCEALED_MS
from media.codecs.pyav import context
from media.talk.contract import Pcm
from strep.errors import ConfigurationError, UsageError
from tests.codecs.speech import likeness, speech
from tests.patience import PATIENCE_S

ALL = [
    Encoding("PCMU"),
    Encoding("PCMA"),
    Encoding("G722", 16000),
    Encoding("L16", 8000),
    Encoding("L16", 16000, big_endian=False),
    Encoding("L16", 44100),
    *(Encoding("OPUS", rate_hz) for rate_hz in (8000, 16000, 24000, 48000)),
]
needs_ffmpeg = pytest.mark.skipif(which("ffmpeg") is None, reason="no ffmpeg here")


def shown(encoding: Encoding) -> str:
    return f"{encoding.name}-{encoding.sample_rate_hz}"


def encoded(encoding: Encoding, pcm: Pcm) -> list[bytes]:
    """Return the payloads of `pcm`, a frame each."""
    encoder = encoder_for(encoding)
    frames = len(pcm) // encoder.frame_samples
    return [encoder.encode(frame) for frame in pcm[: frames * encoder.frame_samples].reshape(frames, -1)]


def ffmpeg(arguments: str, given: bytes) -> bytes:
    command = ["ffmpeg", "-hide_banner", "-loglevel", "error", *arguments.split(), "pipe:1"]
    return subprocess.run(command, input=given, stdout=subprocess.PIPE, check=True, timeout=PATIENCE_S).stdout


@pytest.mark.parametrize("encoding", ALL, ids=shown)
class TestEveryCodec:
    def test_frames_come_out_as_long_as_they_went_in(self, encoding: Encoding) -> None:
        pcm = speech(encoding.sample_rate_hz)
        payloads = encoded(encoding, pcm)
        decoder = decoder_for(encoding)
        for payload in payloads:
            assert encoding.samples_of(payload) == encoding.frame_samples
            heard = decoder.decode(payload)
            assert heard.dtype == np.int16
            assert heard.shape == (encoding.frame_samples,)

    def test_speech_stays_speech(self, encoding: Encoding) -> None:
        pcm = speech(encoding.sample_rate_hz)
        decoder = decoder_for(encoding)
        heard = np.concatenate([decoder.decode(payload) for payload in encoded(encoding, pcm)])
        alike, lag = likeness(heard, pcm[: len(heard)], encoding.frame_samples)
        assert alike > (0.9 if encoding.name == "OPUS" else 0.995)
        assert lag < encoding.sample_rate_hz // 50

    def test_silence_is_a_frame_of_silence(self, encoding: Encoding) -> None:
        encoder, decoder = encoder_for(encoding), decoder_for(encoding)
        heard = np.concatenate([decoder.decode(encoder.silence()) for _ in range(3)])
        assert len(heard) == 3 * encoding.frame_samples
        assert abs(heard).max() <= 8

    def test_a_loss_is_concealed_to_the_sample(self, encoding: Encoding) -> None:
        decoder = decoder_for(encoding)
        assert not decoder.conceal(77).any(), "nothing was heard yet"
        decoder.reset()
        for payload in encoded(encoding, speech(encoding.sample_rate_hz))[:60]:
            decoder.decode(payload)
        for samples in (encoding.frame_samples, 1, 0, 3 * encoding.frame_samples + 5):
            guess = decoder.conceal(samples)
            assert guess.dtype == np.int16
            assert guess.shape == (samples,)

    def test_reset_forgets(self, encoding: Encoding) -> None:
        pcm = speech(encoding.sample_rate_hz)
        payloads = encoded(encoding, pcm)
        encoder, decoder = encoder_for(encoding), decoder_for(encoding)
        first = [decoder.decode(payload) for payload in payloads[:9]]
        for frame in pcm[: 40 * encoder.frame_samples].reshape(40, -1):
            encoder.encode(frame)
        encoder.reset()
        decoder.reset()
        assert [encoder.encode(frame) for frame in pcm[: 9 * encoder.frame_samples].reshape(9, -1)] == payloads[:9]
        assert all(
            np.array_equal(decoder.decode(payload), heard) for payload, heard in zip(payloads, first, strict=False)
        )

    def test_half_a_frame_is_refused(self, encoding: Encoding) -> None:
        encoder = encoder_for(encoding)
        for samples in (0, encoder.frame_samples - 1, encoder.frame_samples + 1):
            with pytest.raises(UsageError, match=f"of {encoder.frame_samples} samples, not {samples} samples"):
                encoder.encode(np.zeros(samples, np.int16))

    def test_several_frames_are_those_frames_joined(self, encoding: Encoding) -> None:
        pcm = speech(encoding.sample_rate_hz)[: 5 * encoding.frame_samples]
        if encoding.can_be_joined:
            assert encoder_for(encoding).encode(pcm) == b"".join(encoded(encoding, pcm))
        else:
            with pytest.raises(UsageError, match="one frame"):
                encoder_for(encoding).encode(pcm)


@pytest.mark.parametrize("name", ["PCMU", "PCMA"])
def test_g711_is_that_of_audioop(name: str) -> None:
    pcm = speech(8000)
    reference: Any = audioop.lin2ulaw if name == "PCMU" else audioop.lin2alaw
    assert encoder_for(Encoding(name)).encode(pcm) == reference(pcm.tobytes(), 2)


@needs_ffmpeg
@pytest.mark.parametrize("big_endian", [True, False])
def test_l16_has_the_byte_order_of_ffmpeg(big_endian: bool) -> None:
    pcm = speech(16000)
    raw = ffmpeg(f"-f s16le -i pipe:0 -f {'s16be' if big_endian else 's16le'}", pcm.astype("<i2").tobytes())
    encoding = Encoding("L16", 16000, big_endian=big_endian)
    assert encoder_for(encoding).encode(pcm) == raw
    assert np.array_equal(decoder_for(encoding).decode(raw), pcm)


@needs_ffmpeg
def test_g722_is_that_of_ffmpeg() -> None:
    encoding = Encoding("G722", 16000)
    pcm = speech(16000)
    payload = b"".join(encoded(encoding, pcm))
    assert payload == ffmpeg("-f s16le -ar 16000 -i pipe:0 -c:a g722 -f g722", pcm.astype("<i2").tobytes())
    heard = np.frombuffer(ffmpeg("-f g722 -i pipe:0 -f s16le", payload), "<i2")
    assert np.array_equal(decoder_for(encoding).decode(payload), heard)


def test_g722_in_pieces_of_any_length_is_the_same() -> None:
    payload = b"".join(encoded(Encoding("G722", 16000), speech(16000)))
    whole, decoder = decoder_for(Encoding("G722", 16000)).decode(payload), decoder_for(Encoding("G722", 16000))
    pieces = [decoder.decode(payload[begin : begin + 77]) for begin in range(0, len(payload), 77)]
    assert np.array_equal(np.concatenate(pieces), whole)
    assert len(decoder.decode(b"")) == 0


@pytest.mark.parametrize("rate_hz", [8000, 16000, 24000, 48000])
def test_opus_is_understood_by_another_decoder(rate_hz: int) -> None:
    """ffmpeg has a decoder of its own, written from the RFC."""
    import av

    other = context("opus", "r", 48000, "a test")
    pcm = speech(rate_hz)
    frames = [
        frame for payload in encoded(Encoding("OPUS", rate_hz), pcm) for frame in other.decode(av.Packet(payload))
    ]
    heard = (np.concatenate([frame.to_ndarray()[0] for frame in frames]) * 32768).astype(np.int16)
    alike, _ = likeness(heard, speech(48000)[: len(heard)], 1440)
    assert alike > 0.9


class TestOpusConcealment:
    rate_hz = 16000

    def heard(self) -> tuple[Any, Pcm]:
        """Return a decoder in the middle of a hum of 200 Hz, and the last 20 ms of it."""
        decoder = decoder_for(Encoding("OPUS", self.rate_hz))
        hum = (8000 * np.sin(2 * np.pi * 200 * np.arange(self.rate_hz) / self.rate_hz)).astype(np.int16)
        blocks = [decoder.decode(payload) for payload in encoded(Encoding("OPUS", self.rate_hz), hum)]
        return decoder, blocks[-1]

    def test_a_lost_frame_goes_on_like_the_one_before(self) -> None:
        decoder, last = self.heard()
        guess = decoder.conceal(320)
        assert 0.5 < guess.std() / last.std() < 1.1
        assert abs(int(guess[0]) - int(last[-1])) < 2000, "a click"

    def test_it_ends(self) -> None:
        decoder, _ = self.heard()
        guess = np.concatenate([decoder.conceal(320) for _ in range(20)])
        end = (CONCEALED_MS + 20) * self.rate_hz // 1000
        assert abs(guess[:320]).max() > 1000
        assert not guess[end:].any()

    def test_a_frame_of_dtx_is_answered_like_a_loss(self) -> None:
        decoder, _ = self.heard()
        other, _ = self.heard()
        packet = encoded(Encoding("OPUS", self.rate_hz), np.zeros(320, np.int16))[0]
        nothing = bytes([packet[0] & 0xFC])
        assert decoder.decode(nothing).std() == pytest.approx(other.conceal(320).std(), rel=0.5)


@pytest.mark.parametrize(("name", "rate_hz"), [("G722", 16000), ("OPUS", 8000)])
@pytest.mark.parametrize("make", [encoder_for, decoder_for])
def test_without_the_extra_it_says_what_to_install(
    name: str, rate_hz: int, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(
        ConfigurationError, match=rf"the codec {name} needs PyAV.*: pip install '/path/to/strep\[codecs\]"
    ):
        make(Encoding(name, rate_hz))
    make(Encoding("PCMU"))
