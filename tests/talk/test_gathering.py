"""Digits until there are enough of them: every rule, and generated histories against a slow oracle."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.talk.gathering import KEYS, Gathered, Gathering, GatherRules, Phase
from strep.clock import NEVER_NS, NS_PER_MS
from tests.searching import brief


def ms(value: int) -> int:
    return value * NS_PER_MS


def gathered(keys: str, *, every_ms: int = 100, until_ms: int = 200_000, **rules: object) -> Gathered | None:
    """Press `keys` one after another, a space is a pause; then wait."""
    one = Gathering(GatherRules(**rules), 0, has_prompt=False)  # type: ignore[arg-type]
    for number, key in enumerate(keys, 1):
        if key != " ":
            one.receive(key, ms(number * every_ms))
    one.poll(ms(until_ms))
    return one.result


class TestEntries:
    def test_a_terminating_digit_completes_it_and_is_no_part_of_it(self) -> None:
        assert gathered("427#9") == Gathered("427", "valid", "ended by #", "#", 1)

    def test_each_of_several_terminating_digits(self) -> None:
        assert gathered("42*", terminating_digit="*#") == Gathered("42", "valid", "ended by *", "*", 1)

    def test_without_one_it_is_a_digit_like_others(self) -> None:
        result = gathered("4#", terminating_digit="", maximum_digits=2)
        assert result == Gathered("4#", "valid", "2 digits, which is the most", "", 1)

    def test_the_maximum_completes_it(self) -> None:
        assert gathered("12345", maximum_digits=4) == Gathered("1234", "valid", "4 digits, which is the most", "", 1)

    def test_too_few(self) -> None:
        result = gathered("12#", minimum_digits=4)
        assert result == Gathered("12", "invalid", "ended by #; 2 digits of at least 4", "#", 1)
        assert gathered("#") == Gathered("", "invalid", "ended by #; 0 digits of at least 1", "#", 1)

    def test_a_digit_that_is_not_valid_is_told_at_the_end(self) -> None:
        result = gathered("1952#", valid_digits="1234")
        assert result == Gathered("1952", "invalid", "ended by #; 2 of 4 digits not valid", "#", 1)

    def test_what_is_no_key_is_ignored(self) -> None:
        one = Gathering(GatherRules(maximum_digits=1), 0, has_prompt=True)
        for rubbish in ("x", "", "12", "é"):
            one.receive(rubbish, 0)
        assert one.phase is Phase.PROMPTED
        assert one.digits == ""


class TestTimeouts:
    def test_no_digit(self) -> None:
        one = Gathering(GatherRules(initial_timeout_ms=700), 0, has_prompt=False)
        assert one.deadline() == ms(700)
        one.poll(ms(700) - 1)
        assert one.phase is Phase.AWAITED
        one.poll(ms(700))
        assert one.result == Gathered("", "timeout", "no digit within 700 ms", "", 1)
        assert one.deadline() == NEVER_NS

    def test_no_other_digit_is_valid_if_there_are_enough(self) -> None:
        reason = "no other digit within 5000 ms"
        assert gathered("12") == Gathered("12", "valid", reason, "", 1)
        assert gathered("12", minimum_digits=3) == Gathered(
            "12", "invalid", f"{reason}; 2 digits of at least 3", "", 1
        )

    def test_every_digit_gives_as_much_time_again_but_no_more_than_all_of_it(self) -> None:
        result = gathered("1234567890", every_ms=900, inter_digit_timeout_ms=1000, timeout_ms=5000)
        assert result == Gathered("12345", "valid", "not complete within 5000 ms", "", 1)

    def test_time_is_counted_from_the_end_of_the_prompt(self) -> None:
        one = Gathering(GatherRules(initial_timeout_ms=1000, timeout_ms=3000), 0, has_prompt=True)
        assert one.deadline() == NEVER_NS
        one.poll(ms(3_600_000))
        assert one.phase is Phase.PROMPTED
        one.prompt_ended(ms(4_000_000))
        assert one.deadline() == ms(4_001_000)
        one.receive("1", ms(4_000_500))
        assert one.deadline() == ms(4_003_000)

    def test_a_key_that_comes_too_late_is_none_however_late_the_poll(self) -> None:
        one = Gathering(GatherRules(initial_timeout_ms=1000), 0, has_prompt=False)
        one.receive("1", ms(1000))
        assert one.result == Gathered("", "timeout", "no digit within 1000 ms", "", 1)


class TestTries:
    def test_a_key_interrupts_the_prompt(self) -> None:
        one = Gathering(GatherRules(maximum_digits=2), 0, has_prompt=True)
        one.receive("1", ms(100))
        assert one.phase is Phase.ENTERING
        one.prompt_ended(ms(200))  # it tells of its end all the same
        assert one.deadline() == ms(5100)

    def test_silence_and_rubbish_are_told_apart(self) -> None:
        one = Gathering(GatherRules(maximum_tries=3, valid_digits="1"), 0, has_prompt=True)
        one.prompt_ended(0)
        one.poll(ms(5000))
        assert (one.phase, one.tries, one.was_invalid) == (Phase.PROMPTED, 2, False)
        one.receive("9", ms(6000))
        one.receive("#", ms(6100))
        assert (one.phase, one.tries, one.was_invalid) == (Phase.PROMPTED, 3, True)
        one.receive("1", ms(6200))
        one.receive("#", ms(6300))
        assert one.result == Gathered("1", "valid", "ended by #", "#", 3)

    def test_the_last_try_decides(self) -> None:
        one = Gathering(GatherRules(maximum_tries=2, minimum_digits=2), 0, has_prompt=False)
        one.receive("1", ms(100))
        one.poll(ms(100_000))
        assert one.result == Gathered("", "timeout", "no digit within 5000 ms", "", 2)

    def test_tries_without_a_prompt_follow_one_another_by_the_clock(self) -> None:
        one = Gathering(GatherRules(maximum_tries=3), 0, has_prompt=False)
        one.receive("1", ms(12_000))  # within the third, nobody having polled
        assert (one.tries, one.digits, one.deadline()) == (3, "1", ms(17_000))


class TestEnds:
    @pytest.mark.parametrize("has_prompt", [True, False])
    def test_hang_up_and_cancel(self, has_prompt: bool) -> None:
        one = Gathering(GatherRules(), 0, has_prompt=has_prompt)
        one.receive("4", 1)
        one.hang_up("stop")
        one.cancel()
        one.receive("5", 2)
        one.poll(NEVER_NS - 1)
        assert one.result == Gathered("4", "call_hangup", "the call ended: stop", "", 1)
        other = Gathering(GatherRules(), 0, has_prompt=has_prompt)
        other.cancel()
        assert other.result is not None
        assert (other.result.status, other.phase) == ("cancelled", Phase.OVER)


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        ({"minimum_digits": 0}, "minimum_digits=0"),
        ({"minimum_digits": 5, "maximum_digits": 4}, "no more than the maximum"),
        ({"maximum_digits": 129}, "1 to 128"),
        ({"valid_digits": ""}, "valid_digits=''"),
        ({"valid_digits": "12x"}, "0123456789"),
        ({"terminating_digit": "enter"}, "terminating_digit='enter'"),
        ({"timeout_ms": 0}, "timeout_ms=0"),
        ({"initial_timeout_ms": -1}, "initial_timeout_ms=-1"),
        ({"inter_digit_timeout_ms": 3_600_001}, "1 to 3600000 ms"),
        ({"maximum_tries": 0}, "maximum_tries=0"),
    ],
)
def test_rules_that_are_none(rules: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        GatherRules(**rules)  # type: ignore[arg-type]


# -- generated histories -------------------------------------------------------------------------------

STEP_MS = 100
"""All times are multiples of it: the oracle looks at every step."""


@dataclass
class Oracle:
    """Counts down, step by step; slow, and written from the rules' text."""

    rules: GatherRules
    prompt_steps: int | None
    tries: int = 1
    entry: str = ""
    prompt: int | None = None  # steps of it that are left; None if there is none, or no more
    first: int | None = None  # steps until a timer is over; None where it does not run
    following: int | None = None
    total: int | None = None

    def run(self, keys: dict[int, str], steps: int) -> tuple[str, str, int] | None:
        """Return digits, status and tries; None if it goes on."""
        self._begin()
        for step in range(steps):
            verdict = self._count_down() if step else None
            if verdict is None and step in keys:
                verdict = self._press(keys[step])
            if verdict is not None:
                return verdict
        return None

    def _begin(self) -> None:
        self.entry, self.first, self.following, self.total = "", None, None, None
        self.prompt = self.prompt_steps
        if self.prompt is None:
            self._start_timers()

    def _start_timers(self) -> None:
        self.prompt = None
        self.first, self.total = self.rules.initial_timeout_ms // STEP_MS, self.rules.timeout_ms // STEP_MS

    def _count_down(self) -> tuple[str, str, int] | None:
        if self.prompt is not None:
            self.prompt -= 1
            if self.prompt == 0:
                self._start_timers()
            return None
        assert self.total is not None
        self.total -= 1
        if self.first is not None:
            self.first -= 1
        if self.following is not None:
            self.following -= 1
        return self._judge("") if 0 in (self.total, self.first, self.following) else None

    def _press(self, key: str) -> tuple[str, str, int] | None:
        if self.prompt is not None:
            self._start_timers()
        if key in self.rules.terminating_digit:
            return self._judge(key)
        self.entry += key
        self.first, self.following = None, self.rules.inter_digit_timeout_ms // STEP_MS
        return self._judge("") if len(self.entry) == self.rules.maximum_digits else None

    def _judge(self, terminator: str) -> tuple[str, str, int] | None:
        entry, rules = self.entry, self.rules
        if all(key in rules.valid_digits for key in entry) and len(entry) >= rules.minimum_digits:
            return entry, "valid", self.tries
        if self.tries == rules.maximum_tries:
            return entry, "invalid" if entry or terminator else "timeout", self.tries
        self.tries += 1
        self._begin()
        return None


