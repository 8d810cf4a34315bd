"""The timeline against its oracle, and what must hold whatever arrives.

Named cases are where the rule is that they test: `test_epochs`, `test_restarts`, `test_resolve`, `test_release`,
`test_table`.
"""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.clock import NS_PER_MS
from strep.ledger import Kind
from strep.table import TimelineSettings
from tests.searching import brief
from tests.strep.bench import Bench, expected_tape
from tests.strep.histories import Event, harsh_call, madness
from tests.strep.oracle import OracleTrack
from tests.strep.packets import FRAME_NS, Sender, burst

SAMPLES_PER_MS = 8
seeds = st.integers(0, 2**32 - 1)


def kinds_of(bench: Bench, slot: int = 0) -> list[Kind]:
    """Return the ledger's kind of every sample."""
    kinds = [Kind.RECEIVED] * bench.length(slot)
    for start, length, kind in bench.spans(slot):
        kinds[start : start + length] = [kind] * length
    return kinds


class TestOracle:
    """The columns do what the scalar model does, for any batches, polls, losses, delays and wraps."""

    @given(seeds, st.integers(1, 3), st.integers(1, 80))
    def test_counters_audio_and_ledger(self, seed: int, tracks: int, packets: int) -> None:
        bench, oracles = Bench(tracks), [OracleTrack() for _ in range(tracks)]
        for event in harsh_call(seed, tracks, packets):
            self.step(bench, oracles, event)
            assert bench.timeline.deadline() == min(oracle.deadline() for oracle in oracles)
            self.compare(bench, oracles)
        bench.finish()
        for slot, oracle in enumerate(oracles):
            oracle.finish()
            assert bench.heard(slot) == oracle.tape_heard()
            assert bench.recorded(slot) == oracle.tape_recorded()
            assert kinds_of(bench, slot) == oracle.ledger()
        self.compare(bench, oracles)

    def step(self, bench: Bench, oracles: list[OracleTrack], event: Event) -> None:
        if event.batch:
            bench.receive(*event.batch)
            for packet in event.batch:
                oracles[packet.slot].receive(packet)
        else:
            bench.poll(event.now_ns)
            for oracle in oracles:
                oracle.poll(event.now_ns)

    def compare(self, bench: Bench, oracles: list[OracleTrack]) -> None:
        for slot, oracle in enumerate(oracles):
            counters, statistics = oracle.counters(), bench.statistics(slot).as_dict()
            assert {name: statistics[name] for name in counters} == counters
            assert bench.length(slot) == oracle.length

    def test_exactly_as_many_overtaken_as_may_be(self) -> None:
        """The 32nd packet before the first to arrive used to be delivered before the start was over."""
        packets = Sender(samples=80).packets(40)
        at = packets[-1].arrival_ns
        bench, oracles = Bench(), [OracleTrack()]
        order = [packets[36], *packets[3:36], *packets[37:]]
        for event in (*(Event(at, (packet.at(at),)) for packet in order), Event(at + FRAME_NS * 4, ())):
            self.step(bench, oracles, event)
            self.compare(bench, oracles)
        assert bench.statistics().late == 1
        assert bench.length() == 36 * 80


class TestAnyHistory:
    """Senders gone mad; `Bench` checks conservation, the ledger and the order of the blocks at every step."""

    @brief(25)
    @given(seeds, st.integers(1, 3), st.integers(1, 40))
    def test_invariants(self, seed: int, tracks: int, steps: int) -> None:
        # Nothing is said of what lies behind a block: frames that overlap are written over one another there.
        bench, history = Bench(tracks, settings=TimelineSettings()), madness(seed, tracks, steps)
        for step, event in enumerate(history):
            if event.batch:
                bench.receive(*event.batch)
            else:
                bench.poll(event.now_ns)
                if seed % 2 and step % 3 == 0:
                    bench.timeline.realign()
        bench.finish()
        for slot in range(tracks):
            check_is_no_giant(bench, slot, history)

    @brief(20)
    @given(seeds, st.integers(1, 20))
    def test_tracks_do_not_touch_one_another(self, seed: int, steps: int) -> None:
        """What becomes of a track is the same with and without a mad neighbour."""
        history = madness(seed, 2, steps)
        together, alone = Bench(2), Bench(1)
        for event in history:
            own = [packet for packet in event.batch if packet.slot == 0]
            if event.batch:
                together.receive(*event.batch)
                alone.receive(*own)
            else:
                together.poll(event.now_ns)
                alone.poll(event.now_ns)
        together.finish()
        alone.finish()
        assert together.statistics(0) == alone.statistics(0)
        assert together.spans(0) == alone.spans(0)
        assert together.tapes[0].patches == alone.tapes[0].patches
        assert b"".join(data for _, data in together.tapes[0].pieces) == b"".join(
            data for _, data in alone.tapes[0].pieces
        )


