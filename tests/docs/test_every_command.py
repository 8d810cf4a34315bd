"""Every command of the documentation is run, linted, or listed with the reason why not: none is forgotten."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.docs.pages import ROOT, examples, spans
from tests.docs.which import CLAIMS, IN_TEXT, LINTED, PROGRAMS, RUN, SHOWN, Claim, InText

ALL: list[Claim | InText] = [*CLAIMS, *IN_TEXT]
_IN_SECTIONS = {claim.place for claim in CLAIMS if "#" in claim.place}


def test_every_command_of_a_block_is_some_tests() -> None:
    """On failure: a place that has more or fewer than `which.py` knows tests for."""
    there = Counter(
        (example.place if example.place in _IN_SECTIONS else example.page, example.language) for example in examples()
    )
    known = Counter[tuple[str, str]]()
    for claim in CLAIMS:
        known[claim.place, claim.language] += claim.count
    assert {place: (there[place], known[place]) for place in there | known if there[place] != known[place]} == {}


def test_every_command_in_running_text_is_known() -> None:
    begins = tuple(text.begin.rstrip() for text in IN_TEXT)
    found = [span for _, span in spans() if len(words := span.split()) > 1 and words[0].strip("(") in PROGRAMS]
    assert [span for span in found if not span.startswith(begins)] == []
    assert [begin for begin in begins if not any(span.startswith(begin) for span in found)] == []


@pytest.mark.parametrize("test", sorted({listed.test for listed in ALL if listed.test}))
def test_the_test_is_there_and_reads_the_page(test: str) -> None:
    file, _, name = test.partition("::")
    source = (ROOT / file).read_text(encoding="utf-8")
    assert re.search(rf"^ *(async )?def {name}\(", source, re.MULTILINE)
    if not file.startswith("tests/docs/"):
        for claim in CLAIMS:
            page = claim.place.partition("#")[0].rpartition("/")[2]
            assert claim.test != test or page in source


def test_who_is_not_run_says_why() -> None:
    assert all(claim.why for claim in CLAIMS if claim.how == LINTED)
    assert all(listed.why for listed in ALL if not listed.test)
    assert {listed.how for listed in ALL} == {RUN, LINTED, SHOWN}
