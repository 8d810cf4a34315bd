"""Person or machine: every rule, and generated calls against a slow oracle."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.hearing.machine import Finding, GreetingEnd, GreetingResumed, MachineJudge, MachineRules, Verdict
from media.hearing.tones import Tone
from media.hearing.words import Word
from tests.searching import brief

RATE_HZ = 8000
FRAME = 160


def samples(ms: int) -> int:
    return ms * RATE_HZ // 1000


def said(rules: MachineRules, *spans: tuple[int, int], tones: list[Tone] | None = None) -> list[Word | Tone]:
    """Return what the ear tells of words from begin to end, in ms, in the order in which it is known."""
    minimum, gap = (-(-ms // 20) * 20 for ms in (rules.minimum_word_length_ms, rules.between_words_silence_ms))
    known: list[tuple[int, Word | Tone]] = []
    for begin, end in spans:
        known.append((begin + minimum, Word(0, True, samples(begin), samples(begin + minimum))))
        known.append((end + gap, Word(0, False, samples(end), samples(end + gap))))
    known += [((t.position_samples + t.length_samples) // 8 + 40, t) for t in tones or []]
    return [heard for _, heard in sorted(known, key=lambda one: one[0])]


def judged(
    rules: MachineRules, heard: list[Word | Tone], until_ms: int, *, tick_ms: int = 20, start_ms: int = 0
) -> list[Finding]:
    judge, found, left = MachineJudge(rules, samples(start_ms), RATE_HZ), list[Finding](), list(heard)
    for now in range(start_ms, until_ms + 1, tick_ms):
        while left and _known(left[0]) <= samples(now):
            found += judge.receive(left.pop(0))
        found += judge.poll(samples(now))
    return found + list(judge.finish(samples(until_ms)))


def _known(heard: Word | Tone) -> int:
    if isinstance(heard, Word):
        return heard.known_samples
    return heard.position_samples + heard.length_samples + 2 * FRAME


def beep(at_ms: int, length_ms: int = 400, hz: float = 1000.0, kind: str = "beep") -> Tone:
    return Tone(0, kind, samples(at_ms), samples(length_ms), hz)


def verdict(
    *spans: tuple[int, int], tones: list[Tone] | None = None, until_ms: int = 20_000, **rules: Any
) -> Verdict:
    chosen = MachineRules(**rules)
    found = judged(chosen, said(chosen, *spans, tones=tones), until_ms)
    [one] = [finding for finding in found if isinstance(finding, Verdict)]
    return one


class TestVerdicts:
    def test_a_person_says_hello_and_waits(self) -> None:
        one = verdict((500, 900))
        assert one == Verdict("human", "silence for 800 ms after 1 word in 400 ms", samples(1700), 1, 3200, 4000)

    def test_pauses_within_what_is_said_do_not_end_it(self) -> None:
        assert verdict((500, 900), (1600, 2000)).reason == "silence for 800 ms after 2 words in 1500 ms"

    def test_nothing_is_said(self) -> None:
        assert verdict() == Verdict("silence", "nothing was said for 3500 ms", samples(3500), 0, 0, samples(3500))
        assert verdict((3500, 4000)).result == "silence", "not more, but as much"
        assert verdict((3480, 4000)).result == "human"

    def test_too_many_words(self) -> None:
        one = verdict(*((n * 200, n * 200 + 120) for n in range(1, 9)), maximum_number_of_words=5)
        assert (one.result, one.reason, one.position_samples) == ("machine", "more than 5 words", samples(1200))

    def test_too_long_a_word(self) -> None:
        rules: dict[str, Any] = {"maximum_word_length_ms": 1000, "greeting_duration_ms": 9000}
        assert verdict((500, 1500), **rules).result == "human"
        one = verdict((500, 1520), **rules)
        assert (one.result, one.reason) == ("machine", "a word of more than 1000 ms")

    def test_too_long_a_greeting(self) -> None:
        one = verdict((500, 2000), (2200, 4200))
        assert (one.result, one.reason) == ("machine", "a greeting of more than 3500 ms")
        assert one.position_samples == samples(4000)

    def test_a_greeting_that_grows_too_long_in_a_pause_has_not(self) -> None:
        assert verdict((500, 3800)).result == "human"
        assert verdict((500, 3800), (4200, 4400)).position_samples == samples(4200)

    def test_a_beep_is_a_machines(self) -> None:
        one = verdict((500, 900), tones=[beep(1200)])
        assert (one.result, one.reason) == ("machine", "a beep, 1000 Hz for 400 ms")

    def test_faxes(self) -> None:
        assert verdict(tones=[beep(1000, 500, 1100, "cng")]).reason == "1100 Hz for 500 ms, CNG"
        assert verdict(tones=[beep(200, 2600, 2100, "ced")]).reason == "2100 Hz for 2600 ms, CED"
        assert verdict((300, 600), tones=[beep(900, 500, 1100, "cng")]).result == "machine", "who speaks calls no fax"

    def test_time_is_over(self) -> None:
        one = verdict((500, 900), (1500, 2200), (2900, 3300), total_analysis_time_ms=2500)
        assert (one.result, one.reason) == ("not_sure", "no verdict within 2500 ms")

    def test_the_call_is_over(self) -> None:
        one = verdict((500, 900), until_ms=1200)
        assert (one.result, one.reason, one.words) == ("not_sure", "the call ended after 1200 ms", 1)

    def test_what_was_before_it_was_asked_is_not_known(self) -> None:
        rules = MachineRules()
        [one] = judged(rules, said(rules, (9000, 9300)), 20_000, start_ms=8000)
        assert isinstance(one, Verdict)
        assert one.silence_samples == samples(1000)


class TestTonesThatGoOn:
    @pytest.mark.parametrize("has_ended", [False, True])
    def test_what_was_due_before_it_began_does_not_wait_for_it(self, has_ended: bool) -> None:
        """Whoever asks late, for blocks are long, has the answer of whoever asks early."""
        rules = MachineRules()
        early, late = (MachineJudge(rules, 0, RATE_HZ) for _ in range(2))
        for judge in (early, late):
            assert not [found for word in said(rules, (500, 900)) for found in judge.receive(word)]
        begins = early.deadline()
        tone = Tone(0, "beep" if has_ended else "", begins, samples(300), 1000.0)
        found = late.receive(tone) if has_ended else late.poll(begins + samples(300), tone)
        assert list(found) == list(early.poll(begins)) != []
        assert list(late.poll(begins + samples(2000))) == []

    def test_a_fax_that_answers_is_known_before_its_tone_ends(self) -> None:
        judge, rules = MachineJudge(MachineRules(), 0, RATE_HZ), MachineRules()
        tone = Tone(0, "", samples(2500), samples(1120), 2103.0)
        assert list(judge.poll(samples(3640), tone)) == [], "it may become anything"
        longer = tone._replace(length_samples=samples(1500))
        [one] = judge.poll(samples(4020), longer)
        assert isinstance(one, Verdict)
        assert (one.result, one.reason) == ("fax_detected", "2103 Hz, a fax answers")
        assert rules.initial_silence_ms == 3500

    @pytest.mark.parametrize(
        ("length_ms", "hz", "result"), [(1500, 1000.0, None), (80, 2100.0, "silence"), (6100, 440.0, "silence")]
    )
    def test_others_are_waited_for_within_bounds(self, length_ms: int, hz: float, result: str | None) -> None:
        judge = MachineJudge(MachineRules(), 0, RATE_HZ)
        found = list(judge.poll(samples(9000), Tone(0, "", samples(100), samples(length_ms), hz)))
        assert [finding.result for finding in found if isinstance(finding, Verdict)] == ([result] if result else [])


class TestGreetings:
    def ends(self, *spans: tuple[int, int], tones: list[Tone] | None = None, **rules: Any) -> list[Finding]:
        chosen = MachineRules(**rules)
        first, *rest = judged(chosen, said(chosen, (500, 5000), *spans, tones=tones), 40_000)
        assert isinstance(first, Verdict)
        assert first.result == "machine"
        return rest

    def test_silence_ends_it(self) -> None:
        assert self.ends() == [GreetingEnd("ended", "silence for 1500 ms", samples(6500))]
        assert self.ends((6000, 7000)) == [GreetingEnd("ended", "silence for 1500 ms", samples(8500))]

    def test_a_beep_ends_it(self) -> None:
        assert self.ends(tones=[beep(5500)]) == [
            GreetingEnd("beep_detected", "a beep, 1000 Hz for 400 ms", samples(5900))
        ]

    def test_only_a_beep_ends_it_if_so_wanted(self) -> None:
        assert self.ends(tones=[beep(9000)], wait_for_beep=True)[0].position_samples == samples(9400)
        [end] = self.ends(wait_for_beep=True, greeting_total_analysis_time_ms=10_000)
        assert end == GreetingEnd("not_sure", "it has not ended for 10000 ms", samples(14_000))

    def test_nobody_waits_for_it_if_so_wanted(self) -> None:
        assert self.ends(detect_message_end=False) == []

    def test_it_may_go_on(self) -> None:
        found = self.ends((8000, 9000), tones=[beep(12_000)], detect_interruptions=True)
        assert [type(finding) for finding in found] == [GreetingEnd, GreetingResumed, GreetingEnd, GreetingEnd]
        assert [finding.position_samples // 8 for finding in found] == [6500, 8000, 10_500, 12_400]
        assert self.ends((8000, 9000), tones=[beep(12_000)]) == [
            GreetingEnd("ended", "silence for 1500 ms", samples(6500))
        ]


@pytest.mark.parametrize("field", [field.name for field in fields(MachineRules)])
def test_every_rule_is_bounded_and_decides_something(field: str) -> None:
    value = getattr(MachineRules(), field)
    if isinstance(value, bool):
        return
    for wrong in (-1, 9_999_999):
        given: dict[str, Any] = {field: wrong}
        with pytest.raises(ValueError, match=f"{field}={wrong}"):
            MachineRules(**given)


def test_words_that_are_too_short_to_be_known_are_none() -> None:
    assert MachineRules(minimum_word_length_ms=80).minimum_word_length_ms == 80
    with pytest.raises(ValueError, match="minimum_word_length_ms=60: 80 to 600000 ms"):
        MachineRules(minimum_word_length_ms=60)


# -- generated calls -----------------------------------------------------------------------------------


@dataclass
class Oracle:
    """Looks at every 20 ms of a call, whose words it knows beforehand; of tones it knows nothing."""

    rules: MachineRules
    spans: list[tuple[int, int]]

    def run(self, until_ms: int) -> list[tuple[str, int]]:
        """Return results and when they are certain, in ms."""
        for now in range(0, until_ms + 1, 20):
            result = self._before(now)
            if result is None:
                continue
            if result != "machine":
                return [(result, now)]
            end = next(((name, at) for at in range(now, until_ms + 1, 20) if (name := self._end(at, now))), None)
            return [(result, now), *([end] if end else [])]
        return [("not_sure", until_ms)]

    def _speaking(self, now: int) -> tuple[int, int] | None:
        return next(((begin, end) for begin, end in self.spans if begin < now < end), None)

    def _before(self, now: int) -> str | None:
        rules, spoken = self.rules, [span for span in self.spans if span[0] < now]
        speaking = self._speaking(now)
        reached = set()
        if now == rules.total_analysis_time_ms:
            reached.add("not_sure")
        if not spoken and now == rules.initial_silence_ms:
            reached.add("silence")
        if spoken and not speaking and now == spoken[-1][1] + rules.after_greeting_silence_ms:
            reached.add("human")
        if speaking and now in (
            speaking[0] + rules.maximum_word_length_ms, spoken[0][0] + rules.greeting_duration_ms,
        ):  # fmt: skip
            reached.add("machine")
        if reached:
            return min(reached)
        if any(begin == now for begin, _ in self.spans):
            first = spoken[0][0] if spoken else now
            if len(spoken) + 1 > rules.maximum_number_of_words or now >= first + rules.greeting_duration_ms:
                return "machine"
        return None

    def _end(self, now: int, since: int) -> str | None:
        rules = self.rules
        if now == since + rules.greeting_total_analysis_time_ms:
            over = "not_sure"
        else:
            over = None
        begun = [span for span in self.spans if span[0] < now or span[0] == now == since]
        speaking = any(begin <= now < end for begin, end in begun)
        quiet = not speaking and begun and now == begun[-1][1] + rules.greeting_silence_duration_ms
        return "ended" if quiet and not rules.wait_for_beep else over


STEPS = st.integers(1, 60).map(lambda n: 20 * n)
RULES = st.builds(
    MachineRules,
    initial_silence_ms=STEPS,
    after_greeting_silence_ms=STEPS,
    greeting_duration_ms=STEPS,
    maximum_word_length_ms=STEPS,
    minimum_word_length_ms=st.sampled_from([80, 100, 160]),
    between_words_silence_ms=st.sampled_from([20, 50, 100]),
    maximum_number_of_words=st.integers(0, 5),
    total_analysis_time_ms=st.integers(1, 200).map(lambda n: 20 * n),
    greeting_silence_duration_ms=STEPS,
    greeting_total_analysis_time_ms=st.integers(1, 100).map(lambda n: 20 * n),
    wait_for_beep=st.booleans(),
)
LENGTHS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 60)), max_size=8)


@given(RULES, LENGTHS, st.sampled_from([20, 60, 100]))
@brief(150)
def test_every_call_is_judged_as_the_oracle_says(
    rules: MachineRules, lengths: list[tuple[int, int]], tick_ms: int
) -> None:
    spans, at = list[tuple[int, int]](), 0
    gap = -(-rules.between_words_silence_ms // 20) * 20
    for pause, word in lengths:
        begin = at + (gap if spans else 0) + 20 * pause
        at = begin + rules.minimum_word_length_ms + 20 * word
        spans.append((begin, at))
    found = judged(rules, said(rules, *spans), 9000, tick_ms=tick_ms)
    told = [
        (finding.result, finding.position_samples // 8)
        for finding in found
        if not isinstance(finding, GreetingResumed)
    ]
    assert told == Oracle(rules, spans).run(9000)
