"""Modules with the interfaces of vosk and faster_whisper, as their sources have them; put into `sys.modules`.

No model can be had where tests run, so what is tested against these is our side of the interface, and no recognition.
"""

from __future__ import annotations

import importlib.machinery
import json
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest


def put_module(monkeypatch: pytest.MonkeyPatch, name: str, **attributes: Any) -> None:
    module = ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    for attribute, value in attributes.items():
        setattr(module, attribute, value)
    monkeypatch.setitem(sys.modules, name, module)


class Model:
    """vosk.Model: raises Exception where there is none."""

    def __init__(self, model_path: str | None = None, model_name: str | None = None, lang: str | None = None) -> None:
        if model_path is None or model_path.endswith("broken"):
            raise Exception("Failed to create a model")
        self.path = model_path


class KaldiRecognizer:
    """vosk.KaldiRecognizer: counts seconds over all its life; finds an end by itself after a second of audio."""

    ENDPOINT_S = 1.0

    def __init__(self, model: Model, rate: float, *grammar: str) -> None:
        assert isinstance(model, Model)
        assert all(isinstance(words, str) for words in grammar)
        self._rate, self._from, self._to = rate, 0.0, 0.0
        self._words = self._partial_words = False
        self.grammar = grammar

    def SetWords(self, enable_words: bool) -> None:
        self._words = enable_words

    def SetPartialWords(self, enable_partial_words: bool) -> None:
        self._partial_words = enable_partial_words

    def AcceptWaveform(self, data: bytes) -> int:
        assert isinstance(data, bytes)
        self._to += len(data) / 2 / self._rate
        return int(self._to - self._from >= self.ENDPOINT_S)

    def PartialResult(self) -> str:
        said: dict[str, Any] = {"partial": "so" if self._to > self._from else ""}
        if self._partial_words and said["partial"]:
            said["partial_result"] = [self._word("so")]
        return json.dumps(said)

    def Result(self) -> str:
        return self._final()

    def FinalResult(self) -> str:
        return self._final()

    def _final(self) -> str:
        if self._to == self._from:
            return json.dumps({"text": ""})
        said = {"text": "said", **({"result": [self._word("said")]} if self._words else {})}
        self._from = self._to
        return json.dumps(said)

    def _word(self, word: str) -> dict[str, Any]:
        return {"conf": 0.75, "start": self._from, "end": self._to, "word": word}


class WhisperWord(NamedTuple):
    start: float
    end: float
    word: str
    probability: float


class Segment(NamedTuple):
    start: float
    end: float
    text: str
    words: list[WhisperWord] | None


class WhisperModel:
    """faster_whisper.WhisperModel: hears, in audio whose samples count words, what `hear` makes of them."""

    hear: Callable[[np.ndarray[Any, Any]], list[WhisperWord]] = staticmethod(lambda audio: [])
    heard: list[dict[str, Any]] = []  # noqa: RUF012

    def __init__(
        self,
        model_size_or_path: str,
        device: str = "auto",
        device_index: int = 0,
        compute_type: str = "default",
        cpu_threads: int = 0,
        num_workers: int = 1,
        download_root: str | None = None,
        local_files_only: bool = False,
    ) -> None:
        assert local_files_only, "nothing is to be downloaded"
        if model_size_or_path.endswith("broken"):
            raise RuntimeError("Unable to open file 'model.bin'")

    def transcribe(
        self,
        audio: np.ndarray[Any, Any],
        language: str | None = None,
        task: str = "transcribe",
        beam_size: int = 5,
        condition_on_previous_text: bool = True,
        initial_prompt: str | None = None,
        word_timestamps: bool = False,
        vad_filter: bool = False,
    ) -> tuple[Iterator[Segment], object]:
        assert audio.dtype == np.float32
        assert word_timestamps
        assert np.abs(audio).max(initial=0) <= 1
        WhisperModel.heard.append({"language": language, "prompt": initial_prompt, "seconds": len(audio) / 16_000})
        # As np.mean() returns them: https://github.com/SYSTRAN/faster-whisper, `find_alignment`.
        words = [word._replace(probability=np.float64(word.probability)) for word in WhisperModel.hear(audio)]
        text = "".join(word.word for word in words)
        return iter([Segment(0, len(audio) / 16_000, text, words)] if words else []), object()