RULES = st.builds(
    lambda most, **rules: replace(GatherRules(**rules), minimum_digits=min(most), maximum_digits=max(most)),
    most=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    valid_digits=st.sampled_from(["0123456789#*", "12", "#12"]),
    terminating_digit=st.sampled_from(["", "#", "*#"]),
    timeout_ms=st.integers(1, 30).map(lambda n: n * STEP_MS),
    initial_timeout_ms=st.integers(1, 12).map(lambda n: n * STEP_MS),
    inter_digit_timeout_ms=st.integers(1, 12).map(lambda n: n * STEP_MS),
    maximum_tries=st.integers(1, 4),
)
HISTORIES = st.dictionaries(st.integers(0, 60), st.sampled_from("1123#*9"), max_size=20)


def play_history(rules: GatherRules, prompt_steps: int | None, keys: dict[int, str], polls: set[int]) -> Gathering:
    """Run it as a shell does: prompts end in time, keys come, polls come when they come."""
    one = Gathering(rules, 0, has_prompt=prompt_steps is not None)
    begun, tries = 0, 1
    for step in range(200):
        now_ns = ms(step * STEP_MS)
        if prompt_steps is not None:
            if one.deadline() <= now_ns:
                one.poll(now_ns)  # who plays prompts is told at once
            if one.tries != tries:
                begun, tries = step, one.tries
            if one.phase is Phase.PROMPTED and step == begun + prompt_steps:
                one.prompt_ended(now_ns)
        if step in keys:
            one.receive(keys[step], now_ns)
            if one.tries != tries:
                begun, tries = step, one.tries
        elif step in polls:
            one.poll(now_ns)
    one.poll(ms(200 * STEP_MS))
    return one


@given(RULES, st.one_of(st.none(), st.integers(1, 10)), HISTORIES, st.sets(st.integers(0, 199), max_size=10))
@brief(100)
def test_every_history_ends_as_the_oracle_says(
    rules: GatherRules, prompt_steps: int | None, keys: dict[int, str], polls: set[int]
) -> None:
    one = play_history(rules, prompt_steps, keys, polls)
    said = None if one.result is None else (one.result.digits, one.result.status, one.result.tries)
    assert said == Oracle(rules, prompt_steps).run(keys, 200)
    assert said is None or all(key in KEYS for key in said[0])
