"""Engines by name: those that come along, and those that a package installs."""

from __future__ import annotations

from pathlib import Path

import pytest

from media.transcribing.plugins import EngineChoice, make_engine, parse_choice
from strep.errors import ConfigurationError
from tests.transcribing.scripted import install


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("vosk", EngineChoice("vosk")),
        ("vosk:model=/a b", EngineChoice("vosk", (("model", "/a b"),))),
        (
            "websocket:url=wss://h:1/x?y=z,language=de",
            EngineChoice("websocket", (("url", "wss://h:1/x?y=z"), ("language", "de"))),
        ),
    ],
)
def test_written_and_read(text: str, choice: EngineChoice) -> None:
    assert parse_choice(text) == choice
    assert str(choice) == text


def test_a_key_is_in_no_log() -> None:
    assert str(parse_choice("websocket:key=secret,model=m")) == "websocket:key=...,model=m"


@pytest.mark.parametrize("text", ["", ":a=b", "vosk:model", "vosk:=x", "vosk:a b=x"])
def test_no_choice(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_choice(text)


def test_a_package_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "site", monkeypatch)
    assert make_engine(parse_choice("scripted:rate=16000")).sample_rate_hz == 16_000


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sphinx", "no engine 'sphinx'; there is pocketsphinx, vosk, faster-whisper, websocket"),
        ("gone", "gone .tests.transcribing.scripted:Gone. cannot be imported: AttributeError"),
        ("none", "is no engine; it lacks load, open, sample_rate_hz"),
        ("scripted:loud=yes", "cannot be made: TypeError.*loud"),
        ("vosk", "vosk needs vosk, which is not installed; pip install vosk"),
        ("faster-whisper", "pip install faster-whisper"),
        ("websocket:url=http://x", "is not ws://HOST or wss://HOST"),
        ("websocket", "needs a key for api.deepgram.com: set DEEPGRAM_API_KEY"),
    ],
)
def test_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str) -> None:
    install(tmp_path / "site", monkeypatch)
    monkeypatch.delenv("DEEPGRAM_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match=says):
        make_engine(parse_choice(text))


def test_what_no_worker_can_be_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch)
    with pytest.raises(ConfigurationError, match="scripted:'tag': its value is no Unicode text"):
        make_engine(EngineChoice("scripted", (("tag", "\ud800"),)))
