"""The caller of `strep demo` who talks with the parrot: what counts as heard back, and what does not."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

from media import cli
from media.demo import talk
from media.demo.tables import misunderstandings, talk_table
from media.demo.talk import SCRIPT, Answer, Phrase, Talk, judge
from media.talk.call import LiveCall
from media.talk.contract import Pcm

SAID = np.random.default_rng(5).integers(-8000, 8000, 40_000).astype(np.int16)
WHOLE = Phrase("Hello.", 0.5, (0.0, 1.0))
INTERRUPTED = Phrase("Hello.", 0.5, (0.0, 1.0), is_answered_whole=False)
LATER = 12_000


def heard(samples: int = WHOLE.samples, *, shift: int = LATER) -> Pcm:
    """Return what a caller hears to whom the beginning of the phrase is said back so much later."""
    pcm = np.zeros(len(SAID), np.int16)
    pcm[WHOLE.start + shift :][:samples] = SAID[WHOLE.start :][:samples]
    return pcm


def answer_to(phrase: Phrase, pcm: Pcm, *spurts: tuple[int, int]) -> Answer:
    [answer] = judge([phrase], SAID, pcm, spurts)
    return answer


class TestWhatWasHeard:
    def test_all_of_it(self) -> None:
        answer = answer_to(WHOLE, heard(), (16_000, 8000))
        assert (answer.is_right, answer.same, answer.heard_at_s) == (True, 8000, 2.0)
        assert not misunderstandings([answer])

    def test_all_of_it_in_two_stretches(self) -> None:
        assert answer_to(WHOLE, heard(), (16_000, 3000), (19_000, 5000)).is_right

    def test_nothing(self) -> None:
        answer = answer_to(WHOLE, np.zeros(len(SAID), np.int16))
        assert (answer.is_right, answer.same, answer.heard_at_s) == (False, 0, None)
        assert "of 'Hello.', 0 of 8,000 samples" in misunderstandings([answer])[0]

    @pytest.mark.parametrize("samples", [1, 7999])
    def test_less_than_all_of_it(self, samples: int) -> None:
        assert not answer_to(WHOLE, heard(samples), (16_000, samples)).is_right

    def test_one_sample_that_was_not_said(self) -> None:
        pcm = heard()
        pcm[18_000] ^= 1
        assert answer_to(WHOLE, pcm, (16_000, 8000)).same == 0

    def test_before_it_was_said(self) -> None:
        assert answer_to(WHOLE, heard(shift=-100), (3900, 8000)).same == 0

    @pytest.mark.parametrize(("samples", "is_right"), [(0, False), (1, True), (7999, True), (8000, False)])
    def test_an_answer_that_is_interrupted_ends(self, samples: int, is_right: bool) -> None:
        assert answer_to(INTERRUPTED, heard(samples), (16_000, samples)).is_right == is_right


class TestScript:
    @pytest.mark.parametrize(("seconds", "phrases"), [(1.0, 1), (20.0, 3)])
    def test_as_much_as_there_is_time_for(self, seconds: float, phrases: int, tmp_path: Path) -> None:
        made = Talk(tmp_path, seconds)
        assert len(made.phrases) == phrases
        assert made.phrases[-1].at_s < made.seconds

    def test_every_phrase_but_one_has_time_to_be_answered(self) -> None:
        for phrase, following in pairwise(SCRIPT):
            time_s = following.at_s - phrase.at_s - 2 * phrase.samples / 8000
            assert (time_s > 1) == phrase.is_answered_whole


@pytest.mark.parametrize("width", [80, 120])
def test_table_fits(width: int) -> None:
    answers = [Answer(phrase, 2.5, phrase.samples - number) for number, phrase in enumerate(SCRIPT)]
    console = Console(width=width)
    with console.capture() as shown:
        console.print(talk_table(answers, width))
    text = shown.get()
    assert all(phrase.text in text for phrase in SCRIPT)
    assert [mark for mark in text if mark in "✓≠"] == ["✓", "✓", "≠"]
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.realtime
def test_a_parrot_that_says_nothing_fails_the_demonstration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def mute(call: LiveCall) -> None:
        await call.ended()

    monkeypatch.setattr(talk, "parrot", mute)
    result = CliRunner().invoke(cli.strep, ["demo", "--seconds", "1", "--directory", str(tmp_path)])
    assert result.exit_code == cli.FAILED
    assert "0 of 11,200 samples were heard back" in result.output
