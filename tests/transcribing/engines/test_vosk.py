"""The adapter against Vosk's interface; there is no model to recognise anything with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from media.transcribing.contract import Result, Word
from media.transcribing.engines.vosk import VoskEngine
from strep.errors import ConfigurationError
from tests.transcribing.engines import fakes


@pytest.fixture(autouse=True)
def _vosk(monkeypatch: pytest.MonkeyPatch) -> None:
    fakes.put_module(
        monkeypatch,
        "vosk",
        Model=fakes.Model,
        KaldiRecognizer=fakes.KaldiRecognizer,
        SetLogLevel=lambda level: None,
    )


def loaded(path: Path, **options: str) -> VoskEngine:
    engine = VoskEngine(model=str(path), **options)
    engine.load()
    return engine


def test_partial_then_final_with_times_over_all_of_it(tmp_path: Path) -> None:
    recognizer = loaded(tmp_path).open(8000)
    pcm = np.zeros(4000, np.int16)
    assert recognizer.accept(pcm) == [Result("so", False, [Word("so", 0, 4000, 0.75)])]
    assert recognizer.accept(pcm) == [Result("said", True, [Word("said", 0, 8000, 0.75)], 0.75)], "an end of its own"
    recognizer.accept(pcm)
    assert recognizer.finish() == [Result("said", True, [Word("said", 8000, 12_000, 0.75)], 0.75)]
    assert recognizer.finish() == []
    assert recognizer.is_settled


def test_words_only(tmp_path: Path) -> None:
    recognizer = loaded(tmp_path, words="ja|nein").open(16_000)
    assert recognizer._kaldi.grammar == ('["ja", "nein"]',)  # type: ignore[attr-defined]


def test_no_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"needs model=PATH: download a model .*alphacephei.com/vosk/models"):
        VoskEngine()
    with pytest.raises(ConfigurationError, match="there is no such file or directory; download"):
        VoskEngine(model=str(tmp_path / "none"))
    broken = tmp_path / "broken"
    broken.mkdir()
    with pytest.raises(ConfigurationError, match="Failed to create a model; download"):
        loaded(broken)
