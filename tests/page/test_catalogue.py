"""Recordings by name: what is listed, and what no name leads to."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from media.config import ServerConfig
from media.page.catalogue import Catalogue, catalogue_of, open_file
from media.page.levels import SILENT
from media.page.peaks import MAX_BUCKETS, READ_FRAMES, peaks_of
from strep.clock import NS_PER_SECOND, ManualClock


def record(directory: Path, name: str, mtime: int = 0, **more: Any) -> None:
    """Write a recording of a second of nothing."""
    directory.mkdir(exist_ok=True)
    said = {
        "schema_version": 1, "state": "complete", "call_id": name, "door": "ws", "identity": {"from": "+1"},
        "started_at": "2026-01-01T00:00:00.000000Z", "reason": "stop", "error": None, "file": f"{name}.wav",
        "sample_rate_hz": 8000, "length_samples": 8000, "note": "", "format": "pcm16", "encrypted_to": [],
    }  # fmt: skip
    soundfile.write(directory / f"{name}.wav", np.zeros((8000, 2), np.int16), 8000)
    path = directory / f"{name}.json"
    path.write_text(json.dumps(said | more) + "\n")
    os.utime(path, (mtime, mtime))


def test_the_newest_first(tmp_path: Path) -> None:
    for number in range(5):
        record(tmp_path / "a", f"call-{number}", mtime=1000 + number)
    record(tmp_path / "b", "take", mtime=2000)
    (tmp_path / "a" / ".hidden.json").write_text("{}")
    (tmp_path / "a" / "broken.json").write_text("{")
    os.utime(tmp_path / "a" / "broken.json", (1, 1))
    clock = ManualClock()
    catalogue = Catalogue([tmp_path / "a", tmp_path / "b", tmp_path / "nowhere"], clock)
    total, found = catalogue.page(0, 3)
    assert (total, [one["name"] for one in found]) == (7, ["take", "call-4", "call-3"])
    assert [one["name"] for one in catalogue.page(5, 10)[1]] == ["call-0", "broken"]
    assert catalogue.page(6, 1)[1] == [{"name": "broken", "state": "unreadable"}]
    record(tmp_path / "b", "newer", mtime=3000)
    assert catalogue.page(0, 1)[0] == 7, "a directory is not read that often"
    assert catalogue.sidecar("newer"), "but what is asked for by name is found"
    clock.advance(3 * NS_PER_SECOND)
    assert catalogue.page(0, 1)[1][0]["name"] == "newer"


def test_a_name_takes_no_look_at_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A player asks for a piece every few seconds, and there may be a million files."""
    for folder, length in (("a", 1), ("b", 2)):
        record(tmp_path / folder, "call", mtime=length, length_samples=length)
    monkeypatch.setattr(os, "scandir", None)
    catalogue = Catalogue([tmp_path / "a", tmp_path / "b"], ManualClock())
    assert catalogue.audio("call") == tmp_path / "b" / "call.wav", "the newest, as the list has it"
    assert json.loads(catalogue.sidecar("call") or b"")["length_samples"] == 2
    assert catalogue.audio("none") is None
    assert catalogue.sidecar("none") is None


