"""Words: stretches of voice between short silences, of tracks that are attended to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from media.hearing.ear import VOICE, WORDS, Ear, Heard
from media.hearing.voice import Voice
from media.hearing.words import MIN_WORD_MS, Word
from tests.hearing.audio import RATE_HZ, batches, line, silence, tones
from tests.hearing.test_voice import murmur


def ear(
    *kinds: str, min_word_ms: int = 100, gap_ms: int = 50, min_level: float = 0, keys: Sequence[int] = (0,)
) -> Ear:
    one = Ear(kinds or (WORDS,))
    for key in keys:
        one.attend(key, min_word_ms, gap_ms, min_level)
    return one


def words(found: Sequence[Heard], key: int = 0) -> list[tuple[float, float]]:
    """Return begin and end of each, in seconds."""
    mine = [heard for heard in found if isinstance(heard, Word) and heard.key == key]
    assert [word.begins for word in mine] == [True, False] * (len(mine) // 2)
    at = [word.position_samples / RATE_HZ for word in mine]
    return list(zip(at[::2], at[1::2], strict=True))


def hear(one: Ear, *pieces: np.ndarray, block_ms: int = 20, noise: float = 10.0) -> list[Heard]:
    return [heard for batch in batches([line(*pieces, noise=noise)], block_ms) for heard in one.receive(batch)]


def test_pauses_that_are_part_of_a_sentence_part_words() -> None:
    said = silence(1), murmur(0.4), silence(0.1), murmur(0.3), silence(0.5)
    found = hear(ear(WORDS, VOICE), *said)
    assert words(found) == [pytest.approx((1, 1.4), abs=0.03), pytest.approx((1.5, 1.8), abs=0.03)]
    assert len([heard for heard in found if isinstance(heard, Voice) and heard.speaks]) == 1
    assert len(words(hear(ear(gap_ms=200), *said))) == 1


def test_only_what_is_asked_for_is_told() -> None:
    assert hear(Ear((WORDS,)), silence(1), murmur(1), silence(1)) == [], "nobody attends to it"
    assert all(isinstance(heard, Word) for heard in hear(ear(), silence(1), murmur(1), silence(1)))
    one = ear()
    one.neglect(0)
    assert hear(one, silence(1), murmur(1), silence(1)) == []
    with pytest.raises(ValueError, match="does not listen for words"):
        Ear((VOICE,)).attend(0, 100, 50, 0)


def test_short_sounds_tones_and_quiet_ones_are_no_words() -> None:
    assert words(hear(ear(), silence(1), murmur(0.06), silence(1), tones(0.4, 1000), silence(1))) == []
    assert words(hear(ear(min_level=2500), silence(1), murmur(1, 1000), silence(1))) == []
    assert len(words(hear(ear(), silence(1), murmur(0.15), silence(1)))) == 1
    assert words(hear(ear(min_word_ms=200), silence(1), murmur(0.15), silence(1))) == []


@pytest.mark.parametrize("min_word_ms", [20, 60, MIN_WORD_MS])
def test_no_word_is_known_before_its_fourth_frame(min_word_ms: int) -> None:
    random, lively = np.random.default_rng(3), np.tile(np.repeat([800, 3000, 6000], 160), 3)
    said = [piece for n in range(20) for piece in (random.normal(0, lively[: 400 + 40 * n]), silence(0.3))]
    found = [word for word in hear(ear(min_word_ms=min_word_ms), silence(1), *said) if isinstance(word, Word)]
    ages = [(word.known_samples - word.position_samples) * 1000 // RATE_HZ for word in found if word.begins]
    assert min(ages) == MIN_WORD_MS


def test_what_sounds_on_as_loud_as_before_is_no_silence() -> None:
    """The floor has risen to it: nobody is waiting for an answer there."""
    organ = tones(3, 500, 630, amplitude=2000)
    assert words(hear(ear(), silence(1), murmur(0.5, 2000), organ, silence(1))) == [pytest.approx((1, 4.5), abs=0.05)]
    [(_, end)] = words(hear(ear(), silence(1), murmur(0.5, 2000), 0.2 * organ, silence(1)))
    assert end < 3, "a hum is no word"


def test_blocks_of_any_length_and_tracks_side_by_side() -> None:
    said = [silence(0.7), murmur(0.5), silence(0.08), murmur(0.7), silence(1.02)]
    assert words(hear(ear(), *said)) == words(hear(ear(), *said, block_ms=60))
    lines = [line(*said), line(silence(2), murmur(0.6), silence(0.4)), line(silence(3))]
    one = ear(keys=(0, 2, 4))
    found = [heard for batch in batches(lines) for heard in one.receive(batch)]
    assert [len(words(found, key)) for key in (0, 2, 4)] == [2, 1, 0]


def test_loss_is_neither_voice_nor_silence() -> None:
    made = line(silence(1), murmur(0.5), silence(1))
    lost = made.lost.copy()
    lost[9600:10_400] = True  # 100 ms
    pcm = made.pcm.copy()
    pcm[lost] = 0
    one = ear()
    found = [heard for batch in batches([replace(made, pcm=pcm, lost=lost)]) for heard in one.receive(batch)]
    assert words(found) == [pytest.approx((1, 1.5), abs=0.03)]


def test_a_word_ends_with_the_call() -> None:
    one = ear()
    begun = hear(one, silence(1), murmur(1))[0]
    assert isinstance(begun, Word)
    assert [heard.begins for heard in one.forget(0) if isinstance(heard, Word)] == []
    one = ear()
    pcm = line(silence(1), murmur(1)).pcm[: 2 * RATE_HZ]
    made = replace(line(silence(1)), pcm=pcm, lost=np.zeros(len(pcm), np.bool_))
    for batch in batches([made]):
        one.receive(batch)
    [end] = one.forget(0)
    assert isinstance(end, Word)
    assert not end.begins
    assert end.position_samples == pytest.approx(2 * RATE_HZ, abs=200)
    assert hear(one, silence(1), murmur(1), silence(1)) == [], "the next call is nobody's yet"
