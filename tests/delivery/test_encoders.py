"""What is made of a recording: judged by libsndfile, and by sox and ffmpeg where they are."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from media.codecs.mp3_tag import GAIN
from media.delivery.audio import Audio
from media.delivery.encoders import FORMATS, encode
from media.sinks.finished import FileFormat
from media.sinks.wav import Encoding, WavFile
from tests.delivery.recordings import make_wav, speech
from tests.searching import IS_LONG

ROOT = Path(__file__).resolve().parents[2]
LOSSY: tuple[FileFormat, ...] = ("mp3", "opus")
needs_sox = pytest.mark.skipif(which("soxi") is None, reason="no sox here: make peers")
needs_ffmpeg = pytest.mark.skipif(which("ffprobe") is None, reason="no ffmpeg here: make peers")


def made(tmp_path: Path, format: FileFormat, seconds: float = 5.0, rate_hz: int = 8000) -> tuple[Audio, Path]:
    audio = Audio.of(make_wav(tmp_path / "source.wav", speech(seconds, rate_hz), rate_hz))
    path = tmp_path / f"made.{format}"
    encode(audio, format, path)
    return audio, path


@pytest.mark.parametrize("encoding", list(Encoding))
@pytest.mark.parametrize("rate_hz", [8000, 16_000, 44_100])
def test_flac_has_the_samples_of_the_wav(tmp_path: Path, encoding: Encoding, rate_hz: int) -> None:
    source = make_wav(tmp_path / "source.wav", speech(3.0, rate_hz), rate_hz, encoding)
    encode(Audio.of(source), "flac", tmp_path / "made.flac")
    wanted, got = (soundfile.read(path, dtype="int16") for path in (source, tmp_path / "made.flac"))
    assert got[1] == wanted[1] == rate_hz
    np.testing.assert_array_equal(got[0], wanted[0])


@pytest.mark.parametrize("encoding", list(Encoding))
def test_a_part_of_a_wav_has_the_very_bytes(tmp_path: Path, encoding: Encoding) -> None:
    source = make_wav(tmp_path / "source.wav", speech(1.0), encoding=encoding)
    whole = Audio.of(source)
    encode(Audio(source, 8000, 2, 100, 7000), "wav", tmp_path / "made.wav")
    frame = encoding.frame_bytes
    audio = source.read_bytes()[encoding.data_offset :][100 * frame : 7000 * frame]
    assert (tmp_path / "made.wav").read_bytes()[encoding.data_offset :] == audio
    assert whole.length_samples == 8000
    assert soundfile.info(tmp_path / "made.wav").frames == 6900


@pytest.mark.parametrize("rate_hz", [8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000])
@pytest.mark.parametrize("format", LOSSY)
def test_lossy_is_as_long_and_sounds_alike(tmp_path: Path, format: FileFormat, rate_hz: int) -> None:
    """Each channel is itself, at its place: what it has in common with the original is nearly all of it."""
    audio, path = made(tmp_path, format, 3.0, rate_hz)
    got, got_hz = soundfile.read(path, dtype="int16")
    wanted = speech(3.0, rate_hz)
    assert abs(len(got) / got_hz - len(wanted) / rate_hz) <= 1 / rate_hz
    if got_hz == rate_hz:
        assert len(got) == audio.length_samples
        for channel in range(2):
            one, other = got[:, channel].astype(float), wanted[:, channel].astype(float)
            assert np.dot(one, other) / np.sqrt(np.dot(one, one) * np.dot(other, other)) > 0.7


@pytest.mark.parametrize("format", LOSSY)
@pytest.mark.parametrize("silent", [0, 1])
def test_a_silent_channel_stays_silent(tmp_path: Path, format: FileFormat, silent: int) -> None:
    """Both code what the channels have in common; 30 dB is far more than two telephones on a table have."""
    pcm = speech(3.0)
    pcm[:, silent] = 0
    encode(Audio.of(make_wav(tmp_path / "source.wav", pcm)), format, tmp_path / "made")
    got, _ = soundfile.read(tmp_path / "made", dtype="int16")
    power = np.square(got.astype(float)).mean(axis=0)
    assert 10 * np.log10(power[1 - silent] / (power[silent] + 1e-9)) > 30


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("samples", [1, 47, 160, 575, 576, 1153])
def test_short_recordings(tmp_path: Path, format: FileFormat, samples: int) -> None:
    audio = Audio.of(make_wav(tmp_path / "source.wav", speech(1.0)[:samples]))
    assert encode(audio, format, tmp_path / "made") == samples


@pytest.mark.parametrize("format", FORMATS)
def test_nobody_else_may_read_it(tmp_path: Path, format: FileFormat) -> None:
    _, path = made(tmp_path, format, 1.0)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_ends_early_is_refused(tmp_path: Path) -> None:
    source = make_wav(tmp_path / "source.wav", speech(1.0))
    for format in FORMATS:
        with pytest.raises(ValueError, match="ends"):
            encode(Audio(source, 8000, 2, 0, 9000), format, tmp_path / "made")


def test_what_is_no_audio_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_bytes(b"no audio at all, and that for long enough to have a header, one would think")
    with pytest.raises(ValueError, match=r"x\.wav cannot be read as audio"):
        Audio.of(tmp_path / "x.wav")


class TestTrimming:
    def sounding(self, tmp_path: Path, pcm: NDArray[Any]) -> tuple[int, int]:
        (tmp_path / "x.wav").unlink(missing_ok=True)
        return Audio.of(make_wav(tmp_path / "x.wav", pcm.astype(np.int16))).sounding()

    @pytest.mark.parametrize("channel", [0, 1])
    @pytest.mark.parametrize(("before", "behind"), [(0, 0), (800, 799), (80_000, 8000), (8000, 1_000_000)])
    def test_a_tone_in_either_channel(self, tmp_path: Path, channel: int, before: int, behind: int) -> None:
        """Within a frame on either side, and a tenth of a second is left."""
        pcm = np.zeros((before + 8000 + behind, 2))
        pcm[before : before + 8000, channel] = 1000 * np.sin(np.arange(8000))
        first, last = self.sounding(tmp_path, pcm)
        assert max(before - 800, 0) - 160 <= first <= max(before - 800, 0)
        assert min(before + 8800, len(pcm)) <= last <= min(before + 8800 + 160, len(pcm))

    @pytest.mark.parametrize(("amplitude", "is_heard"), [(3.2, False), (100, False), (200, True)])
    def test_the_threshold(self, tmp_path: Path, amplitude: float, is_heard: bool) -> None:
        """-50 dBFS RMS is a sine of amplitude 147."""
        pcm = np.zeros((24_000, 2))
        pcm[8000:16_000] = amplitude * np.sin(np.arange(8000))[:, None]
        assert (self.sounding(tmp_path, pcm) != (0, 24_000)) is is_heard

    @pytest.mark.parametrize("samples", [0, 1, 159, 70_000])
    def test_without_any_sound_nothing_is_cut(self, tmp_path: Path, samples: int) -> None:
        assert self.sounding(tmp_path, np.zeros((samples, 2))) == (0, samples)


@pytest.mark.peer
class TestIndependentPrograms:
    @needs_sox
    @pytest.mark.parametrize("format", ["wav", "flac"])
    def test_sox_sees_the_same(self, tmp_path: Path, format: FileFormat) -> None:
        audio, path = made(tmp_path, format)
        said = {flag: subprocess.check_output(["soxi", flag, path], text=True).strip() for flag in ("-r", "-c", "-s")}
        assert said == {"-r": "8000", "-c": "2", "-s": str(audio.length_samples)}
        for channel in ("1", "2"):
            wanted, got = (self.level_db(file, channel) for file in (audio.path, path))
            assert got == wanted

    def level_db(self, path: Path, channel: str) -> float:
        command = ["sox", str(path), "-n", "remix", channel, "stats"]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stderr
        return float(next(line for line in said.splitlines() if line.startswith("RMS lev dB")).split()[3])

    @needs_ffmpeg
    @pytest.mark.parametrize("rate_hz", [8000, 16_000, 48_000])
    @pytest.mark.parametrize("format", FORMATS)
    def test_ffmpeg_sees_the_same(self, tmp_path: Path, format: FileFormat, rate_hz: int) -> None:
        audio, path = made(tmp_path, format, rate_hz=rate_hz)
        show = [
            "ffprobe",
            "-v",
            "error",
            "-show_entries",
            "stream=channels,codec_name:format=duration",
            "-of",
            "json",
        ]
        said = json.loads(subprocess.check_output([*show, path]))
        assert said["streams"][0]["channels"] == 2
        assert said["streams"][0]["codec_name"] == {"wav": "pcm_s16le"}.get(format, format)
        frame_s = {"mp3": 1152 / rate_hz, "opus": 0.02}.get(format, 0.0)  # it counts frames, not what is cut off
        assert abs(float(said["format"]["duration"]) - 5.0) <= 2 * frame_s
        command = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "s16le", "-ar", str(rate_hz), "-"]
        decoded = np.frombuffer(subprocess.check_output(command), "<i2").reshape(-1, 2)
        assert abs(len(decoded) - audio.length_samples) <= (rate_hz * 0.02 if format == "opus" else 0)
        wanted = speech(5.0, rate_hz)
        if format in ("wav", "flac"):
            np.testing.assert_array_equal(decoded, wanted)
        power = [np.square(pcm.astype(float)).mean(axis=0) for pcm in (decoded, wanted)]
        gain_db = 20 * np.log10(GAIN) if format == "mp3" else 0.0
        np.testing.assert_allclose(10 * np.log10(power[0] / power[1]), gain_db, atol=2.0)


@pytest.mark.parametrize("format", ["wav", "flac"])
def test_an_hour_takes_little_memory(tmp_path: Path, format: FileFormat) -> None:
    """115 MB of audio in 8 MiB, in the long form; ten hours take the same. The file is a hole, which is silence."""
    seconds = 3600 if IS_LONG else 900
    path = make_wav(tmp_path / "long.wav", speech(1.0))
    wav = WavFile.reopen(path)
    assert wav
    wav.extend(seconds * 8000)
    wav.close()
    program = f"""
import resource
from pathlib import Path
from media.delivery.audio import Audio
from media.delivery.encoders import encode
folder = Path({str(tmp_path)!r})
encode(Audio(folder / "long.wav", 8000, 2, 0, 80_000), {format!r}, folder / "warm")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
audio = Audio.of(folder / "long.wav")
audio.sounding()
assert encode(audio, {format!r}, folder / "made") == {seconds * 8000}
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    assert int(subprocess.check_output([sys.executable, "-c", program], text=True, cwd=ROOT)) < 8 << 10
