"""The ledger against a list with one entry per sample."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep import ledger as module
from strep.ledger import Kind, Ledger

FILLS = [Kind.LOST, Kind.SILENCE, Kind.RESTART]
spans = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), st.sampled_from(FILLS)), max_size=15)
patches = st.lists(st.tuples(st.integers(0, 600), st.integers(1, 60)), max_size=10)


@given(spans, patches)
def test_against_samples(gaps: list[tuple[int, int, Kind]], late: list[tuple[int, int]]) -> None:
    ledger, samples = Ledger(), list[Kind]()
    for received, length, kind in gaps:
        samples += [Kind.RECEIVED] * received
        ledger.add(len(samples), length, kind)
        samples += [kind] * length
    for start, length in late:
        ledger.patch(start, length)
        for i in range(start, min(start + length, len(samples))):
            if samples[i] in FILLS:
                samples[i] = Kind.LATE_PATCHED
    expected = [Kind.RECEIVED] * len(samples)
    previous_end = 0
    for start, length, kind in ledger.spans:
        assert start >= previous_end
        assert length > 0
        expected[start : start + length] = [kind] * length
        previous_end = start + length
    assert expected == samples
    totals = ledger.total(len(samples))
    assert totals == {kind: samples.count(kind) for kind in Kind}
    assert sum(totals.values()) == len(samples)


@given(spans, patches, st.lists(st.integers(0, 25), max_size=6))
def test_changes_make_the_ledger(
    gaps: list[tuple[int, int, Kind]], late: list[tuple[int, int]], looks: list[int]
) -> None:
    """Whoever takes changes in place of what he had from where they begin has the ledger, whenever he looks."""
    changed = set[int]()
    ledger, copy, end = Ledger(7, changed), list[tuple[int, int, Kind]](), 0
    for number, (received, length, kind) in enumerate(gaps):
        ledger.add(end + received, length, kind)
        end += received + length
        if number < len(late):
            ledger.patch(*late[number])
        if number in looks:
            assert changed == ({7} if ledger.spans != copy else changed)
            changed.clear()
            copy = changed_to(copy, ledger.take_changes())
            assert copy == ledger.spans
            assert ledger.take_changes() == []
    assert changed_to(copy, ledger.take_changes()) == ledger.spans


def changed_to(
    before: list[tuple[int, int, Kind]], changes: list[tuple[int, int, Kind]]
) -> list[tuple[int, int, Kind]]:
    return [span for span in before if not changes or span[0] < changes[0][0]] + changes


def test_neighbours_of_a_kind_are_one_span() -> None:
    ledger = Ledger()
    ledger.add(100, 10, Kind.LOST)
    ledger.add(110, 10, Kind.LOST)
    ledger.add(120, 10, Kind.SILENCE)
    assert ledger.spans == [(100, 20, Kind.LOST), (120, 10, Kind.SILENCE)]


def test_a_full_ledger_keeps_exact_totals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SPANS", 3)
    ledger = Ledger()
    for i in range(10):
        ledger.add(100 * i, 10, Kind.LOST)
    assert len(ledger.spans) == 3
    assert ledger.truncated
    assert ledger.total(1000)[Kind.LOST] == 100
