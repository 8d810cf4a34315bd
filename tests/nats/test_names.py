"""Subjects and ids: one token a call, there and back, and in order."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.nats.names import Place, Subjects, call_id_of, message_id, place_of, token
from strep.header import Direction

call_ids = st.text(min_size=1, max_size=60).filter(lambda text: text.isprintable())


@given(call_ids)
def test_a_call_is_one_token_that_leads_back(call_id: str) -> None:
    text = token(call_id)
    assert re.fullmatch(r"[A-Za-z0-9_~%-]+", text), (
        "no full stop, wildcard or space, which mean something in subjects"
    )
    assert call_id_of(text) == call_id


@given(call_ids, call_ids)
def test_two_calls_are_two_tokens(one: str, other: str) -> None:
    assert (token(one) == token(other)) == (one == other)


@given(call_ids, st.integers(1, 1000))
def test_all_of_a_call_is_in_one_partition(call_id: str, partitions: int) -> None:
    subjects = Subjects("p", partitions)
    of = {subject.split(".")[2] for subject in (subjects.pcm(call_id, Direction(0)), subjects.events(call_id))}
    assert of == {str(subjects.partition(call_id))}
    assert 0 <= subjects.partition(call_id) < partitions


def test_subjects_as_they_are_documented() -> None:
    subjects = Subjects("strep", 16)
    assert subjects.pcm("a.b c", Direction.INBOUND) == "strep.pcm.3.a%2Eb%20c.inbound"
    assert subjects.events("a.b c") == "strep.events.3.a%2Eb%20c"
    assert subjects.patterns == ("strep.pcm.>", "strep.events.>")


def test_calls_are_spread_over_partitions() -> None:
    subjects = Subjects("strep", 16)
    of = [subjects.partition(f"call-{number}") for number in range(1600)]
    assert all(50 < of.count(partition) < 200 for partition in range(16))


@given(call_ids, st.integers(0, 1 << 62), st.integers(0, 1 << 62))
def test_places_lead_back(call_id: str, origin: int, number: int) -> None:
    place = Place(origin, number)
    assert place_of(message_id(token(call_id), "inbound", place)) == place


@pytest.mark.parametrize("text", ["", "a.b.c", "a.inbound.1.x", "a.inbound.1.2.3"])
def test_ids_of_others_have_no_place(text: str) -> None:
    assert place_of(text) is None
