"""Who wants what: written, read and refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.feed.selection import BOTH, RATES_HZ, Selection, SelectionError
from media.feed.wire import SampleFormat
from strep.header import Direction

selections = st.builds(
    Selection,
    st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable()),
    st.sampled_from([BOTH, BOTH[:1], BOTH[1:]]),
    st.sampled_from([None, *RATES_HZ]),
    st.sampled_from(SampleFormat),
)


@given(selections)
def test_what_is_described_is_parsed(selection: Selection) -> None:
    assert Selection.parse(selection.describe()) == selection


def test_without_a_word_everything_as_it_is() -> None:
    assert Selection.parse("") == Selection() == Selection("*", BOTH, None, SampleFormat.INT16)
    assert Selection().describe() == "calls=*&track=both&rate=native&format=int16"


@pytest.mark.parametrize("rate", ["16000", "16k", "16K"])
def test_parameters(rate: str) -> None:
    found = Selection.parse(f"calls=a*&track=Inbound&rate={rate}&format=float32")
    assert found == Selection("a*", (Direction.INBOUND,), 16_000, SampleFormat.FLOAT32)


def test_patterns() -> None:
    assert Selection().wants("anything")
    assert Selection("call-?").wants("call-1")
    assert not Selection("call-?").wants("call-10")
    assert not Selection("Call-1").wants("call-1")
    assert Selection("[x]").wants("[x]"), "a call that is named like a pattern is found by its name"
    assert Selection("[x]").wants("x")


def test_native_rate_is_that_of_the_call() -> None:
    assert Selection().rate_of(48_000) == 48_000
    assert Selection(rate_hz=16_000).rate_of(8000) == 16_000


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rate=11025", "rate: '11025' is not one of 8000, 16000, 24000 and native"),
        ("rate=", "rate: '' is not"),
        ("track=left", "track: 'left' is not one of both, inbound, outbound"),
        ("format=mp3", "format: 'mp3' is not one of int16, float32, mulaw"),
        ("tracks=both", "tracks: no such parameter; there are calls, track, rate and format"),
        ("rate=8000&rate=16000", "twice"),
        ("calls=", "calls: 0 characters"),
        ("calls=" + "x" * 257, "calls: 257 characters"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(text: str, says: str) -> None:
    with pytest.raises(SelectionError) as caught:
        Selection.parse(text)
    assert says in str(caught.value)
