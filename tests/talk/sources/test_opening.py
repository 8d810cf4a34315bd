"""Files and memory: what comes out is what went in, and what cannot be played says why, in one line."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from media.talk.contract import PlaybackError
from media.talk.sources import open_source
from media.talk.sources.ahead import AHEAD_S, HEAD_S
from tests.codecs.speech import speech
from tests.talk.sources.listening import file_of, hum, level_db, rest, whole


@pytest.fixture(params=["pyav", "libsndfile"])
def _decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "libsndfile":
        monkeypatch.setitem(sys.modules, "av", None)


@pytest.mark.usefixtures("_decoder")
class TestFiles:
    @pytest.mark.parametrize(
        ("kind", "subtype"),
        [("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "PCM_U8"), ("WAV", "FLOAT"), ("WAV", "ULAW"), ("FLAC", None),
         ("AIFF", "PCM_16"), ("AU", "PCM_16"), ("CAF", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None)],
    )  # fmt: skip
    async def test_of_many_kinds(self, kind: str, subtype: str | None, tmp_path: Path) -> None:
        said = hum(16000)
        path = tmp_path / "said"
        path.write_bytes(file_of(said / 32768 if subtype == "FLOAT" else said, 16000, kind, subtype))
        heard = await whole(path, 16000)
        if subtype == "VORBIS":  # ffmpeg does not cut the first or last block
            assert 0 <= len(heard) - len(said) <= 256
            return
        assert len(heard) == len(said)
        assert level_db(heard, said) < (-20 if kind in ("OGG", "MP3") or subtype in ("ULAW", "PCM_U8") else -70)

    async def test_pcm_of_the_right_rate_comes_out_as_it_is(self, tmp_path: Path) -> None:
        path = tmp_path / "speech.wav"
        path.write_bytes(file_of(speech(8000), 8000))
        assert np.array_equal(await whole(str(path), 8000), speech(8000))

    async def test_tags_in_no_encoding_of_this_world(self) -> None:
        data = file_of(speech(8000), 8000)
        tag = b"LIST" + (16).to_bytes(4, "little") + b"INFOINAM" + (4).to_bytes(4, "little") + b"\xff\xfe\x81\x80"
        size = (len(data) + len(tag) - 8).to_bytes(4, "little")
        tagged = data[:4] + size + data[8:36] + tag + data[36:]
        assert tagged[36 + len(tag) :].startswith(b"data")
        assert np.array_equal(await whole(tagged, 8000), speech(8000))

    @pytest.mark.parametrize("rate_hz", [8000, 11025, 22050, 44100, 48000, 96000])
    async def test_rates_and_channels(self, rate_hz: int) -> None:
        both = np.stack([hum(rate_hz), np.zeros(rate_hz, np.int16)], axis=1)
        heard = await whole(file_of(both, rate_hz), 8000)
        assert len(heard) == 8000
        assert level_db(heard, hum(8000) // 2) < -50

    @pytest.mark.parametrize(
        ("data", "says"),
        [(b"", "no bytes in it"), (b"x" * 5000, "is no audio that"), (b"RIFF", "is no audio that"),
         (b"<!doctype html><p>Not found", "is no audio that")],
    )  # fmt: skip
    async def test_what_is_no_audio(self, data: bytes, says: str) -> None:
        with pytest.raises(PlaybackError, match=says):
            await open_source(data, 8000)

    async def test_a_file_without_a_sample(self) -> None:
        with pytest.raises(PlaybackError, match="no audio in it"):
            await open_source(file_of(np.zeros(0, np.int16), 8000), 8000)

    async def test_floats_that_are_none(self) -> None:
        samples = np.zeros(8000, np.float32)
        samples[100:400] = np.nan
        samples[500] = np.inf
        samples[600] = 3e38
        heard = await whole(file_of(samples, 8000, subtype="FLOAT"), 8000)
        assert heard[500] == heard[600] == 32767
        assert not heard[100:400].any()


class TestDamagedFiles:
    async def test_truncated(self) -> None:
        """What there is, is played."""
        for kind in ("FLAC", "AIFF", "AU", "MP3"):
            data = file_of(hum(16000, 2), 16000, kind)
            source = await open_source(data[: len(data) * 6 // 10], 16000)
            heard = await rest(source)
            assert 12_000 < len(heard) < 20_000
            said = rf"of {len(data) * 6 // 10} bytes is truncated or damaged: 1\.\d s of 2\.0 s could be decoded"
            assert re.search(said, str(source.error))
            source.close()

    async def test_damaged_in_the_middle(self) -> None:
        data = bytearray(file_of(speech(16000), 16000, "FLAC"))
        middle = len(data) // 2
        data[middle : middle + 3000] = bytes(3000)
        source = await open_source(bytes(data), 16000)
        assert len(await rest(source)) > 2.5 * 16000
        assert "truncated or damaged" in str(source.error)
        source.close()


@pytest.mark.parametrize(
    ("name", "says"),
    [("none.wav", "none.wav cannot be opened: No such file"), ("", "is no regular file"),
     ("a\0b", "cannot be opened"),
     ("\n" * 300, "No such file|too long"), ("empty.wav", "empty.wav is empty"), ("pipe", "pipe is no regular file")],
)  # fmt: skip
async def test_paths_that_lead_nowhere(name: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PlaybackError, match=says) as raised:
        await open_source(f"{tmp_path}/{name}", 8000)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 250


@pytest.mark.parametrize("name", ["list.m3u8", "list.ffconcat", "call.sdp", "plain.wav"])
async def test_a_file_cannot_open_another(name: str, tmp_path: Path) -> None:
    """Playlists and the like name files and addresses: nothing that a stranger's bytes name is opened."""
    secret = tmp_path / "secret.wav"
    secret.write_bytes(file_of(hum(8000), 8000))
    texts = [
        f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{secret}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile {secret}\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n",
    ]
    for text in texts:
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(PlaybackError, match="no audio that can be decoded"):
            await open_source(path, 8000)


