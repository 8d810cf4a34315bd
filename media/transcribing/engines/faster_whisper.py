"""faster-whisper (https://github.com/SYSTRAN/faster-whisper): Whisper on CTranslate2; ``pip install faster-whisper``.

Whisper listens to a whole recording and knows no streams. So what was said since the last final result is listened to
again and again, a step later each time, and two opinions in a row that agree are believed: LocalAgreement-2, of
Macháček, Dabre, Bojar: Turning Whisper into Real-Time Transcription System (2023), https://arxiv.org/abs/2307.14743.
A speaker's pause makes all of it final; one who makes none gets what is agreed on made final after `WINDOW_S`.

The price is that every second is decoded several times: a small model on a few cores is what a live call can have.
"""

from __future__ import annotations

import os.path
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from media.transcribing.contract import Pcm, Recognizer, Result, Word
from media.transcribing.engines.requirements import need_module, need_path, whole_number
from media.transcribing.remote import RemoteOptions
from strep.errors import ConfigurationError

RATE_HZ = 16_000
STEP_S = 1.0
"""Of new speech, after which it listens again."""
WINDOW_S = 15.0
"""Of speech that it listens to at most, unless nothing is agreed on; Whisper itself takes 30 s."""
MOST_S = 28.0
_LEAST_S = 0.2
_MODEL = (
    "download a model that is converted to CTranslate2, such as "
    "https://huggingface.co/Systran/faster-whisper-base.en, and name its directory"
)


class FasterWhisperEngine:
    """See `Engine`.

    Args:
        model: the directory of a model; nothing is downloaded.
        device, compute_type: see ``faster_whisper.WhisperModel``.
        language: such as "en"; found out from each piece of speech unless given.
        beam: width of the search.
        threads: of each process.
    """

    sample_rate_hz = RATE_HZ
    remote_options: ClassVar[RemoteOptions] = {"language": None}

    def __init__(
        self,
        model: str = "",
        device: str = "cpu",
        compute_type: str = "int8",
        language: str = "",
        beam: str = "1",
        threads: str = "1",
    ) -> None:
        need_module("faster-whisper", "faster_whisper", "faster-whisper")
        self._path = need_path("faster-whisper", "model", model, _MODEL)
        if not os.path.isdir(model):
            raise ConfigurationError(f"transcribe: faster-whisper:model={model}: is no directory; {_MODEL}")
        self._device, self._compute_type = device, compute_type
        self._beam = whole_number("faster-whisper", "beam", beam, 1, 10)
        self._threads = whole_number("faster-whisper", "threads", threads, 1, 256)
        self._language = language.partition("-")[0].lower() or None
        self._model: Any = None

    def load(self) -> None:
        """Load the model."""
        from faster_whisper import WhisperModel

        try:
            self._model = WhisperModel(
                self._path,
                device=self._device,
                compute_type=self._compute_type,
                cpu_threads=self._threads,
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise ConfigurationError(f"transcribe: faster-whisper:model={self._path}: {error}; {_MODEL}") from error

    def open(self, sample_rate_hz: int) -> Recognizer:
        """Return a recognizer."""
        return WhisperRecognizer(self)

    def listen(self, audio: Pcm, prompt: str) -> list[Word]:
        """Return the words in some speech, in samples from its beginning; `prompt` was said before it."""
        segments, _ = self._model.transcribe(
            audio.astype(np.float32) / 32768,
            language=self._language,
            beam_size=self._beam,
            word_timestamps=True,
            condition_on_previous_text=False,
            initial_prompt=prompt or None,
            vad_filter=False,
        )
        return [
            # They are numpy's floats.
            Word(word.word.strip(), round(word.start * RATE_HZ), round(word.end * RATE_HZ), float(word.probability))
            for segment in segments
            for word in segment.words or ()
            if word.word.strip()
        ]


class WhisperRecognizer(Recognizer):
    """One track.

    What it has is ``_audio``, from ``_begin`` on, and of the words in it the first ``_agreed``; ``_opinion`` is what
    the last listening found behind those.
    """

    def __init__(self, engine: FasterWhisperEngine) -> None:
        self._engine = engine
        self._audio: Pcm = np.empty(0, np.int16)
        self._begin = 0
        self._heard = 0  # samples of the audio that were listened to
        self._agreed: list[Word] = []
        self._opinion: list[Word] = []
        self._before = ""  # what was final last

    def accept(self, pcm: Pcm) -> Sequence[Result]:
        """See `Recognizer.accept`."""
        self._audio = np.concatenate([self._audio, pcm])
        if len(self._audio) - self._heard < STEP_S * RATE_HZ:
            return ()
        self._listen()
        if self._agreed and len(self._audio) > WINDOW_S * RATE_HZ:
            return self._make_final(self._agreed, self._agreed[-1].end_samples)
        if len(self._audio) > MOST_S * RATE_HZ:
            return self._make_final(self._agreed + self._opinion, self._begin + len(self._audio))
        return _result(self._agreed + self._opinion, is_final=False)

    def finish(self) -> Sequence[Result]:
        """See `Recognizer.finish`."""
        if self._heard < len(self._audio):
            self._listen()
        return self._make_final(self._agreed + self._opinion, self._begin + len(self._audio))

    def _listen(self) -> None:
        """Listen to all that is not final; keep what two opinions in a row agree on."""
        self._heard = len(self._audio)
        if self._heard < _LEAST_S * RATE_HZ:
            return
        found = [
            Word(word.word, self._begin + word.start_samples, self._begin + word.end_samples, word.confidence)
            for word in self._engine.listen(self._audio, self._before)
        ]
        behind = found[len(self._agreed) :]
        alike = 0
        while alike < min(len(behind), len(self._opinion)) and _same(behind[alike], self._opinion[alike]):
            alike += 1
        self._agreed += behind[:alike]
        self._opinion = behind[alike:]

    def _make_final(self, words: list[Word], end: int) -> list[Result]:
        passed = max(end - self._begin, 0)
        if words is not self._agreed:
            self._opinion = []
        said, self._agreed = words, []
        self._audio, self._begin = self._audio[passed:], self._begin + passed
        self._heard = max(self._heard - passed, 0)
        results = _result(said, is_final=True)
        if results:
            self._before = results[0].text
        return results


def _same(one: Word, other: Word) -> bool:
    return one.word.strip(" .,;:!?").casefold() == other.word.strip(" .,;:!?").casefold()


def _result(words: list[Word], *, is_final: bool) -> list[Result]:
    if not words:
        return []
    sure = [word.confidence for word in words if word.confidence is not None]
    return [Result(" ".join(word.word for word in words), is_final, words, sum(sure) / len(sure) if sure else None)]
