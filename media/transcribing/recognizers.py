"""`Recognizers`: the engine's side: orders in, replies out, one recognizer for each stream. Sans-I/O."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from media.transcribing.contract import Engine, Recognizer, Result, TranscriptionError, Word
from media.transcribing.messages import Close, Done, Finish, Give, Polls, Said, serialize
from media.transcribing.rates import Converter

MAX_ERROR_CHARACTERS = 300


@dataclass(slots=True)
class _Listener:
    recognizer: Recognizer
    converter: Converter
    is_settled: bool = True  # when it was asked last


class Recognizers:
    """All recognizers of one process. A stream is opened by its first audio, anew after a failure."""

    def __init__(self, engine: Engine) -> None:
        """Use an engine that is loaded."""
        self._engine = engine
        self._listeners: dict[int, _Listener] = {}

    def obey(self, order: Give | Finish | Close) -> Done | None:
        """Do as one is told; whatever the recognizer raises is in the reply."""
        if isinstance(order, Close):
            self._close(order.stream)
            return None
        results, is_settled, error = self._try(order.stream, lambda: self._obey(order))
        return Done(order.item, order.stream, results, is_settled, error)

    def poll(self) -> Iterator[Polls | Said]:
        """Yield what has come by itself, and whom that is expected of before it is asked."""
        is_said = False
        for stream, listener in list(self._listeners.items()):
            was_settled = listener.is_settled
            if not was_settled:
                is_said = True
                yield Polls(stream)
            results, is_settled, error = self._try(stream, listener.recognizer.poll)
            if results or error or is_settled != was_settled:
                yield Said(stream, results, is_settled, error)
        if is_said:
            yield Polls(0)

    def close(self) -> None:
        """Close all."""
        for stream in list(self._listeners):
            self._close(stream)

    def _obey(self, order: Give | Finish) -> Iterable[Result]:
        listener = self._listeners.get(order.stream)
        if isinstance(order, Give):
            if listener is None:
                listener = self._open(order)
            converted = listener.converter.convert(np.frombuffer(order.pcm, np.int16))
            return listener.recognizer.accept(converted) if len(converted) else ()
        return self._finish(listener) if listener is not None else ()

    def _open(self, order: Give) -> _Listener:
        rate_hz = self._engine.sample_rate_hz or order.rate_hz
        listener = _Listener(self._engine.open(rate_hz), Converter(order.rate_hz, rate_hz))
        self._listeners[order.stream] = listener
        return listener

    def _finish(self, listener: _Listener) -> list[Result]:
        rest = listener.converter.finish()
        results = [*listener.recognizer.accept(rest)] if len(rest) else []
        return [*results, *listener.recognizer.finish()]

    def _try(self, stream: int, what: Callable[[], Iterable[Result]]) -> tuple[list[Result], bool, str]:
        """Return results that can be sent, whether they are all, and what was raised."""
        try:
            results = [_plain(result) for result in what()]
            serialize(Said(stream, results))  # what no message can hold is the recognizer's mistake, too
            listener = self._listeners.get(stream)
            if listener is None:
                return results, True, ""
            listener.is_settled = bool(listener.recognizer.is_settled)
            return results, listener.is_settled, ""
        except TranscriptionError as error:
            said = str(error)
        except Exception as error:  # code of others: the stream is told, the next recognizer goes on
            said = repr(error)
        self._close(stream)
        return [], True, printable(said)[:MAX_ERROR_CHARACTERS]

    def _close(self, stream: int) -> None:
        listener = self._listeners.pop(stream, None)
        if listener is not None:
            with suppress(Exception):  # code of others, of which nothing is wanted any more
                listener.recognizer.close()


def printable(text: str) -> str:
    """Return a text that can be sent, with what is no Unicode in it escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def _plain(result: Result) -> Result:
    """Return a result in Python's own numbers, for engines return numpy's."""
    words = [
        Word(str(word.word), operator.index(word.start_samples), operator.index(word.end_samples), _sure(word))
        for word in result.words
    ]
    if not isinstance(result.text, str):
        raise TypeError(f"text={result.text!r}: is no text")
    return Result(result.text, bool(result.is_final), words, _sure(result))


def _sure(of: Word | Result) -> float | None:
    return None if of.confidence is None else float(of.confidence)
