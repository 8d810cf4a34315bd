"""The timeline against its oracle, against invariants, and case by case."""

from __future__ import annotations

from hypothesis import given, settings

from tests.strep.bench import Bench
from tests.strep.histories import Event, calls, madness
from tests.strep.oracle import OracleTrack
from strep.ledger import Kind
from strep.clock import NS_PER_MS


def kinds_of(bench: Bench, slot: int) -> list[Kind]:
    kinds = [Kind.RECEIVED] * bench.length(slot)
    for start, length, kind in bench.spans(slot):
        kinds[start : start + length] = [kind] * length
    return kinds


class TestOracle:
    @given(calls())
    @settings(max_examples=3000)
    def test_counters_audio_and_ledger(self, call: tuple[int, list[Event]]) -> None:
        tracks, history = call
        bench, oracles = Bench(tracks), [OracleTrack() for _ in range(tracks)]
        for event in history:
            if event.batch is None:
                bench.poll(event.now_ns)
                for oracle in oracles:
                    oracle.poll(event.now_ns)
            else:
                bench.receive(*event.batch)
                for packet in event.batch:
                    oracles[packet.slot].receive(packet)
            assert bench.timeline.deadline() == min(oracle.deadline() for oracle in oracles)
            self.compare(bench, oracles)
        bench.finish()
        for oracle in oracles:
            oracle.finish()
        self.compare(bench, oracles)
        for slot, oracle in enumerate(oracles):
            assert bench.heard(slot) == oracle.tape_heard()
            assert bench.recorded(slot) == oracle.tape_recorded()
            assert kinds_of(bench, slot) == oracle.ledger()

    def compare(self, bench: Bench, oracles: list[OracleTrack]) -> None:
        for slot, oracle in enumerate(oracles):
            counters, statistics = oracle.counters(), bench.statistics(slot).as_dict()
            assert {name: statistics[name] for name in counters} == counters
            assert bench.length(slot) == oracle.length
class TestMad:
    @given(madness())
    @settings(max_examples=3000)
    def test_mad(self, batches):
        bench = Bench(2)
        for i, batch in enumerate(batches):
            bench.receive(*batch)
            if i%3: bench.poll(batch[-1].arrival_ns)
        bench.finish()
        for slot in range(2):
            ps=[p for b in batches for p in b if p.slot==slot]
            if not ps: continue
            audio=sum(len(p.payload) for p in ps)
            span=(max(p.arrival_ns for p in ps)-ps[0].arrival_ns)*8//1000000
            assert bench.length(slot) <= span+8000+audio
            for tape in (bench.tapes[slot].pieces,):
                assert sum(len(d)-d.count(255) for _,d in tape) <= audio
            if bench.length(slot)<10_000_000:
              assert len(bench.recorded(slot).replace(b"\xff",b"")) <= audio
