"""Files that are written anew: time cut out, two channels made one."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from media.sinks import rewriting
from media.sinks.naming import create_locked, remove_left_over
from media.sinks.rewriting import mixed, rewrite
from media.sinks.wav import Encoding, WavFile
from tests.searching import brief


def written(path: Path, frames: np.ndarray, encoding: Encoding = Encoding.PCM16) -> Path:
    file = WavFile(path, encoding, 8000)
    file.write(0, np.ascontiguousarray(frames, encoding.dtype))
    file.close()
    return path


def noise(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(-32768, 32768, (count, 2)).astype("<i2")


@brief(40)
@given(
    length=st.integers(0, 500),
    cuts=st.lists(st.tuples(st.integers(0, 600), st.integers(1, 100)), max_size=5),
    single=st.sampled_from([None, "both", "inbound", "outbound"]),
    chunk=st.integers(1, 200),
)
def test_what_is_left_is_what_was_there(
    tmp_path_factory: pytest.TempPathFactory, length: int, cuts: list[tuple[int, int]], single: str | None, chunk: int
) -> None:
    path = tmp_path_factory.mktemp("rewrite") / "a.wav"
    frames = noise(length)
    kept, omit, behind = np.ones(length, np.bool_), [], 0
    for start, count in sorted(cuts):
        start = max(start, behind)
        omit.append((start, count))
        kept[start : start + count] = False
        behind = start + count
    written(path, frames)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rewriting, "CHUNK_FRAMES", chunk)
        left = rewrite(path, omit=omit, single=single)  # type: ignore[arg-type]
    heard, rate_hz = soundfile.read(path, dtype="int16", always_2d=True)
    expected = frames[kept]
    if single == "both":
        expected = np.floor_divide(expected.astype(np.int32).sum(axis=1, keepdims=True), 2)
    elif single is not None:
        expected = expected[:, [int(single == "outbound")]]
    assert rate_hz == 8000
    assert left == len(heard)
    assert np.array_equal(heard, expected)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [name.name for name in path.parent.iterdir()] == ["a.wav"]


def test_the_loudest_voices_do_not_clip() -> None:
    loudest = np.array([[32767, 32767], [-32768, -32768], [32767, -32768], [5, 0]], np.int16)
    assert mixed(loudest, "both").tolist() == [32767, -32768, -1, 2]


def test_the_carriers_bytes_can_be_cut(tmp_path: Path) -> None:
    codes = np.arange(200, dtype=np.uint8).reshape(-1, 2)
    path = written(tmp_path / "a.wav", codes, Encoding.PCMU)
    assert rewrite(path, omit=[(10, 80)]) == 20
    reopened = WavFile.reopen(path)
    assert reopened is not None
    assert reopened.encoding is Encoding.PCMU
    assert np.array_equal(reopened.read(0, 20), np.concatenate([codes[:10], codes[90:]]))
    reopened.let_go()


def test_what_cannot_be_done_changes_nothing(tmp_path: Path) -> None:
    path = written(tmp_path / "a.wav", np.zeros((10, 2)), Encoding.PCMU)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="only PCM"):
        rewrite(path, single="both")
    assert path.read_bytes() == before
    path.write_bytes(b"RIFF and nothing else" * 10)
    with pytest.raises(ValueError, match="not a header"):
        rewrite(path)
    assert [name.name for name in tmp_path.iterdir()] == ["a.wav"]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    path = written(tmp_path / "a.wav", noise(10))
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / ".a.wav.tmp").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        rewrite(path, single="both")
    assert victim.read_text() == "mine"


def test_another_process_may_take_it_for_left_over_before_it_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, frames = written(tmp_path / "a.wav", noise(100)), noise(100)
    lock, removed = fcntl.flock, list[bool]()

    def after_the_other_one(fd: int, operation: int) -> None:
        if not removed:
            removed.append(True)
            removed.append(remove_left_over(tmp_path / ".a.wav.tmp"))
        lock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", after_the_other_one)
    assert rewrite(path, omit=[(0, 40)]) == 60
    assert removed == [True, True]
    assert np.array_equal(soundfile.read(path, dtype="int16", always_2d=True)[0], frames[40:])
    assert [name.name for name in tmp_path.iterdir()] == ["a.wav"]


def test_what_is_being_written_anew_is_not_left_over(tmp_path: Path) -> None:
    temporary = tmp_path / ".a.wav.tmp"
    fd = create_locked(temporary)
    assert not remove_left_over(temporary)
    os.close(fd)
    assert remove_left_over(temporary)
    assert not temporary.exists()
