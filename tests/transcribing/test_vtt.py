"""WebVTT, against a reader of ours and against ffmpeg's."""

from __future__ import annotations

import subprocess
from pathlib import Path
from shutil import which

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.transcribing import vtt
from media.transcribing.vtt import Cue, VttFile, escape, note, timestamp
from tests.patience import PATIENCE_S
from tests.transcribing.webvtt import read

ODD = "a\n\nb --> c <v x>& \u2028d\x00\x85"


@pytest.mark.parametrize(
    ("ms", "written"),
    [(0, "00:00:00.000"), (61_005, "00:01:01.005"), (360_000_000, "100:00:00.000"), (-5, "00:00:00.000")],
)
def test_timestamps(ms: int, written: str) -> None:
    assert timestamp(ms) == written


@given(text=st.text())
def test_any_text_is_one_line_and_no_markup(text: str) -> None:
    said = escape(text)
    assert not set(said) & set("<>\n\r")
    assert "-->" not in said


def test_valid_at_every_moment(tmp_path: Path) -> None:
    file = VttFile(tmp_path, "c")
    file.append([Cue(1000, 2000, "inbound", "hello"), note(1500, 1700, f"lost {ODD}")])
    assert read(tmp_path / "c.vtt")[0] == [(1000, 2000, "inbound", "hello")]
    file.append([Cue(1500, 1500, "outbound", ODD)])
    file.append([Cue(900, 2500, "inbound", "too late")])
    cues, notes = read(tmp_path / "c.vtt")
    assert cues[1:] == [(1500, 1501, "outbound", "a b --> c <v x>& d"), (1500, 2500, "inbound", "too late")]
    assert notes == ["NOTE 00:00:01.500 to 00:00:01.700 lost a b -> c <v x>& d"]
    assert (tmp_path / "c.vtt").stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "c.vtt").write_text("mine")
    VttFile(tmp_path, "c").append([Cue(0, 1, "inbound", "x")])
    assert (tmp_path / "c.vtt").read_text() == "mine"
    assert read(tmp_path / "c.2.vtt")[0] == [(0, 1, "inbound", "x")]


def test_a_full_disk_leaves_whole_cues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = VttFile(tmp_path, "c")
    file.append([Cue(0, 1, "inbound", "x")])
    before = (tmp_path / "c.vtt").read_bytes()

    def full(fd: int, content: bytes, size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(vtt, "append_or_nothing", full)
    with pytest.raises(OSError, match="space"):
        file.append([Cue(2, 3, "inbound", "y")])
    assert (tmp_path / "c.vtt").read_bytes() == before


@pytest.mark.peer
@pytest.mark.skipif(which("ffmpeg") is None, reason="ffmpeg is not installed: make peers")
def test_ffmpeg_reads_it(tmp_path: Path) -> None:
    file = VttFile(tmp_path, "c")
    file.append([Cue(1000, 2000, "inbound", "fish & <chips>"), note(0, 5, "x"), Cue(1500, 3000, "outbound", "yes")])
    command = ["ffmpeg", "-loglevel", "error", "-i", str(tmp_path / "c.vtt"), "-f", "srt", "-"]
    said = subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE_S).stdout.decode()
    assert "00:00:01,000 --> 00:00:02,000\nfish & <chips>\n" in said
    assert "00:00:01,500 --> 00:00:03,000\nyes\n" in said
