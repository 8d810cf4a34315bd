"""Tokens: only what is known, in time, and for one stream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.admission.tokens import MAX_CHARACTERS, MAX_SHOWN, TokenGate, Verdict, new_token, sign
from strep.clock import NS_PER_SECOND
from strep.errors import ConfigurationError

KEY, TOKEN = b"k" * 32, "a-token-of-enough-characters"
NOW_NS = 1_700_000_000 * NS_PER_SECOND
LATER_S = 1_700_000_060


def test_static_tokens() -> None:
    gate = TokenGate([TOKEN, new_token()])
    assert gate.judge([TOKEN], NOW_NS, "s1") is Verdict.GOOD
    assert gate.judge(["something-else-entirely", TOKEN], NOW_NS, "s2") is Verdict.GOOD, "any of them"
    assert gate.judge([TOKEN[:-1]], NOW_NS, "s3") is Verdict.UNKNOWN
    assert gate.judge([], NOW_NS, "s4") is Verdict.NONE
    assert gate.judge([""], NOW_NS, "s4") is Verdict.NONE
    assert {verdict: count for verdict, count in gate.verdicts.items() if count} == {
        Verdict.GOOD: 2,
        Verdict.UNKNOWN: 1,
        Verdict.NONE: 2,
    }


def test_signed_tokens_are_good_until_they_expire_and_for_one_stream() -> None:
    gate, token = TokenGate(key=KEY), sign(KEY, LATER_S)
    assert gate.judge([token], NOW_NS) is Verdict.GOOD, "asking does not use it"
    assert gate.judge([token], NOW_NS, "s1") is Verdict.GOOD
    assert gate.judge([token], NOW_NS, "s2") is Verdict.USED
    assert gate.judge([token], LATER_S * NS_PER_SECOND + 999_999_999, "s1") is Verdict.GOOD, "its stream dials again"
    assert gate.judge([token], (LATER_S + 1) * NS_PER_SECOND, "s1") is Verdict.EXPIRED
    assert gate.judge([sign(b"another key" * 3, LATER_S)], NOW_NS, "s3") is Verdict.UNKNOWN


@given(st.data())
def test_no_other_text_is_good(data: st.DataObject) -> None:
    """However near to a token, in any alphabet and of any length."""
    token = sign(KEY, LATER_S, "nonce")
    place = data.draw(st.integers(0, len(token) - 1))
    changed = token[:place] + data.draw(st.text(max_size=3)) + token[place + 1 :]
    gate = TokenGate([TOKEN], KEY)
    verdict = gate.judge([changed, data.draw(st.text(max_size=600))], NOW_NS, "s1")
    assert (verdict is Verdict.GOOD) == (changed == token)


def test_what_is_looked_at_is_bounded() -> None:
    gate = TokenGate([TOKEN])
    assert gate.judge(["x" * 20] * MAX_SHOWN + [TOKEN], NOW_NS, "s1") is Verdict.UNKNOWN
    assert gate.judge(["x" * (MAX_CHARACTERS + 1)], NOW_NS, "s1") is Verdict.NONE


def test_used_tokens_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media.admission.uses.MAX_USED", 3)
    gate = TokenGate(key=KEY)
    for number in range(3):
        assert gate.judge([sign(KEY, LATER_S)], NOW_NS, f"s{number}") is Verdict.GOOD
    assert gate.judge([sign(KEY, LATER_S)], NOW_NS, "s4") is Verdict.FULL
    after_ns = (LATER_S + 1) * NS_PER_SECOND
    assert gate.judge([sign(KEY, LATER_S + 60)], after_ns, "s5") is Verdict.GOOD, "those that expired are forgotten"


@pytest.mark.parametrize("wrong", [{"tokens": ["short"]}, {"tokens": ["x" * 600]}, {"key": b"short"}])
def test_what_can_be_guessed_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="strep token"):
        TokenGate(**wrong)  # type: ignore[arg-type]
