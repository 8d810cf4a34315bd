"""Vosk (https://alphacephei.com/vosk/): offline, neural, many languages; ``pip install vosk`` and a model.

Of its interface (`python/vosk/__init__.py`) this uses ``Model``, ``KaldiRecognizer``, ``AcceptWaveform``, ``Result``,
``PartialResult``, ``FinalResult``, ``SetWords``, ``SetPartialWords``, ``SetLogLevel``. It counts time over the life
of a recognizer, through all results (`src/recognizer.cc`: ``samples_round_start_``), as our contract does.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar

from media.transcribing.contract import Pcm, Recognizer, Result, Word
from media.transcribing.engines.requirements import need_module, need_path
from media.transcribing.remote import RemoteOptions
from strep.errors import ConfigurationError

_MODEL = (
    "download a model for your language from https://alphacephei.com/vosk/models (vosk-model-small-en-us-0.15 is "
    "40 MB), unpack it and name its directory"
)


class VoskEngine:
    """See `Engine`.

    Args:
        model: the directory of a model.
        words: nothing but these, separated by ``|``: phrases as ``yes|no|[unk]``; for models with a dynamic graph.
        language: ignored; the model has one.
    """

    sample_rate_hz = 0  # it resamples by itself
    remote_options: ClassVar[RemoteOptions] = {"language": None, "words": None}

    def __init__(self, model: str = "", words: str = "", language: str = "") -> None:
        need_module("vosk", "vosk", "vosk")
        self._path = need_path("vosk", "model", model, _MODEL)
        self._grammar = json.dumps(words.split("|")) if words else ""
        self._model: Any = None

    def load(self) -> None:
        """Load the model."""
        import vosk

        vosk.SetLogLevel(-1)
        try:
            self._model = vosk.Model(self._path)
        except Exception as error:  # it raises no other
            raise ConfigurationError(f"transcribe: vosk:model={self._path}: {error}; {_MODEL}") from error

    def open(self, sample_rate_hz: int) -> Recognizer:
        """Return a recognizer."""
        import vosk

        arguments = (self._grammar,) if self._grammar else ()
        kaldi = vosk.KaldiRecognizer(self._model, float(sample_rate_hz), *arguments)
        kaldi.SetWords(True)
        kaldi.SetPartialWords(True)
        return VoskRecognizer(kaldi, sample_rate_hz)


class VoskRecognizer(Recognizer):
    """One track."""

    def __init__(self, kaldi: Any, rate_hz: int) -> None:
        self._kaldi, self._rate_hz = kaldi, rate_hz

    def accept(self, pcm: Pcm) -> Sequence[Result]:
        """See `Recognizer.accept`."""
        if self._kaldi.AcceptWaveform(pcm.tobytes()):  # it found an end by itself
            return self._final(self._kaldi.Result())
        said = json.loads(self._kaldi.PartialResult())
        text = said.get("partial", "")
        return [Result(text, False, self._words(said.get("partial_result", [])))] if text else []

    def finish(self) -> Sequence[Result]:
        """See `Recognizer.finish`."""
        return self._final(self._kaldi.FinalResult())

    def _final(self, document: str) -> list[Result]:
        said = json.loads(document)
        text, words = said.get("text", ""), self._words(said.get("result", []))
        sure = [word.confidence for word in words if word.confidence is not None]
        return [Result(text, True, words, sum(sure) / len(sure) if sure else None)] if text else []

    def _words(self, entries: list[dict[str, Any]]) -> list[Word]:
        return [
            Word(
                str(entry["word"]),
                round(entry["start"] * self._rate_hz),
                round(entry["end"] * self._rate_hz),
                entry.get("conf"),
            )
            for entry in entries
        ]
