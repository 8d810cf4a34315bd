"""Audio files in, encoded payloads out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from media.carrier.audio import CONVERSATION, load, loop
from media.carrier.coding import Coding
from media.codecs import Encoding
from strep.errors import ConfigurationError
from strep.g711 import Codec, decode, encode


def write(path: Path, frames: np.ndarray, rate_hz: int) -> Path:
    soundfile.write(path, frames, rate_hz, subtype="PCM_16")
    return path


def sine(rate_hz: int, seconds: float = 1.0) -> np.ndarray:
    times = np.arange(int(rate_hz * seconds)) / rate_hz
    return (8_000 * np.sin(2 * np.pi * 400 * times)).astype(np.int16)


class TestLoad:
    def test_stereo_is_inbound_and_outbound(self, tmp_path: Path) -> None:
        left = sine(8_000)
        path = write(tmp_path / "stereo.wav", np.column_stack([left, -left]), 8_000)
        assert (load(path) == np.stack([left, -left])).all()

    def test_mono_is_inbound(self, tmp_path: Path) -> None:
        tracks = load(write(tmp_path / "mono.wav", sine(8_000), 8_000))
        assert (tracks[0] == sine(8_000)).all()
        assert not tracks[1].any()

    @pytest.mark.parametrize("rate_hz", [16_000, 44_100, 48_000])
    def test_resamples(self, tmp_path: Path, rate_hz: int) -> None:
        tracks = load(write(tmp_path / "fast.wav", sine(rate_hz), rate_hz))
        assert tracks.shape == (2, 8_000)
        middle = slice(1_000, 7_000)
        assert np.abs(tracks[0, middle].astype(int) - sine(8_000)[middle]).max() < 50

    def test_says_what_is_wrong(self, tmp_path: Path) -> None:
        (tmp_path / "text.wav").write_text("no audio")
        three = write(tmp_path / "three.wav", np.zeros((100, 3), np.int16), 8_000)
        empty = write(tmp_path / "empty.wav", np.zeros((0, 1), np.int16), 8_000)
        for path, text in ((tmp_path / "text.wav", "cannot read"), (three, "3 channels"), (empty, "empty")):
            with pytest.raises(ConfigurationError, match=text):
                load(path)
        with pytest.raises(ConfigurationError, match="cannot read"):
            load(tmp_path / "missing.wav")


class TestLoop:
    @pytest.mark.parametrize("codec", list(Codec))
    def test_cuts_encodes_and_fills_up(self, codec: Codec) -> None:
        tracks = np.stack([sine(8_000), -sine(8_000)])
        audio = loop(tracks[:, :250], Coding(Encoding(codec.name)))
        assert audio.payloads.shape == (2, 2, 160)
        assert (audio.payloads[1].ravel()[:250] == encode(tracks[1, :250], codec)).all()
        assert (audio.payloads[:, 1, 90:] == codec.silence).all()

    def test_repeats(self) -> None:
        audio = loop(sine(8_000)[None, :480], Coding(Encoding("PCMU")))
        assert (audio.take(np.array([0]), np.array([4])) == audio.payloads[0, 1]).all()


class TestConversation:
    def test_as_promised(self) -> None:
        info = soundfile.info(CONVERSATION)
        assert (info.samplerate, info.channels, info.subtype, info.duration) == (8_000, 2, "PCM_16", 20.0)
        assert CONVERSATION.stat().st_size <= 700_000

    def test_both_speak_in_turns_and_overlap(self) -> None:
        tracks = load(CONVERSATION).reshape(2, -1, 800)
        speaks = np.abs(tracks.astype(int)).max(axis=2) > 500
        assert (speaks.mean(axis=1) > 0.25).all()
        assert 0 < (speaks[0] & speaks[1]).mean() < 0.1

    def test_survives_the_codec(self) -> None:
        pcm = load(CONVERSATION)
        error = decode(encode(pcm, Codec.PCMU), Codec.PCMU).astype(int) - pcm
        assert np.abs(error).mean() < 60
