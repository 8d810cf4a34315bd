"""The file is a WAV at every moment, and holds what was written where it was written."""

from __future__ import annotations

import json
import os
import shutil
import stat
import struct
import subprocess
import tempfile
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from media.sinks.wav import Encoding, WavFile, parse_header, serialize_header
from tests.sinks.waves import ENCODINGS, DiskOf, as_pcm, noise, play

GIB = 1 << 30


def chunks(header: bytes) -> dict[bytes, tuple[int, bytes]]:
    """Walk the header as a player does: size and content of each chunk; the size of `data` only."""
    found, offset = {}, 12
    while offset < len(header):
        name, size = struct.unpack_from("<4sI", header, offset)
        found[name] = size, header[offset + 8 : offset + 8 + size]
        offset += 8 + (0 if name == b"data" else size)
    assert offset == len(header)
    return found


class TestHeader:
    """RIFF sizes below 4 GiB, EBU Tech 3306 above."""

    @pytest.mark.parametrize("encoding", ENCODINGS)
    @given(length=st.integers(0, 1 << 40))
    def test_sizes(self, encoding: Encoding, length: int) -> None:
        header = serialize_header(encoding, 8000, length)
        data = length * encoding.frame_bytes
        riff = len(header) + data - 8
        assert len(header) == encoding.data_offset
        parts = chunks(header)
        if riff < 0xFFFF_FFFF:
            assert header[:12] == b"RIFF" + struct.pack("<I", riff) + b"WAVE"
            assert parts[b"data"][0] == data
            assert b"JUNK" in parts
        else:
            assert header[:12] == b"RF64\xff\xff\xff\xffWAVE"
            assert parts[b"data"][0] == 0xFFFF_FFFF
            assert parts[b"ds64"] == (28, struct.pack("<QQQI", riff, data, length, 0))
        if encoding is not Encoding.PCM16:
            assert parts[b"fact"][1] == struct.pack("<I", min(length, 0xFFFF_FFFF))

    @pytest.mark.parametrize("encoding", ENCODINGS)
    def test_format(self, encoding: Encoding) -> None:
        size, content = chunks(serialize_header(encoding, 8000, 1))[b"fmt "]
        bits = 16 if encoding is Encoding.PCM16 else 8
        assert content[:16] == struct.pack("<HHIIHH", encoding.tag, 2, 8000, 1000 * bits * 2, bits // 4, bits)
        assert content[16:] == (b"" if size == 16 else b"\0\0")


class TestGrowing:
    @pytest.mark.parametrize("encoding", ENCODINGS)
    def test_readable_at_every_step(self, tmp_path: Path, encoding: Encoding) -> None:
        file = WavFile(tmp_path / "a.wav", encoding, 8000)
        written = noise(encoding, 0)
        assert len(play(file.path)) == 0
        for step in range(5):
            more = noise(encoding, 1000, step)
            file.write(len(written), more)
            assert (play(file.path) == as_pcm(encoding, written)).all(), "data comes before the header"
            file.flush_header()
            written = np.concatenate([written, more])
            assert (play(file.path) == as_pcm(encoding, written)).all()
        file.close()
        assert (play(file.path) == as_pcm(encoding, written)).all()
        assert file.path.stat().st_size == encoding.data_offset + written.nbytes

    def test_readable_by_the_standard_library(self, tmp_path: Path) -> None:
        file = WavFile(tmp_path / "a.wav", Encoding.PCM16, 8000)
        for length in (0, 10, 20):
            file.extend(length)
            file.flush_header()
            with wave.open(str(file.path)) as reader:
                assert reader.getparams()[:4] == (2, 2, 8000, length)
        file.close()

    @pytest.mark.parametrize("encoding", ENCODINGS)
    @given(
        steps=st.lists(
            st.tuples(st.sampled_from(["write", "read", "extend"]), st.integers(0, 70_000), st.integers(0, 500))
        )
    )
    def test_against_an_array(self, encoding: Encoding, steps: list[tuple[str, int, int]]) -> None:
        tape = np.full((80_000, 2), encoding.silence, encoding.dtype)
        length = 0
        with tempfile.TemporaryDirectory() as directory:
            file = WavFile(Path(directory) / "a.wav", encoding, 8000)
            for verb, position, count in steps:
                if verb == "write":
                    file.write(position, noise(encoding, count, position))
                    tape[position : position + count] = noise(encoding, count, position)
                    length = max(length, position + count) if count else length
                elif verb == "extend":
                    file.extend(position)
                    length = max(length, position)
                else:
                    frames = file.read(position, count)
                    assert (frames == tape[position : position + count]).all()
                    assert frames.flags.writeable
                assert file.length_samples == length
            file.close()
            assert (play(file.path) == as_pcm(encoding, tape[:length])).all()

    def test_encoding_of_an_empty_file_may_change(self, tmp_path: Path) -> None:
        file = WavFile(tmp_path / "a.wav", Encoding.PCMU, 8000)
        file.set_encoding(Encoding.PCMA)
        file.write(0, noise(Encoding.PCMA, 10))
        file.close()
        assert soundfile.info(file.path).subtype == "ALAW"
        assert (play(file.path) == as_pcm(Encoding.PCMA, noise(Encoding.PCMA, 10))).all()


class TestNames:
    def test_nothing_is_overwritten(self, tmp_path: Path) -> None:
        directory = tmp_path / "a" / "b"
        names = []
        for _ in range(3):
            file = WavFile.create(directory, "x", Encoding.PCM16, 8000)
            names.append(file.path.name)
            file.close()
        (directory / "x.4.json").touch()
        file = WavFile.create(directory, "x", Encoding.PCM16, 8000)
        file.close()
        assert [*names, file.path.name] == ["x.wav", "x.2.wav", "x.3.wav", "x.5.wav"]

    def test_closed_to_others(self, tmp_path: Path) -> None:
        file = WavFile.create(tmp_path / "a" / "b", "x", Encoding.PCM16, 8000)
        file.close()
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (file.path, tmp_path / "a" / "b", tmp_path / "a")]
        assert modes == [0o600, 0o700, 0o700]

    def test_a_header_that_cannot_be_written_leaves_no_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "pwrite", DiskOf(0))
        with pytest.raises(OSError, match="No space"):
            WavFile.create(tmp_path, "x", Encoding.PCM16, 8000)
        assert list(tmp_path.iterdir()) == []


