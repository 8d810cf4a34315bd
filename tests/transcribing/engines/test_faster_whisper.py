"""The adapter against faster-whisper's interface: what is agreed on, when, and where it lies."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media.transcribing.contract import Recognizer, Result
from media.transcribing.engines.faster_whisper import MOST_S, RATE_HZ, WINDOW_S, FasterWhisperEngine
from strep.errors import ConfigurationError
from tests.transcribing.engines import fakes
from tests.transcribing.engines.fakes import WhisperModel, WhisperWord

STEP = RATE_HZ


@pytest.fixture(autouse=True)
def _module(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    fakes.put_module(monkeypatch, "faster_whisper", WhisperModel=WhisperModel)
    WhisperModel.heard = []
    yield
    WhisperModel.hear = staticmethod(lambda audio: [])


def second_of(number: int) -> np.ndarray[Any, Any]:
    """A second of audio that says word `number`."""
    return np.full(STEP, 100 + number, np.int16)


def hear_well(audio: np.ndarray[Any, Any]) -> list[WhisperWord]:
    """A word for each second of which there is half; the last of a recording is misheard, as it would go on."""
    edges = [0, *(np.flatnonzero(np.diff(audio)) + 1).tolist(), len(audio)]
    words = [
        WhisperWord(begin / STEP + 0.1, end / STEP - 0.1, f" w{round(float(audio[begin]) * 32768) - 100}", 0.5)
        for begin, end in pairwise(edges)
        if end - begin >= STEP // 2
    ]
    if words:
        words[-1] = words[-1]._replace(word=f" {words[-1].word.strip()}...")
    return words


def opened(path: Path, **options: str) -> Recognizer:
    engine = FasterWhisperEngine(model=str(path), **options)
    engine.load()
    return engine.open(RATE_HZ)


def test_two_opinions_that_agree_are_believed_and_a_pause_makes_all_final(tmp_path: Path) -> None:
    WhisperModel.hear = staticmethod(hear_well)
    recognizer = opened(tmp_path, language="en-US")
    partial = [recognizer.accept(second_of(number)) for number in range(3)]
    assert [[result.text for result in results] for results in partial] == [["w0..."], ["w0 w1..."], ["w0 w1 w2..."]]
    assert not any(result.is_final for results in partial for result in results)
    [final] = recognizer.finish()
    assert (final.text, final.is_final, final.confidence) == ("w0 w1 w2...", True, 0.5)
    assert [(word.start_samples, word.end_samples) for word in final.words] == [
        (round(i * STEP + 0.1 * STEP), round(i * STEP + 0.9 * STEP)) for i in range(3)
    ]
    assert WhisperModel.heard[0]["language"] == "en"
    recognizer.accept(second_of(7))
    [after] = recognizer.finish()
    assert after.words[0].start_samples == 3 * STEP + round(0.1 * STEP)
    assert WhisperModel.heard[-1]["prompt"] == "w0 w1 w2..."


def test_little_audio_is_waited_for(tmp_path: Path) -> None:
    recognizer = opened(tmp_path)
    assert recognizer.accept(second_of(0)[:800]) == ()
    assert WhisperModel.heard == []


def said(recognizer: Recognizer, seconds: int) -> list[Result]:
    finals = []
    for number in range(seconds):
        finals += [result for result in recognizer.accept(second_of(number)) if result.is_final]
    return finals + list(recognizer.finish())


def test_one_who_never_pauses_is_heard_in_windows_and_no_word_is_lost_or_doubled(tmp_path: Path) -> None:
    WhisperModel.hear = staticmethod(hear_well)
    finals = said(opened(tmp_path), 40)
    assert len(finals) > 2
    words = [word for final in finals for word in final.words]
    assert [word.word.strip(".") for word in words] == [f"w{number}" for number in range(40)]
    assert [word.start_samples // STEP for word in words] == list(range(40))
    assert max(heard["seconds"] for heard in WhisperModel.heard) <= WINDOW_S + 2


def test_one_who_is_never_agreed_on_does_not_grow_for_ever(tmp_path: Path) -> None:
    count = iter(range(1000))
    WhisperModel.hear = staticmethod(lambda audio: [WhisperWord(0.0, 1.0, f" n{next(count)}", 0.1)])
    finals = said(opened(tmp_path), 70)
    assert len(finals) >= 3
    assert max(heard["seconds"] for heard in WhisperModel.heard) <= MOST_S + 1


def test_silence_is_nothing(tmp_path: Path) -> None:
    recognizer = opened(tmp_path)
    assert recognizer.accept(second_of(0)) == []
    assert recognizer.finish() == []


def test_no_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"needs model=PATH: download a model .*Systran/faster-whisper"):
        FasterWhisperEngine()
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="is no directory"):
        FasterWhisperEngine(model=str(tmp_path / "file"))
    (tmp_path / "broken").mkdir()
    with pytest.raises(ConfigurationError, match="Unable to open file"):
        opened(tmp_path / "broken")
    with pytest.raises(ConfigurationError, match="beam=many: not a number from 1 to 10"):
        FasterWhisperEngine(model=str(tmp_path), beam="many")
