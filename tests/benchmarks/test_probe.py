"""The latency probe: a block is as old as the latest packet that it needs, whatever came when."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.ages import latency_of
from benchmarks.probe import Probe, Tap, save
from media.blocks import PcmBatch
from media.carrier.network import NetworkModel
from media.carrier.options import SimulationOptions
from media.carrier.plan import Plan, make_plan
from media.sinks.contract import CallInfo, CallReport, TrackReport
from strep.clock import NS_PER_MS, NS_PER_SECOND
from strep.datagrams import DatagramBatch
from strep.header import Direction

START_NS = 50 * NS_PER_SECOND
SAMPLES = 160


def plan(**changes: object) -> Plan:
    return make_plan(SimulationOptions(seconds=1, audio=None, **changes))  # type: ignore[arg-type]


def tapped(of: Plan, delays_ms: dict[int, float] | None = None, one_in: int = 1) -> Tap:
    """Return a tap that heard everything, delivery `n` later by `delays_ms[n]`."""
    tap = Tap(one_in)
    table = of.table(0, len(of))
    arrival_ns = START_NS + of.times_ns
    for number, delay_ms in (delays_ms or {}).items():
        arrival_ns[number] += round(delay_ms * NS_PER_MS)
    lengths = table.lengths.astype(np.int64)
    tap.note(DatagramBatch(table.rows, lengths, arrival_ns, np.zeros((len(of), 28), np.uint8)))
    return tap


def probe_of(of: Plan, blocks: list[tuple[int, int]], start_samples: int = 0) -> Probe:
    """Return a probe of the first call's inbound track that was handed (end in samples, moment in ns)."""
    moments = iter([moment for _, moment in blocks])
    probe = Probe(lambda: next(moments))
    track = of.truth().tracks[0]
    call = CallInfo(0, track.call_leg_id, "strep", 0)
    probe.call_started(call)
    for end, _ in blocks:
        probe.receive(
            PcmBatch(
                call=np.zeros(1, np.int32),
                channel=np.zeros(1, np.uint8),
                positions=np.array([end - 800]),
                first=np.zeros(1, np.int32),
                last=np.full(1, 800, np.int32),
                codec=np.zeros(1, np.uint8),
                encoded=np.zeros((1, 800), np.uint8),
            )
        )
    report = TrackReport(Direction.INBOUND, "PCMU", start_samples, track.total_samples, {}, [], {})
    probe.call_ended(call, CallReport("idle", 0, track.total_samples, [report]))
    return probe


def arrival_ns(of: Plan, packet: int) -> int:
    """Return when the inbound track's packet arrived, by the plan."""
    inbound = [n for n in range(len(of)) if of.tracks[n] == 0]
    return START_NS + int(of.times_ns[inbound[packet]])


class TestAge:
    def test_is_counted_from_the_packet_that_fills_the_block(self) -> None:
        sent = plan()
        handed_ns = arrival_ns(sent, 4) + 7 * NS_PER_MS
        moments, ages = probe_of(sent, [(5 * SAMPLES, handed_ns)]).ages(tapped(sent))
        assert (moments.tolist(), ages.tolist()) == ([handed_ns], [7 * NS_PER_MS])

    def test_block_that_ends_within_a_packet_needs_it_whole(self) -> None:
        sent = plan()
        handed_ns = arrival_ns(sent, 5) + NS_PER_MS
        _, ages = probe_of(sent, [(5 * SAMPLES + 1, handed_ns)]).ages(tapped(sent))
        assert ages.tolist() == [NS_PER_MS]

    def test_track_that_begins_later_on_the_timeline(self) -> None:
        sent = plan()
        handed_ns = arrival_ns(sent, 4) + NS_PER_MS
        _, ages = probe_of(sent, [(5 * SAMPLES + 33, handed_ns)], start_samples=33).ages(tapped(sent))
        assert ages.tolist() == [NS_PER_MS]

    def test_is_counted_from_the_latest_when_packets_were_overtaken(self) -> None:
        sent = plan()
        third = [n for n in range(len(sent)) if sent.tracks[n] == 0][2]
        handed_ns = arrival_ns(sent, 4) + 7 * NS_PER_MS
        tap = tapped(sent, {third: 45})  # 40 ms before the fifth: it came 5 ms after that
        _, ages = probe_of(sent, [(5 * SAMPLES, handed_ns)]).ages(tap)
        assert ages.tolist() == [2 * NS_PER_MS]

    def test_end_of_a_track_is_left_out(self) -> None:
        sent = plan()
        total = sent.truth().tracks[0].total_samples
        _, ages = probe_of(sent, [(total, START_NS + 90 * NS_PER_SECOND)]).ages(tapped(sent))
        assert not len(ages)

    def test_duplicates_count_as_they_came_first(self) -> None:
        sent = plan(network=NetworkModel(duplicate=0.3))
        tracks = tapped(sent).tracks()
        assert all((np.diff(arrived_ns) >= 0).all() for _, arrived_ns in tracks.values())


class TestTap:
    @pytest.mark.parametrize(("one_in", "observed"), [(1, 16), (4, 4), (16, 1)])
    def test_observes_some_calls(self, one_in: int, observed: int) -> None:
        legs = {leg for leg, _ in tapped(plan(calls=16), one_in=one_in).tracks()}
        assert len(legs) == observed

    def test_timestamps_may_wrap(self) -> None:
        sent = plan()
        headers = tapped(sent)
        for rows in headers._headers:
            stamps = rows[:, 28:32].copy().view(">u4")[:, 0]
            rows[:, 28:32] = (stamps - stamps.min() - 800).astype(">u4")[:, np.newaxis].view(np.uint8)
        (ends, _), _ = headers.tracks().values()
        assert ends.tolist() == list(range(SAMPLES, 51 * SAMPLES, SAMPLES))


class TestFigures:
    def test_of_the_plateau(self, tmp_path: Path) -> None:
        path = tmp_path / "ages.npy"
        moments = np.array([0, 10, 1_500_000_000, 1_600_000_000])
        np.save(path, np.stack([moments, np.array([99, 1, 2, 3]) * NS_PER_MS]))
        latency = latency_of(path, 10, 2 * NS_PER_SECOND)
        assert latency is not None
        assert (latency.blocks, latency.p50_ms, latency.max_ms, latency.whole_max_ms) == (3, 2.0, 3.0, 99.0)
        assert [round(p99, 1) for p99 in latency.seconds_p99_ms] == [1.0, 3.0]

    def test_nothing_observed(self, tmp_path: Path) -> None:
        save(Probe(), Tap(1), tmp_path / "ages.npy")
        assert latency_of(tmp_path / "ages.npy", 0, 10**12) is None