class TestRefusal:
    @pytest.mark.parametrize("encoding", ENCODINGS)
    def test_full_disk(self, tmp_path: Path, encoding: Encoding, monkeypatch: pytest.MonkeyPatch) -> None:
        file = WavFile(tmp_path / "a.wav", encoding, 8000)
        frames = noise(encoding, 100)
        # room for 30 frames and a byte: the disk is full in the middle of a frame
        monkeypatch.setattr(os, "pwrite", DiskOf(encoding.data_offset + 30 * encoding.frame_bytes + 1))
        file.write(0, frames[:20])
        with pytest.raises(OSError, match="No space"):
            file.write(20, frames[20:])
        assert file.length_samples == 30
        file.close()
        assert (play(file.path) == as_pcm(encoding, frames[:30])).all()
        assert file.path.stat().st_size == encoding.data_offset + 30 * encoding.frame_bytes

    def test_writes_in_pieces(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = WavFile(tmp_path / "a.wav", Encoding.PCM16, 8000)
        disk = DiskOf(GIB, at_most=80)
        monkeypatch.setattr(os, "pwrite", disk)
        frames = noise(Encoding.PCM16, 1000)
        file.write(5, frames)
        file.close()
        assert (play(file.path)[5:] == frames).all()

    def test_a_position_no_file_has(self, tmp_path: Path) -> None:
        file = WavFile(tmp_path / "a.wav", Encoding.PCM16, 8000)
        for position in (1 << 62, (1 << 63) // 4 - 21):
            with pytest.raises(OSError, match=r"too large|Invalid"):
                file.write(position, noise(Encoding.PCM16, 1000))
        file.close()
        assert len(play(file.path)) == 0

    def test_close_twice(self, tmp_path: Path) -> None:
        file = WavFile(tmp_path / "a.wav", Encoding.PCM16, 8000)
        file.close()
        file.close()


class TestBeyond4GiB:
    """A sparse file: 4 GiB long, some KiB on the disk."""

    LIMIT = (0xFFFF_FFFF - Encoding.PCM16.data_offset + 8) // 4
    """The longest PCM16 file that RIFF can describe."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        file = WavFile(tmp_path / "a.wav", Encoding.PCM16, 8000)
        file.extend(self.LIMIT)
        file.flush_header()
        assert head(file.path) == b"RIFF"
        assert soundfile.info(file.path).frames == self.LIMIT
        file.write(self.LIMIT + 1000, noise(Encoding.PCM16, 500))
        file.flush_header()
        assert head(file.path) == b"RF64"
        assert (file.read(self.LIMIT + 1100, 100) == noise(Encoding.PCM16, 500)[100:200]).all()
        file.close()
        assert file.path.stat().st_blocks * 512 < 1 << 20
        return file.path

    def test_soundfile(self, path: Path) -> None:
        info = soundfile.info(path)
        assert (info.format, info.frames) == ("RF64", self.LIMIT + 1500)
        tail, _ = soundfile.read(path, start=self.LIMIT + 1000, dtype="int16")
        assert (tail == noise(Encoding.PCM16, 500)).all()

    @pytest.mark.peer
    @pytest.mark.skipif(not shutil.which("ffprobe"), reason="ffprobe is not installed")
    def test_ffprobe(self, path: Path) -> None:
        command = ["ffprobe", "-v", "error", "-show_streams", "-of", "json", str(path)]
        (stream,) = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["streams"]
        assert (stream["codec_name"], stream["channels"]) == ("pcm_s16le", 2)
        assert stream["duration_ts"] == self.LIMIT + 1500

    @pytest.mark.peer
    @pytest.mark.skipif(not shutil.which("sox"), reason="sox is not installed")
    @pytest.mark.parametrize("encoding", ENCODINGS)
    def test_sox_reads_the_small_ones(self, tmp_path: Path, encoding: Encoding) -> None:
        file = WavFile(tmp_path / "a.wav", encoding, 8000)
        file.write(10, noise(encoding, 500))
        file.close()
        command = ["sox", "-V1", str(file.path), "-t", "raw", "-e", "signed", "-b", "16", "-"]
        raw = subprocess.run(command, check=True, capture_output=True).stdout
        assert (np.frombuffer(raw, "<i2").reshape(-1, 2) == play(file.path)).all()


def head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)


def test_rubbish_is_no_header_of_ours() -> None:
    for rubbish in (b"", b"RIFF and nothing else" * 10, b"RF64" + b"\xff" * 200, bytes(200)):
        with pytest.raises(ValueError, match="not a header of ours"):
            parse_header(rubbish)
