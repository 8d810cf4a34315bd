"""The search for the knee, and what is said to have given way first."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.capacity import RESOLUTION, Search, Settings
from benchmarks.results import Latency, Run
from benchmarks.symptoms import SETTLE_SECONDS, Symptoms

FINE = [5.0] * 6


def searched(knee: int, settings: Settings) -> tuple[Search, list[int]]:
    search, tried = Search(settings), []
    while (calls := search.next()) is not None:
        tried.append(calls)
        search.learn(calls, carried=calls <= knee)
        assert len(tried) < 20
    return search, tried


class TestSearch:
    @pytest.mark.parametrize("knee", [1, 7, 90, 500, 777, 2345, 5999])
    def test_finds_the_knee(self, knee: int) -> None:
        search, tried = searched(knee, Settings(start=500, most=6000))
        assert search.carried <= knee
        assert search.too_much is not None
        assert search.too_much <= max(search.carried * RESOLUTION * 1.1, search.carried + 1)
        assert len(set(tried)) == len(tried)

    def test_ends_at_the_most(self) -> None:
        search, tried = searched(10_000, Settings(start=500, most=3000))
        assert (search.carried, search.too_much, tried[-1]) == (3000, None, 3000)

    def test_nothing_is_carried(self) -> None:
        search, tried = searched(0, Settings(start=4, most=10))
        assert (search.carried, tried[-1]) == (0, 1)


def run(**changes: Any) -> Run:
    latency = Latency(100, 5, 5, 5, 5, changes.pop("seconds_p99_ms", FINE))
    settings = {"sent": 1000, "received": 1000, "offered_per_s": 100.0, "lateness_ms": {"p99_ms": 1.0}, **changes}
    return Run("observed", 10, 1, latency=latency, **settings)


def diagnosed(symptoms: Symptoms, of: Run) -> list[tuple[float, str]]:
    return [(at_s, what.split(":")[0]) for at_s, what in symptoms.diagnose(of, 100.0, (10.0, 16.0))]


class TestSymptoms:
    def test_none(self) -> None:
        assert diagnosed(Symptoms(50), run()) == []

    def test_old_audio_once_the_ramp_is_over(self) -> None:
        ages = [5.0, 5.0, 5.0, 80.0, 90.0, 5.0]
        assert diagnosed(Symptoms(50), run(seconds_p99_ms=ages)) == [
            (13.0, "audio was more than 50 ms old at p99 (up to 90 ms)")
        ]
        assert diagnosed(Symptoms(50), run(seconds_p99_ms=[900.0] * SETTLE_SECONDS + FINE)) == []

    def test_earliest_comes_first(self) -> None:
        symptoms = Symptoms(50)
        totals = {"sinks": [{"name": "recording", "dropped_blocks": 1, "detached": False, "errors": 0}]}
        symptoms._look_at(totals, 14.5)
        found = diagnosed(symptoms, run(kernel_drops=5, seconds_p99_ms=[5.0, 5.0, 5.0, 80.0]))
        assert [what for _, what in found] == [
            "audio was more than 50 ms old at p99 (up to 80 ms)",
            "the queue of the sink recording overflowed",
            "the kernel dropped datagrams",
        ]

    @pytest.mark.parametrize("changes", [{"offered_per_s": 80.0}, {"lateness_ms": {"p99_ms": 200.0}}])
    def test_sender_is_named(self, changes: dict[str, Any]) -> None:
        assert diagnosed(Symptoms(50), run(**changes)) == [(10.0, "the SENDER did not keep up")]

    def test_referee_has_the_last_word(self) -> None:
        assert diagnosed(Symptoms(50), run(complaints=["a sample is altered\nsomewhere"])) == [(16.0, "the referee")]
