"""The timeline against its oracle, against invariants, and case by case."""

from __future__ import annotations

from hypothesis import given, settings

from tests.strep.bench import Bench

from tests.strep.oracle import OracleTrack
from strep.ledger import Kind
from strep.clock import NS_PER_MS


def kinds_of(bench: Bench, slot: int) -> list[Kind]:
    kinds = [Kind.RECEIVED] * bench.length(slot)
    for start, length, kind in bench.spans(slot):
        kinds[start : start + length] = [kind] * length
    return kinds


