"""The timeline against its oracle, against invariants, and case by case."""

from __future__ import annotations

from strep.ledger import Kind
from tests.strep.bench import Bench


def kinds_of(bench: Bench, slot: int) -> list[Kind]:
    kinds = [Kind.RECEIVED] * bench.length(slot)
    for start, length, kind in bench.spans(slot):
        kinds[start : start + length] = [kind] * length
    return kinds
