"""Orders and replies, without a process."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from media.transcribing.contract import Pcm, Recognizer, Result, TranscriptionError, Word
from media.transcribing.messages import MAX_MESSAGE_BYTES, Close, Done, Finish, Give, Parser, Polls, Said, serialize
from media.transcribing.recognizers import MAX_ERROR_CHARACTERS, Recognizers
from tests.transcribing.scripted import ScriptedEngine


def give(item: int, stream: int = 1, samples: int = 800, loud: int = 100, rate_hz: int = 8000) -> Give:
    return Give(item, stream, rate_hz, np.full(samples, loud, np.int16).tobytes())


class Later(Recognizer):
    """Answers when it is asked for it."""

    def __init__(self) -> None:
        self.owes, self.is_closed, self.asked = 0, False, 0

    def accept(self, pcm: Pcm) -> Sequence[Result]:
        return ()

    def finish(self) -> Sequence[Result]:
        self.owes = 2
        return ()

    def poll(self) -> Sequence[Result]:
        self.asked += 1
        if not self.owes:
            return ()
        self.owes -= 1
        return [Result("late", True)]

    @property
    def is_settled(self) -> bool:
        return not self.owes

    def close(self) -> None:
        self.is_closed = True
        raise RuntimeError("nobody cares")


class LateEngine:
    sample_rate_hz = 0

    def __init__(self) -> None:
        self.made: list[Later] = []

    def load(self) -> None: ...

    def open(self, sample_rate_hz: int) -> Recognizer:
        self.made.append(Later())
        return self.made[-1]


def test_each_stream_has_its_own() -> None:
    recognizers = Recognizers(ScriptedEngine())
    recognizers.obey(give(1, stream=1))
    recognizers.obey(give(2, stream=2, samples=80))
    done = recognizers.obey(Finish(3, 1))
    assert done == Done(3, 1, [Result("800 samples", True, [Word("800 samples", 0, 800, 0.5)], 0.5)])
    again = recognizers.obey(give(4, stream=1))
    assert again is not None
    assert again.results[0].words[0] == Word("800 samples", 800, 1600, 0.5)


@pytest.mark.parametrize(("rate_hz", "given"), [(8000, 32_000), (16_000, 16_000), (44_100, 5805)])
def test_audio_is_converted_to_the_engines_rate(rate_hz: int, given: int) -> None:
    recognizers = Recognizers(ScriptedEngine(rate="16000"))
    for item in range(20):
        recognizers.obey(give(item, rate_hz=rate_hz))
    done = recognizers.obey(Finish(99, 1))
    assert done is not None
    assert int(done.results[0].text.split()[0]) == pytest.approx(given, abs=1)


def test_what_is_raised_is_told_and_the_next_begins_anew() -> None:
    recognizers = Recognizers(ScriptedEngine(fail="1000"))
    recognizers.obey(give(1))
    failed = recognizers.obey(give(2, loud=-2000))
    assert failed == Done(2, 1, [], settled=True, error="it is too loud")
    done = recognizers.obey(give(3, samples=8))
    assert done is not None
    assert done.results[0].text == "8 samples"


def test_a_long_error_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: ScriptedEngine, pcm: Pcm) -> None:
        raise TranscriptionError("x" * 10_000)

    monkeypatch.setattr(ScriptedEngine, "act", fail)
    done = Recognizers(ScriptedEngine()).obey(give(1))
    assert done is not None
    assert len(done.error) == MAX_ERROR_CHARACTERS


class Saying(Recognizer):
    """Says what it is given, whatever that is."""

    def __init__(self, said: object) -> None:
        self.said, self.is_closed = said, False

    def accept(self, pcm: Pcm) -> Sequence[Result]:
        if isinstance(self.said, Exception):
            raise self.said
        return self.said  # type: ignore[return-value]

    def close(self) -> None:
        self.is_closed = True


class SayingEngine:
    sample_rate_hz = 0

    def __init__(self, said: object) -> None:
        self.recognizer = Saying(said)

    def load(self) -> None: ...

    def open(self, sample_rate_hz: int) -> Recognizer:
        return self.recognizer


def reply_to(engine: SayingEngine) -> Done:
    """Return what the server is told, as it reaches it."""
    done = Recognizers(engine).obey(give(1))
    assert done is not None
    [received] = Parser().replies(serialize(done))
    assert isinstance(received, Done)
    return received


def test_numbers_may_be_numpys() -> None:
    word = Word("hey", np.int64(3), np.uint16(9), np.float64(0.5))  # type: ignore[arg-type]
    said = [Result("hey", np.True_, (word,), np.float32(0.5))]  # type: ignore[arg-type]
    assert reply_to(SayingEngine(said)).results == [Result("hey", True, [Word("hey", 3, 9, 0.5)], 0.5)]


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ([Result("hey", True, [Word("hey", 0.5, 1)])], "TypeError"),  # type: ignore[arg-type]
        ([Result("hey", True, [Word("hey", 0, 1 << 70)])], "OverflowError"),
        ([Result("\ud800", True)], "UnicodeEncodeError"),
        ([Result(b"hey", True)], "TypeError"),  # type: ignore[arg-type]
        ([Result("hey", True, confidence="much")], "ValueError"),  # type: ignore[arg-type]
        ([Result("x" * MAX_MESSAGE_BYTES, True)], "at most"),
        (["hey"], "AttributeError"),
        (None, "TypeError"),
        (TranscriptionError("\ud800 is no text"), r"\ud800 is no text"),
    ],
)
def test_what_cannot_be_sent_is_a_failure_of_the_recognizer(said: object, error: str) -> None:
    engine = SayingEngine(said)
    reply = reply_to(engine)
    assert error in reply.error
    assert reply.results == []
    assert engine.recognizer.is_closed


def test_a_pause_of_nothing() -> None:
    assert Recognizers(ScriptedEngine()).obey(Finish(1, 1)) == Done(1, 1, [])


def test_results_that_come_later() -> None:
    engine = LateEngine()
    recognizers = Recognizers(engine)
    recognizers.obey(give(1))
    assert list(recognizers.poll()) == []
    assert recognizers.obey(Finish(2, 1)) == Done(2, 1, [], settled=False)
    late = Result("late", True, [])
    owed = recognizers.poll()
    asked = engine.made[0].asked
    assert next(owed) == Polls(1)
    assert engine.made[0].asked == asked, "the server knows before it is asked"
    assert list(owed) == [Said(1, [late], settled=False), Polls(0)]
    assert list(recognizers.poll()) == [Polls(1), Said(1, [late], settled=True), Polls(0)]
    assert list(recognizers.poll()) == []
    assert recognizers.obey(Close(1)) is None
    assert engine.made[0].is_closed
    asked = engine.made[0].asked
    assert list(recognizers.poll()) == []
    assert engine.made[0].asked == asked