def test_looks_are_as_rare_as_they_are_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, scan = ManualClock(), os.scandir
    looks = []

    def slow(path: Path) -> Any:
        clock.advance(NS_PER_SECOND)
        looks.append(path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", slow)
    catalogue = Catalogue([tmp_path], clock)
    for _ in range(40):
        catalogue.page(0, 1)
        clock.advance(NS_PER_SECOND)
    assert len(looks) == 2


def test_what_can_be_played(tmp_path: Path) -> None:
    record(tmp_path, "clear")
    record(tmp_path, "sealed", file="sealed.wav.sealed", encrypted_to=["age1x"])
    record(tmp_path, "gone", file=None)
    catalogue = Catalogue([tmp_path], ManualClock())
    found = {one["name"]: (one["is_playable"], one["is_sealed"]) for one in catalogue.page(0, 9)[1]}
    assert found == {"clear": (True, False), "sealed": (False, True), "gone": (False, False)}
    assert catalogue.audio("clear") == tmp_path / "clear.wav"
    assert catalogue.audio("sealed") is None
    assert catalogue.audio("gone") is None


class TestNamesThatLeadNowhere:
    @pytest.mark.parametrize(
        "name", ["../secret", "..", ".", "", "/etc/passwd", "a/b", "a\0", "secret\n", ".secret", "é"]
    )
    def test_paths(self, tmp_path: Path, name: str) -> None:
        record(tmp_path, "secret")
        record(tmp_path / "inside", "a")
        catalogue = Catalogue([tmp_path / "inside"], ManualClock())
        assert catalogue.sidecar(name) is None
        assert catalogue.audio(name) is None
        assert catalogue.beside(name, ".events.jsonl") is None

    @pytest.mark.parametrize("file", ["../secret.wav", "/etc/passwd", "..", "link.wav", "folder.wav", "missing.wav"])
    def test_what_a_sidecar_says(self, tmp_path: Path, file: str) -> None:
        record(tmp_path, "secret")
        inside = tmp_path / "inside"
        record(inside, "a", file=file)
        (inside / "link.wav").symlink_to(tmp_path / "secret.wav")
        (inside / "folder.wav").mkdir()
        assert Catalogue([inside], ManualClock()).audio("a") is None

    def test_what_became_a_link_meanwhile(self, tmp_path: Path) -> None:
        record(tmp_path, "secret")
        record(tmp_path / "inside", "a")
        path = Catalogue([tmp_path / "inside"], ManualClock()).audio("a")
        assert path is not None
        with open_file(path) or pytest.fail("it is there") as file:
            assert file.read() == path.read_bytes()
        path.unlink()
        assert open_file(path) is None
        path.symlink_to(tmp_path / "secret.wav")
        assert open_file(path) is None
        path.unlink()
        os.mkfifo(path)
        assert open_file(path) is None

    def test_a_sidecar_that_is_elsewhere(self, tmp_path: Path) -> None:
        record(tmp_path, "secret")
        inside = tmp_path / "inside"
        inside.mkdir()
        (inside / "a.json").symlink_to(tmp_path / "secret.json")
        os.mkfifo(inside / "b.json")
        catalogue = Catalogue([inside], ManualClock())
        assert catalogue.page(0, 9) == (0, [])
        assert catalogue.sidecar("a") is None
        assert catalogue.sidecar("b") is None


def test_off_unless_it_is_on(tmp_path: Path) -> None:
    clock = ManualClock()
    assert catalogue_of(ServerConfig(record=tmp_path), clock) is None
    assert catalogue_of(ServerConfig(http_recordings="on"), clock) is None
    assert catalogue_of(ServerConfig(record=tmp_path, http_recordings="on"), clock) is not None


class TestPeaks:
    @pytest.mark.parametrize("frames", [1, 999, 8000, READ_FRAMES + 12_345])
    def test_of_all_pieces(self, tmp_path: Path, frames: int) -> None:
        random = np.random.default_rng(frames)
        pcm = random.integers(-3000, 3000, (frames, 2)).astype(np.int16)
        pcm[:, 1] = 0
        soundfile.write(tmp_path / "a.wav", pcm, 8000)
        found = peaks_of(tmp_path / "a.wav", 100)
        bucket = found["bucket_samples"]
        assert (found["length_samples"], bucket) == (frames, -(-frames // 100))
        left, right = found["channels"]
        assert len(left["peak"]) == -(-frames // bucket)
        for number, (peak, rms) in enumerate(zip(left["peak"], left["rms"], strict=True)):
            piece = pcm[number * bucket : (number + 1) * bucket, 0].astype(float)
            assert peak == pytest.approx(-40 * np.log10(np.abs(piece).max() / 32768), abs=0.6)
            assert rms == pytest.approx(-40 * np.log10(np.sqrt((piece**2).mean()) / 32768), abs=0.6)
        assert set(right["peak"]) == {SILENT}

    def test_of_nothing(self, tmp_path: Path) -> None:
        soundfile.write(tmp_path / "a.wav", np.zeros((0, 2), np.int16), 8000)
        assert peaks_of(tmp_path / "a.wav", MAX_BUCKETS)["channels"] == [{"peak": [], "rms": []}] * 2