class TestPlayingAgain:
    @pytest.mark.parametrize("seconds", [HEAD_S - 1, HEAD_S, HEAD_S + 0.5, AHEAD_S + 3])
    async def test_it_is_the_same_and_begins_at_once(self, seconds: float) -> None:
        said = np.random.default_rng(4).integers(-9000, 9000, int(8000 * seconds)).astype(np.int16)
        source = await open_source(file_of(said, 8000), 8000)
        for _ in range(3):
            assert np.array_equal(await rest(source), said)
            assert source.rewind()
            assert np.array_equal(source.read(160), said[:160]), "a hole at the seam"
            assert source.rewind(), "before it has ended"
        source.close()
        assert not source.rewind()

    async def test_what_is_damaged_is_so_again(self) -> None:
        data = file_of(hum(16000, 5), 16000, "AIFF")
        source = await open_source(data[: len(data) * 6 // 10], 16000)
        first = await rest(source)
        assert source.error is not None
        assert source.rewind()
        assert str(source.error) == "None"
        assert np.array_equal(await rest(source), first)
        assert "truncated" in str(source.error)
        source.close()


async def test_a_long_file_is_decoded_as_it_is_read(tmp_path: Path) -> None:
    """Ten hours: a sparse file, silent but for its head."""
    path = tmp_path / "long.wav"
    samples = 10 * 3600 * 8000
    header = bytearray(file_of(hum(8000), 8000)[:44])
    header[4:8] = (36 + 2 * samples).to_bytes(4, "little")
    header[40:44] = (2 * samples).to_bytes(4, "little")
    path.write_bytes(header + hum(8000).tobytes())
    os.truncate(path, 44 + 2 * samples)
    source: Any = await open_source(path, 8000)
    assert np.array_equal((await rest(source, most_samples=8000))[:8000], hum(8000))
    for _ in range(200):
        source.read(1600)
        assert source._buffer.samples <= (AHEAD_S + 1) * 8000
        await asyncio.sleep(0)
    assert source.length_samples is None
    source.close()
    assert source.has_ended
    assert not len(source.read(160))
    source.close()


class TestArrays:
    @pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
    @pytest.mark.parametrize(("rate_hz", "to_hz"), [(8000, 8000), (22050, 8000), (8000, 16000), (44100, 24000)])
    async def test_of_every_kind(self, dtype: type, rate_hz: int, to_hz: int) -> None:
        said = hum(rate_hz, 2.3) if dtype is np.int16 else (hum(rate_hz, 2.3) / 32768).astype(dtype)
        heard = await whole(said, to_hz, rate_hz=rate_hz)
        ideal = hum(to_hz, 2.3)
        assert len(heard) == len(ideal)
        assert level_db(heard, ideal) < -60

    async def test_channels_are_mixed_down(self) -> None:
        both = np.stack([np.full(800, 1000, np.int16), np.full(800, 2000, np.int16)], axis=1)
        assert set((await whole(both, 8000, rate_hz=8000)).tolist()) == {1500}

    async def test_loud_floats_are_clipped(self) -> None:
        heard = await whole(np.array([1.5, -1.5, 0.5]), 8000, rate_hz=8000)
        assert heard.tolist() == [32767, -32768, 16384]

    @pytest.mark.parametrize(
        ("samples", "rate_hz", "says"),
        [(np.zeros(9, np.int16), None, "needs its sample rate"),
         (np.zeros(9, np.int16), 0, "rate of 0 Hz"), (np.zeros(9, np.int16), 10**9, "4000 to 192000 Hz"),
         (np.zeros(9, np.int64), 8000, "dtype int64; int16, float32, float64"),
         (np.zeros((2, 900), np.int16), 8000, r"shape \(2, 900\)"),
         (np.zeros((2, 2, 2), np.int16), 8000, "shape"), (np.zeros((), np.int16), 8000, "shape"),
         (np.zeros(0), 8000, "is empty"),
         (np.array([0.0, np.nan]), 8000, "NaN"), (np.array([-np.inf]), 8000, "infinite"),
         (np.array([0.0, -12000.0]), 8000, "floats up to 12000; full scale is 1")],
    )  # fmt: skip
    async def test_what_is_refused(self, samples: Any, rate_hz: int | None, says: str) -> None:
        with pytest.raises(PlaybackError, match=says):
            await open_source(samples, 8000, rate_hz=rate_hz)

    async def test_raw_bytes(self) -> None:
        assert np.array_equal(await whole(hum(8000).tobytes(), 8000, rate_hz=8000), hum(8000))
        with pytest.raises(PlaybackError, match="inside of a sample"):
            await open_source(b"abc", 8000, rate_hz=8000)


class TestAudioSegment:
    """pydub's class by its looks: signed integers of 1, 2 or 4 bytes, interleaved."""

    @pytest.mark.parametrize(("width", "dtype"), [(1, "i1"), (2, "<i2"), (4, "<i4")])
    async def test_is_played(self, width: int, dtype: str) -> None:
        wide = np.stack([hum(8000), hum(8000)], axis=1).astype(np.int32) << 16
        raw = (wide >> (32 - 8 * width)).astype(dtype).tobytes()
        segment = SimpleNamespace(raw_data=raw, sample_width=width, channels=2, frame_rate=8000)
        assert level_db(await whole(segment, 8000), hum(8000)) < (-38 if width == 1 else -75)

    @pytest.mark.parametrize(
        ("raw", "width", "channels", "rate_hz", "says"),
        [(b"", 2, 1, 8000, "is empty"), (b"abc", 2, 1, 8000, "inside"), (b"abc", 3, 1, 8000, "of 3 bytes"),
         (b"ab", 2, 0, 8000, "0 channels"), (b"ab", 2, 1, 1, "rate of 1 Hz"), (7, 2, 1, 8000, "is no audio")],
    )  # fmt: skip
    async def test_or_refused(self, raw: Any, width: int, channels: int, rate_hz: int, says: str) -> None:
        segment = SimpleNamespace(raw_data=raw, sample_width=width, channels=channels, frame_rate=rate_hz)
        with pytest.raises(PlaybackError, match=says):
            await open_source(segment, 8000)


async def test_what_nobody_can_play() -> None:
    with pytest.raises(PlaybackError, match="a dict cannot be played; a path, a URL, bytes"):
        await open_source({}, 8000)
    with pytest.raises(PlaybackError, match="knows its own rate"):
        await open_source("a.wav", 8000, rate_hz=8000)
