"""PocketSphinx: what it is asked, and who has its decoders. Words are the business of test_understanding.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media.transcribing.contract import Result, TranscriptionError
from media.transcribing.engines.pocketsphinx import (
    FRAME_SAMPLES,
    MAX_WAITING_SAMPLES,
    PocketsphinxEngine,
    PocketsphinxRecognizer,
)
from strep.errors import ConfigurationError

pytest.importorskip("pocketsphinx", reason="pip install strep[transcribe]")
SPEECH = np.full(1600, 7, np.int16)


class FakeSegment:
    def __init__(self, word: str, start_frame: int, end_frame: int, prob: float) -> None:
        self.word, self.start_frame, self.end_frame, self.prob = word, start_frame, end_frame, prob


class FakeDecoder:
    """What `Decoder` of pocketsphinx 5 has of what is used."""

    def __init__(self, name: str) -> None:
        self.name, self.given, self.is_open, self.cmn = name, 0, False, f"of {name}"

    def start_utt(self) -> None:
        assert not self.is_open
        self.is_open, self.given = True, 0

    def end_utt(self) -> None:
        assert self.is_open
        self.is_open = False

    def process_raw(self, data: bytes) -> None:
        assert self.is_open
        self.given += len(data) // 2

    def hyp(self) -> Any:
        return type("Hypothesis", (), {"hypstr": "one two"})() if self.given else None

    def seg(self) -> list[FakeSegment]:
        last = self.given // FRAME_SAMPLES - 1
        return [
            FakeSegment("<s>", 0, 2, 1.0),
            FakeSegment("one", 3, 4, 1.0002),
            FakeSegment("[NOISE]", 5, 5, 1.0),
            FakeSegment("to(3)", 6, last, 0.5),
        ]

    def get_cmn(self, update: bool) -> str:
        return self.cmn

    def set_cmn(self, cmn: str) -> None:
        self.cmn = cmn


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> PocketsphinxEngine:
    def make(self: PocketsphinxEngine) -> FakeDecoder:
        self._made += 1
        return FakeDecoder(str(self._made))

    monkeypatch.setattr(PocketsphinxEngine, "_make", make)
    made = PocketsphinxEngine(decoders="1")
    made.load()
    return made


def opened(engine: PocketsphinxEngine) -> PocketsphinxRecognizer:
    recognizer = engine.open(16_000)
    assert isinstance(recognizer, PocketsphinxRecognizer)
    return recognizer


def spans(results: list[Result]) -> list[tuple[str, int, int]]:
    return [(word.word, word.start_samples, word.end_samples) for result in results for word in result.words]


def test_words_lie_in_all_that_was_given_and_noises_are_none(engine: PocketsphinxEngine) -> None:
    recognizer = opened(engine)
    [partial] = recognizer.accept(SPEECH)
    assert not partial.is_final
    [final] = recognizer.finish()
    assert (final.text, final.is_final, final.confidence) == ("one to", True, 0.75)
    assert spans([final]) == [("one", 480, 800), ("to", 960, 1600)]
    recognizer.accept(SPEECH)
    assert spans(list(recognizer.finish())) == [("one", 1600 + 480, 1600 + 800), ("to", 1600 + 960, 3200)]


def test_one_decoder_serves_several_who_speak_in_turn(engine: PocketsphinxEngine) -> None:
    first, second = opened(engine), opened(engine)
    first.accept(SPEECH)
    assert second.accept(SPEECH) == []
    assert second.finish() == []
    assert (first.is_settled, second.is_settled) == (True, False)
    assert second.poll() == []
    first.finish()
    [result] = second.poll()
    assert result.is_final
    assert second.is_settled


def test_what_is_known_of_a_voice_stays_with_it(engine: PocketsphinxEngine) -> None:
    first, second = opened(engine), opened(engine)
    first.accept(SPEECH)
    first._decoder.cmn = "of the first"
    first.finish()
    second.accept(SPEECH)
    second._decoder.cmn = "of the second"
    second.finish()
    first.accept(SPEECH)
    assert first._decoder.cmn == "of the first"


def test_one_that_is_closed_gives_its_decoder_back(engine: PocketsphinxEngine) -> None:
    first, second = opened(engine), opened(engine)
    first.accept(SPEECH)
    first.close()
    assert second.accept(SPEECH)


def test_what_waits_for_a_decoder_is_bounded(engine: PocketsphinxEngine) -> None:
    opened(engine).accept(SPEECH)
    waiting = opened(engine)
    for _ in range(MAX_WAITING_SAMPLES // len(SPEECH)):
        waiting.accept(SPEECH)
    with pytest.raises(TranscriptionError, match="too many speak at once"):
        waiting.accept(SPEECH)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"grammar": "digits", "lm": "x"}, "takes one of grammar, keywords and lm"),
        ({"language": "de-DE"}, "its model is of US English"),
        ({"grammar": "/no/such.gram"}, "there is no such file"),
        ({"decoders": "0"}, "not a number from 1 to 1000"),
    ],
)
def test_options_that_cannot_be(options: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        PocketsphinxEngine(**options)


def test_a_grammar_of_ones_own(tmp_path: Path) -> None:
    grammar = tmp_path / "yes.gram"
    grammar.write_text("#JSGF V1.0;\ngrammar a;\npublic <a> = yes | no;\n")
    engine = PocketsphinxEngine(grammar=str(grammar))
    engine.load()
    recognizer = engine.open(16_000)
    recognizer.accept(np.random.default_rng(1).integers(-3000, 3000, 16_000).astype(np.int16))
    assert all(set(result.text.split()) <= {"yes", "no"} for result in recognizer.finish())


def test_a_grammar_that_is_none(tmp_path: Path) -> None:
    grammar = tmp_path / "bad.gram"
    grammar.write_text("hello")
    with pytest.raises(ConfigurationError, match="pocketsphinx cannot be used"):
        PocketsphinxEngine(grammar=str(grammar)).load()
