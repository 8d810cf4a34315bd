"""The network model keeps its definitions, whatever the settings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.carrier.network import Deliveries, NetworkModel, Span
from strep.clock import NS_PER_MS, NS_PER_SECOND
from strep.errors import ConfigurationError

PACKET_NS = 20 * NS_PER_MS

models = st.builds(
    NetworkModel,
    loss=st.sampled_from([0.0, 0.02, 0.3]),
    burst_loss=st.sampled_from([0.0, 1.0, 4.0]),
    reorder=st.sampled_from([0.0, 0.1, 1.0]),
    reorder_delay_ms=st.sampled_from([0.0, 60.0, 90.0]),
    duplicate=st.sampled_from([0.0, 0.2, 1.0]),
    jitter_ms=st.sampled_from([0.0, 7.5, 45.0]),
    max_delay_ms=st.sampled_from([30.0, 60.0]),
    stall=st.sampled_from([None, Span(400 * NS_PER_MS, 300 * NS_PER_MS)]),
    keep_ends=st.booleans(),
)
counts = st.integers(1, 120)
seeds = st.integers(0, 2**32)


def deliver(model: NetworkModel, count: int, seed: int, restart: int | None = None) -> Deliveries:
    packets = np.arange(count, dtype=np.int64)
    epochs = (packets >= (count if restart is None else restart)).astype(np.int64)
    return model.deliver(packets * PACKET_NS, np.random.default_rng(seed), epochs)


class TestConservation:
    @given(models, counts, seeds)
    def test_every_packet_is_delivered_or_dropped(self, model: NetworkModel, count: int, seed: int) -> None:
        result = deliver(model, count, seed)
        unique = set(result.packets[~result.is_duplicate].tolist())
        assert unique | set(result.dropped.tolist()) == set(range(count))
        assert len(unique) == result.delivered == result.sent - len(result.dropped)
        assert len(result.packets) == result.delivered + result.duplicated

    @given(models, counts, seeds)
    def test_a_duplicate_follows_its_original(self, model: NetworkModel, count: int, seed: int) -> None:
        seen: set[int] = set()
        result = deliver(model, count, seed)
        for packet, is_duplicate in zip(result.packets.tolist(), result.is_duplicate.tolist(), strict=True):
            assert is_duplicate == (packet in seen)
            seen.add(packet)

    @given(models, counts, seeds)
    def test_reordered_by_the_definition(self, model: NetworkModel, count: int, seed: int) -> None:
        result = deliver(model, count, seed)
        highest, reordered = -1, 0
        first_after: dict[int, int] = {}
        waits = []
        rows = zip(result.packets.tolist(), result.times_ns.tolist(), result.is_duplicate.tolist(), strict=True)
        for packet, time_ns, is_duplicate in rows:
            if is_duplicate:
                continue
            if packet < highest:
                reordered += 1
                waits.append(time_ns - min(t for p, t in first_after.items() if p > packet))
            highest = max(highest, packet)
            first_after[packet] = time_ns
        assert result.reordered == reordered
        assert result.waits_ns().tolist() == waits


class TestDelays:
    @given(models, counts, seeds)
    def test_bounded_and_never_early(self, model: NetworkModel, count: int, seed: int) -> None:
        result = deliver(replace(model, stall=None), count, seed)
        delays_ns = result.times_ns - result.packets * PACKET_NS
        assert (delays_ns >= 0).all()
        assert (delays_ns <= model.max_delay_ms * NS_PER_MS).all()
        assert (np.diff(result.times_ns) >= 0).all()

    @given(models, counts, seeds)
    def test_no_wait_reaches_the_bound(self, model: NetworkModel, count: int, seed: int) -> None:
        waits_ns = deliver(model, count, seed).waits_ns()
        assert (waits_ns < model.max_delay_ms * NS_PER_MS).all()

    @given(counts, seeds)
    def test_a_stall_ends_in_a_burst_in_order(self, count: int, seed: int) -> None:
        stall = Span(400 * NS_PER_MS, 300 * NS_PER_MS)
        result = deliver(NetworkModel(stall=stall), count, seed)
        sent_ns = np.arange(count) * PACKET_NS
        caught = (sent_ns >= stall.start_ns) & (sent_ns < stall.end_ns)
        assert result.packets.tolist() == list(range(count))
        assert (result.times_ns == np.where(caught, stall.end_ns, sent_ns)).all()


class TestRestarts:
    @given(models, st.integers(4, 120), seeds, st.data())
    def test_no_packet_overtakes_the_next_epoch(
        self, model: NetworkModel, count: int, seed: int, data: st.DataObject
    ) -> None:
        restart = data.draw(st.integers(1, count - 1))
        result = deliver(model, count, seed, restart)
        epochs = (result.packets >= restart).astype(int)
        assert (np.diff(epochs) >= 0).all()
        assert restart not in result.dropped
        assert restart - 1 not in result.dropped or (restart == 1 and not model.keep_ends)
        assert result.packets[np.flatnonzero(epochs)[0]] == restart

    @given(models, counts, seeds)
    def test_ends_are_kept(self, model: NetworkModel, count: int, seed: int) -> None:
        result = deliver(replace(model, keep_ends=True), count, seed)
        assert result.packets[0] == 0
        assert not {0, count - 1} & set(result.dropped.tolist())

    @given(models, st.integers(4, 120), seeds, st.data())
    def test_three_packets_are_left_alone(
        self, model: NetworkModel, count: int, seed: int, data: st.DataObject
    ) -> None:
        restart = data.draw(st.integers(3, count - 1))
        result = deliver(replace(model, keep_ends=True, stall=None), count, seed, restart)
        for packet in {0, 1, 2, restart, restart + 1, restart + 2} & set(range(count)):
            assert result.times_ns[result.packets == packet].tolist() == [packet * PACKET_NS]


class TestRandomness:
    @given(models, counts, seeds)
    def test_the_same_seed_gives_the_same(self, model: NetworkModel, count: int, seed: int) -> None:
        first, second = deliver(model, count, seed), deliver(model, count, seed)
        assert first.times_ns.tolist() == second.times_ns.tolist()
        assert first.packets.tolist() == second.packets.tolist()

    def test_loss_by_amount(self) -> None:
        result = deliver(NetworkModel(loss=0.05), 100_000, 1)
        assert len(result.dropped) == pytest.approx(5_000, rel=0.05)

    def test_bursts_by_amount_and_length(self) -> None:
        result = deliver(NetworkModel(loss=0.05, burst_loss=5), 200_000, 1)
        bursts = (np.diff(result.dropped, prepend=-2) != 1).sum()
        assert len(result.dropped) == pytest.approx(10_000, rel=0.1)
        assert len(result.dropped) / bursts == pytest.approx(5, rel=0.1)

    def test_one_fault_does_not_move_another(self) -> None:
        alone = deliver(NetworkModel(loss=0.05), 1_000, 1)
        together = deliver(NetworkModel(loss=0.05, jitter_ms=20, reorder=0.1, duplicate=0.1), 1_000, 1)
        assert alone.dropped.tolist() == together.dropped.tolist()


class TestGap:
    @given(models, counts, seeds)
    def test_without_a_span(self, model: NetworkModel, count: int, seed: int) -> None:
        span = Span(200 * NS_PER_MS, 250 * NS_PER_MS)
        result = deliver(model, count, seed).without(span)
        assert not ((result.times_ns >= span.start_ns) & (result.times_ns < span.end_ns)).any()
        assert len(set(result.packets.tolist())) == result.delivered
        assert len(result.packets) == result.delivered + result.duplicated

    def test_shifted(self) -> None:
        result = deliver(NetworkModel(), 3, 1).shifted(NS_PER_SECOND)
        assert result.times_ns.tolist() == [NS_PER_SECOND + packet * PACKET_NS for packet in range(3)]


class TestSettings:
    @pytest.mark.parametrize(
        ("name", "value"),
        [("loss", 0.95), ("loss", -0.1), ("reorder", 2.0), ("duplicate", 2.0), ("jitter_ms", -1.0)],
    )
    def test_refused_by_name(self, name: str, value: float) -> None:
        with pytest.raises(ConfigurationError, match=name):
            NetworkModel(**{name: value})  # type: ignore[arg-type]

    def test_impossible_bursts(self) -> None:
        with pytest.raises(ConfigurationError, match="burst_loss"):
            NetworkModel(loss=0.1, burst_loss=0.5)
        with pytest.raises(ConfigurationError, match="bursts of only"):
            NetworkModel(loss=0.8, burst_loss=1)
