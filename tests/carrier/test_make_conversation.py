"""The script that wrote the shipped conversation."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from numpy.typing import NDArray

from media.carrier import make_conversation
from media.carrier.make_conversation import DURATION_SAMPLES, SCRIPT, Line, main, make
from strep.errors import ConfigurationError


def one_second(text: str, voice: str) -> NDArray[np.int16]:
    return np.full(8_000, len(text), np.int16)


class TestMake:
    def test_lines_follow_one_another_and_interrupt(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(make_conversation, "speak", one_second)
        tracks = make((Line(1, 0.5, "a"), Line(0, -0.25, "bb"), Line(1, 0.5, "ccc")), 40_000)
        assert np.flatnonzero(tracks[1]).tolist() == [*range(4_000, 12_000), *range(22_000, 30_000)]
        assert np.flatnonzero(tracks[0]).tolist() == list(range(10_000, 18_000))

    def test_too_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(make_conversation, "speak", one_second)
        with pytest.raises(ConfigurationError, match="longer than 1 s"):
            make((Line(0, 0.5, "a"),), 8_000)

    def test_the_script_has_turns_and_interruptions(self) -> None:
        assert [line.channel for line in SCRIPT] == [1, 0] * (len(SCRIPT) // 2)
        assert any(line.after_seconds < 0 for line in SCRIPT)


class TestProgram:
    def test_missing(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(shutil, "which", lambda _: None)
        result = CliRunner().invoke(main, [str(tmp_path / "x.wav")])
        assert result.exit_code == 1
        assert "apt-get install espeak-ng" in result.output
        assert not (tmp_path / "x.wav").exists()

    @pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng")
    def test_writes_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "conversation.wav"
        result = CliRunner().invoke(main, [str(path)])
        assert result.exit_code == 0, result.output
        assert soundfile.info(path).frames == DURATION_SAMPLES

    @pytest.mark.parametrize(("script", "text"), [("exit 3", "status 3"), ("echo hello", "no audio")])
    def test_broken(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, text: str) -> None:
        program = tmp_path / "espeak-ng"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setattr(shutil, "which", lambda _: str(program))
        with pytest.raises(ConfigurationError, match=text):
            make_conversation.speak("hello", "en-us")