def check_is_no_giant(bench: Bench, slot: int, history: list[Event]) -> None:
    """A tape is no longer than the time its packets took to arrive, their audio, and the tolerance.

    Every new epoch may add as much as its first packet may have overtaken. And nothing is handed out twice.
    """
    packets = [packet for event in history for packet in event.batch if packet.slot == slot]
    if not packets:
        return
    audio = sum(len(packet.payload) for packet in packets)
    arrivals = [packet.arrival_ns for packet in packets]
    span = (max(arrivals) - min(arrivals)) * SAMPLES_PER_MS // NS_PER_MS
    table = bench.timeline.table
    restarts = bench.statistics(slot).epochs * table.lookback_samples
    assert bench.length(slot) <= span + table.settings.jump_tolerance_samples + audio + restarts
    silence = bytes([bench.tapes[slot].silence])
    assert sum(len(data) - data.count(silence) for _, data in bench.tapes[slot].pieces) <= audio


class TestArrivalOrder:
    """Within the deadline, order is nothing: the same tape, and nobody late."""

    @given(seeds, st.integers(1, 60))
    def test_any_order_inside_the_deadline(self, seed: int, count: int) -> None:
        random = Random(seed)
        packets = Sender(sequence=random.randrange(2**16), timestamp=random.randrange(2**32)).packets(count)
        shaken = [packet.at(packet.arrival_ns + random.randint(0, 55) * NS_PER_MS) for packet in packets]
        bench = Bench()
        bench.play(sorted(shaken, key=lambda packet: packet.arrival_ns))
        bench.finish()
        assert bench.heard() == bench.recorded() == expected_tape(packets)
        assert bench.statistics().delivered == count
        assert bench.spans() == []

    @given(seeds, st.integers(1, 60))
    def test_any_permutation_of_a_batch(self, seed: int, count: int) -> None:
        packets = Sender(samples=80).packets(count)
        shuffled = Random(seed).sample(packets, len(packets))
        shuffled.sort(key=lambda packet: packet.sequence // 16)  # overtaken by fewer than 32
        bench = Bench()
        bench.receive(*burst(shuffled, packets[-1].arrival_ns))
        bench.finish()
        assert bench.heard() == expected_tape(packets)

    @pytest.mark.parametrize("size", [1, 2, 7, 100, 500])
    def test_batch_boundaries_are_nothing(self, size: int) -> None:
        packets = [packet for slot in range(3) for packet in Sender(slot=slot).packets(150)]
        packets.sort(key=lambda packet: packet.arrival_ns)
        bench = Bench(3)
        for start in range(0, len(packets), size):
            bench.receive(*packets[start : start + size])
            bench.poll_until(packets[start].arrival_ns)
        bench.finish()
        for slot in range(3):
            assert bench.heard(slot) == expected_tape([packet for packet in packets if packet.slot == slot])


class TestWraps:
    @pytest.mark.parametrize("sequence", [65_530, 65_535, 2 * 65_536 - 1])
    @pytest.mark.parametrize("timestamp", [2**31 - 800, 2**32 - 800, 2**32 - 1, 2**33 - 80])
    def test_numbers_wrap_around(self, sequence: int, timestamp: int) -> None:
        bench, sender = Bench(), Sender(sequence=sequence, timestamp=timestamp)
        packets = sender.packets(20)
        bench.play([packets[1], packets[0], *packets[3:6], packets[2], *packets[6:]])
        bench.finish()
        assert bench.recorded() == expected_tape(packets)
        assert bench.statistics().epochs == 0
        assert bench.statistics().jitter_max_ms < 30

    def test_sequence_numbers_wrap_many_times(self) -> None:
        """Of a sender most of whose packets are lost, so that it does not take hundreds of thousands."""
        bench, sender = Bench(), Sender(samples=1)
        for _ in range(400):
            bench.play(sender.packets(5))
            sender.sequence += 995
            sender.pause(995)
        bench.play(sender.packets(5))
        bench.finish()
        statistics = bench.statistics()
        assert bench.length() == statistics.expected == 400_005
        assert statistics.delivered == statistics.received == 2_005
