"""PocketSphinx: offline, in the wheel, no account, no download (``pip install '/path/to/strep[transcribe]'``).

Its acoustic model of US English is from the days before neural networks. With a grammar - digits, commands - it is
good; of free speech it understands what is spoken slowly and clearly, and much of a real call it does not. It takes
about a quarter of a core for each person who speaks. See docs/listening.md, `strep bench transcribe`.

A decoder with the language model takes 94 MB, and is needed only while somebody speaks. So those that speak share
`decoders` of them; what a decoder knows of a voice and a line (its cepstral mean) stays with the track.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from media.transcribing.contract import Pcm, Recognizer, Result, TranscriptionError, Word
from media.transcribing.engines.requirements import need_module, need_path, whole_number
from media.transcribing.remote import RemoteOptions
from strep.errors import ConfigurationError

RATE_HZ = 16_000
"""Of the model; with ``samprate`` 8000 it fails to initialise."""
FRAME_SAMPLES = RATE_HZ // 100
MAX_WAITING_SAMPLES = 60 * RATE_HZ
"""Of one track, for a decoder."""
DIGITS = "zero oh one two three four five six seven eight nine"
_SEARCH = "strep"


class PocketsphinxEngine:
    """See `Engine`.

    Args:
        grammar: "digits", or a file in JSGF; instead of the language model.
        keywords: a file of phrases with thresholds, ``hey you /1e-20/`` a line; instead of the language model.
        lm, dict, hmm: files of a language model, a dictionary, an acoustic model of your own.
        decoders: how many may be decoded at a time, in each process.
    """

    sample_rate_hz = RATE_HZ
    remote_options: ClassVar[RemoteOptions] = {"language": None, "grammar": ("digits",)}

    def __init__(
        self,
        grammar: str = "",
        keywords: str = "",
        lm: str = "",
        dict: str = "",
        hmm: str = "",
        decoders: str = "4",
        language: str = "en-US",
    ) -> None:
        need_module("pocketsphinx", "pocketsphinx", "strep[transcribe]")
        if sum(map(bool, (grammar, keywords, lm))) > 1:
            raise ConfigurationError("transcribe: pocketsphinx takes one of grammar, keywords and lm")
        if language.lower().replace("_", "-") not in ("en-us", "en") and not hmm:
            raise ConfigurationError(
                f"transcribe: pocketsphinx:language={language}: its model is of US English; for another language "
                "give hmm, dict and lm, or use another engine"
            )
        for option, path in (("keywords", keywords), ("lm", lm), ("dict", dict), ("hmm", hmm)):
            if path:
                need_path("pocketsphinx", option, path, "a file of CMU Sphinx")
        if grammar and grammar != "digits":
            need_path("pocketsphinx", "grammar", grammar, "a grammar in JSGF, or the word digits")
        self._grammar, self._keywords = grammar, keywords
        self._config = {name: path for name, path in (("lm", lm), ("dict", dict), ("hmm", hmm)) if path}
        self._limit = whole_number("pocketsphinx", "decoders", decoders, 1, 1000)
        self._made = 0
        self._free: list[Any] = []

    def load(self) -> None:
        """Make the first decoder."""
        try:
            self._free.append(self._make())
        except (RuntimeError, ValueError, OSError) as error:
            raise ConfigurationError(f"transcribe: pocketsphinx cannot be used: {error}") from error

    def open(self, sample_rate_hz: int) -> Recognizer:
        """Return a recognizer."""
        return PocketsphinxRecognizer(self)

    def borrow(self) -> Any:
        """Return a decoder that is free, None if all are in use."""
        if self._free:
            return self._free.pop()
        return self._make() if self._made < self._limit else None

    def give_back(self, decoder: Any) -> None:
        """Let somebody else have it."""
        self._free.append(decoder)

    def _make(self) -> Any:
        from pocketsphinx import Decoder

        config: dict[str, Any] = {"samprate": RATE_HZ, "loglevel": "FATAL", **self._config}
        if self._grammar or self._keywords:
            config["lm"] = None  # it would be loaded for nothing
        decoder = Decoder(**config)
        if self._grammar:
            decoder.add_jsgf_string(_SEARCH, _jsgf(self._grammar))
        elif self._keywords:
            decoder.add_kws(_SEARCH, self._keywords)
        if self._grammar or self._keywords:
            decoder.activate_search(_SEARCH)
        self._made += 1
        return decoder


def _jsgf(grammar: str) -> str:
    if grammar == "digits":
        return f"#JSGF V1.0;\ngrammar digits;\npublic <digits> = ({DIGITS.replace(' ', ' | ')})+;\n"
    return Path(grammar).read_text(encoding="utf-8")


class PocketsphinxRecognizer(Recognizer):
    """One track. It has a decoder while it is spoken in; where none is free, it waits."""

    def __init__(self, engine: PocketsphinxEngine) -> None:
        self._engine = engine
        self._waiting: deque[Pcm | None] = deque()  # None: the speaker paused
        self._decoder: Any = None
        self._cepstral_mean: str | None = None
        self._taken = 0  # samples that decoders were given
        self._begin = 0  # the same, of the utterance

    def accept(self, pcm: Pcm) -> Sequence[Result]:
        """See `Recognizer.accept`."""
        self._waiting.append(pcm)
        if sum(len(waits) for waits in self._waiting if waits is not None) > MAX_WAITING_SAMPLES:
            raise TranscriptionError("too many speak at once; give more decoders=, or more --transcribe-workers")
        return self._work()

    def finish(self) -> Sequence[Result]:
        """See `Recognizer.finish`."""
        self._waiting.append(None)
        return self._work()

    def poll(self) -> Sequence[Result]:
        """See `Recognizer.poll`."""
        return self._work() if self._waiting else ()

    @property
    def is_settled(self) -> bool:
        """See `Recognizer.is_settled`."""
        return not self._waiting

    def close(self) -> None:
        """See `Recognizer.close`."""
        if self._decoder is not None:
            self._decoder.end_utt()
            self._release()

    def _work(self) -> list[Result]:
        """Decode what waits, as far as there is a decoder for it."""
        results: list[Result] = []
        is_new = False
        while self._waiting:
            if self._waiting[0] is None:
                results += self._end() if self._decoder is not None else []
                is_new = False
            elif self._decoder is None and not self._start():
                break
            else:
                self._decoder.process_raw(self._waiting[0].tobytes())
                self._taken += len(self._waiting[0])
                is_new = True
            self._waiting.popleft()
        return results + (self._heard(is_final=False) if is_new else [])

    def _start(self) -> bool:
        self._decoder = self._engine.borrow()
        if self._decoder is None:
            return False
        if self._cepstral_mean is not None:
            self._decoder.set_cmn(self._cepstral_mean)
        self._begin = self._taken
        self._decoder.start_utt()
        return True

    def _end(self) -> list[Result]:
        self._decoder.end_utt()
        said = self._heard(is_final=True)
        self._release()
        return said

    def _release(self) -> None:
        self._cepstral_mean = self._decoder.get_cmn(False)
        self._engine.give_back(self._decoder)
        self._decoder = None

    def _heard(self, *, is_final: bool) -> list[Result]:
        heard = self._decoder.hyp()
        if heard is None or not heard.hypstr.strip():
            return []
        words = [word for segment in self._decoder.seg() if (word := self._word(segment)) is not None]
        if not words:
            return []
        sure = float(np.mean([word.confidence for word in words])) if is_final else None
        return [Result(" ".join(word.word for word in words), is_final, words, sure)]

    def _word(self, segment: Any) -> Word | None:
        name = segment.word.partition("(")[0]  # "to(3)": the third way to pronounce it
        if not name or name[0] in "<[+":  # silence and noises
            return None
        start = self._begin + segment.start_frame * FRAME_SAMPLES
        end = self._begin + (segment.end_frame + 1) * FRAME_SAMPLES
        return Word(name, start, end, min(max(segment.prob, 0.0), 1.0))
