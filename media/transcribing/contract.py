"""What an engine of transcription is; read this first, it is all that a plug-in needs.

An engine runs in a process of its own (`media.transcribing.worker`), one thread, no event loop: it may take its time,
hold the GIL, hang or crash, and costs no call a sample of its recording. It gets speech only, each track by itself::

    class Shouter(Recognizer):
        def __init__(self):
            self.samples = 0

        def accept(self, pcm):
            self.samples += len(pcm)
            return []

        def finish(self):
            return [Result("HEY", is_final=True, words=[Word("HEY", 0, self.samples)])]


    class ShouterEngine:
        sample_rate_hz = 8000

        def load(self): ...

        def open(self, sample_rate_hz):
            return Shouter()

It reaches ``--transcribe NAME`` by an entry point, see `media.transcribing.plugins`.

Time is counted in samples that `Recognizer.accept` was given, from 0 on, over all of the recognizer's life: what was
silent was not given, and whoever calls knows where on the call's timeline each sample lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Word:
    """A word.

    Attributes:
        word: its text.
        start_samples, end_samples: where it lies, in samples that the recognizer was given; the end is exclusive.
        confidence: 0 to 1, None if the engine does not say.
    """

    word: str
    start_samples: int
    end_samples: int
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What somebody said.

    Attributes:
        text: not empty where it is final; a partial one replaces the partial before it.
        is_final: it will not change any more, and the next result is of what follows.
        words: of the text, in order; empty if the engine does not say where they are.
        confidence: 0 to 1, None if the engine does not say.
    """

    text: str
    is_final: bool
    words: Sequence[Word] = ()
    confidence: float | None = None


class Recognizer:
    """Listens to one track. What is not overridden does nothing.

    An exception that leaves it is said in the transcript; the recognizer is closed and another one goes on. So is a
    result that is none: a place that is no integer, a text that is no Unicode. Numbers may be numpy's.
    """

    def accept(self, pcm: Pcm) -> Sequence[Result]:
        """Take some speech, (n,) int16 at the rate that `Engine.open` was given; return what is new, if anything."""
        raise NotImplementedError

    def finish(self) -> Sequence[Result]:
        """The speaker paused, or the call ended: return what is final of all that was given.

        An engine that needs time for it returns nothing here, and is not `is_settled` until `poll` has returned it.
        """
        raise NotImplementedError

    def poll(self) -> Sequence[Result]:
        """Return what has come by itself; asked several times a second. For engines that answer later."""
        return ()

    @property
    def is_settled(self) -> bool:
        """Whether nothing is to be expected from `poll` unless more is given."""
        return True

    def close(self) -> None:
        """Let go of everything; nothing is asked any more. Must not wait."""


class Engine(Protocol):
    """Makes recognizers. Constructed with the options of ``--transcribe NAME:key=value,...``, which are text.

    The constructor checks them, and that what the engine needs is there, without importing or loading it: it is
    called in the server too, before there are calls.

    Attributes:
        sample_rate_hz: what its recognizers want, whatever the call has; 0: they take the call's own.
    """

    sample_rate_hz: int

    def load(self) -> None:
        """Import and load what takes long; called once, in the engine's process, before `open`.

        Raises:
            ConfigurationError: it cannot be used; the text says what to do.
        """

    def open(self, sample_rate_hz: int) -> Recognizer:
        """Return a recognizer for one track, whose audio has this rate."""


class TranscriptionError(Exception):
    """What an engine raises for something that is not a mistake in its code; the text goes into the transcript."""
