"""The main job without sockets: what the simulated carrier sent is what lies in the recordings, to the sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media.carrier.faults import Faults
from media.carrier.network import NetworkModel, Span
from media.carrier.options import BLeg, SimulationOptions
from media.carrier.plan import Plan, make_plan
from media.carrier.truth import TrackTruth
from strep.clock import NS_PER_MS, NS_PER_SECOND
from strep.g711 import Codec, decode
from strep.reject import Reject
from tests.media.harness import Bench, encoded_channels, pcm_channels, sidecar
from tests.searching import IS_LONG

CHANNEL = {"inbound": 0, "outbound": 1}


def call_id_of(track: TrackTruth) -> str:
    return track.call_leg_id if track.leg == "A" else f"{track.call_leg_id}-b"


def check_track(directory: Path, plan: Plan, number: int, truth: TrackTruth, codec: Codec) -> dict[str, Any]:
    """Compare one track of a passthrough recording, its counters and its ledger with the truth, exactly."""
    call_id = call_id_of(truth)
    report = next(t for t in sidecar(directory, call_id)["tracks"] if t["direction"] == truth.direction)
    statistics, totals = report["statistics"], report["totals"]
    keys = sum(key.delivered for key in truth.keys)  # whose packets are no audio, and invalid as such
    assert (statistics["delivered"] + statistics["late"], statistics["invalid"]) == (truth.delivered - keys, keys)
    assert statistics["duplicate"] == truth.duplicated
    assert statistics["reordered"] == truth.reordered
    assert statistics["never_arrived"] == truth.lost
    assert report["length_samples"] == truth.total_samples
    assert sum(totals.values()) == truth.total_samples
    assert totals["received"] + totals["late-patched"] == truth.received_samples
    assert (totals["lost"], totals["silence"]) == (truth.lost_samples, truth.silence_samples)
    start = report["start_samples"]
    channel = encoded_channels(directory / f"{call_id}.wav")[:, CHANNEL[truth.direction]]
    expected = plan.expected_encoded(number)
    assert np.array_equal(channel[start : start + len(expected)], expected)
    assert (channel[start + len(expected) :] == codec.silence).all()
    return dict(report)


def record(directory: Path, options: SimulationOptions, **bench_options: Any) -> tuple[Bench, Plan]:
    plan = make_plan(options)
    bench = Bench(directory, **bench_options)
    bench.run(plan)
    assert bench.engine.conservation_errors == 0
    return bench, plan


class TestCleanInput:
    """Bit-identical, both laws, one call and many."""

    @pytest.mark.parametrize("codec", list(Codec))
    @pytest.mark.parametrize("calls", [1, 100])
    def test_passthrough_is_bit_identical(self, tmp_path: Path, codec: Codec, calls: int) -> None:
        bench, plan = record(tmp_path, SimulationOptions(calls=calls, seconds=3, codec=codec, audio=None))
        assert bench.engine.calls_ended == calls
        for number, track in enumerate(plan.truth().tracks):
            report = check_track(tmp_path, plan, number, track, codec)
            assert report["ledger"] == []

    @pytest.mark.parametrize("codec", list(Codec))
    def test_pcm_is_the_decoded_audio(self, tmp_path: Path, codec: Codec) -> None:
        _, plan = record(tmp_path, SimulationOptions(seconds=5, codec=codec), recording_format="pcm16")
        for number, track in enumerate(plan.truth().tracks):
            channel = pcm_channels(tmp_path / f"{call_id_of(track)}.wav")[:, CHANNEL[track.direction]]
            assert np.array_equal(channel, decode(plan.expected_encoded(number), codec))

    @pytest.mark.parametrize("ptime_ms", [10, 30, 60])
    def test_other_packet_lengths(self, tmp_path: Path, ptime_ms: int) -> None:
        _, plan = record(tmp_path, SimulationOptions(calls=3, seconds=2.1, ptime_ms=ptime_ms))
        for number, track in enumerate(plan.truth().tracks):
            check_track(tmp_path, plan, number, track, Codec.PCMU)

    @pytest.mark.parametrize("b_leg", [leg for leg in BLeg if leg is not BLeg.NONE])
    def test_b_leg_is_a_recording_of_its_own(self, tmp_path: Path, b_leg: BLeg) -> None:
        bench, plan = record(tmp_path, SimulationOptions(calls=2, seconds=2, b_leg=b_leg))
        assert bench.engine.calls_ended == 4
        for number, track in enumerate(plan.truth().tracks):
            check_track(tmp_path, plan, number, track, Codec.PCMU)


class TestBadNetwork:
    """Loss, reordering, duplicates: every packet that came is in its place, and the counters are the truth."""

    @pytest.mark.parametrize("seed", range(10 if IS_LONG else 3))
    def test_loss_reordering_duplicates(self, tmp_path: Path, seed: int) -> None:
        network = NetworkModel(loss=0.02, reorder=0.1, duplicate=0.03, jitter_ms=8)
        _, plan = record(tmp_path, SimulationOptions(calls=5, seconds=10, seed=seed, network=network))
        for number, track in enumerate(plan.truth().tracks):
            report = check_track(tmp_path, plan, number, track, Codec.PCMU)
            assert report["statistics"]["late"] == 0

    def test_burst_loss(self, tmp_path: Path) -> None:
        network = NetworkModel(loss=0.05, burst_loss=8)
        _, plan = record(tmp_path, SimulationOptions(calls=3, seconds=10, network=network))
        for number, track in enumerate(plan.truth().tracks):
            check_track(tmp_path, plan, number, track, Codec.PCMU)

    def test_stall_then_burst_leaves_the_duration_alone(self, tmp_path: Path) -> None:
        network = NetworkModel(stall=Span(2 * NS_PER_SECOND, 5 * NS_PER_SECOND))
        _, plan = record(tmp_path, SimulationOptions(calls=3, seconds=12, network=network))
        for number, track in enumerate(plan.truth().tracks):
            report = check_track(tmp_path, plan, number, track, Codec.PCMU)
            assert report["length_samples"] == 12 * 8000
            assert report["ledger"] == []


BEGINNINGS = {
    "wrap": Faults(near_wrap=True),
    "ssrc": Faults(ssrc_change_at_ns=3 * NS_PER_SECOND),
    "sequence": Faults(sequence_reset_at_ns=3 * NS_PER_SECOND),
    "jump": Faults(timestamp_jump_at_ns=3 * NS_PER_SECOND),
    "small jump back": Faults(timestamp_jump_at_ns=3 * NS_PER_SECOND, timestamp_jump_samples=2**32 - 80_000),
}


class TestSenderStartsAnew:
    """Wraps, restarts and jumps: no giant file, nothing behind them lost."""

    @pytest.mark.parametrize("name", BEGINNINGS)
    @pytest.mark.parametrize("loss", [0.0, 0.02])
    def test_nothing_is_lost(self, tmp_path: Path, name: str, loss: float) -> None:
        network = NetworkModel(loss=loss, reorder=loss)
        _, plan = record(tmp_path, SimulationOptions(calls=3, seconds=6, faults=BEGINNINGS[name], network=network))
        for number, track in enumerate(plan.truth().tracks):
            report = check_track(tmp_path, plan, number, track, Codec.PCMU)
            assert report["statistics"]["quarantined"] == 0
            assert report["statistics"]["epochs"] == len(track.epochs) - 1


class TestSilence:
    """Silence is told from loss."""

    def test_hold_of_20_seconds(self, tmp_path: Path) -> None:
        faults = Faults(hold=Span(3 * NS_PER_SECOND, 20 * NS_PER_SECOND))
        _, plan = record(tmp_path, SimulationOptions(seconds=26, faults=faults))
        for number, track in enumerate(plan.truth().tracks):
            report = check_track(tmp_path, plan, number, track, Codec.PCMU)
            assert report["totals"]["silence"] == track.silence_samples == 20 * 8000
            assert [span["kind"] for span in report["ledger"]] == ["silence"]

    def test_dtx_with_loss(self, tmp_path: Path) -> None:
        network = NetworkModel(loss=0.02)
        _, plan = record(tmp_path, SimulationOptions(calls=3, seconds=10, faults=Faults(dtx=0.4), network=network))
        for number, track in enumerate(plan.truth().tracks):
            report = check_track(tmp_path, plan, number, track, Codec.PCMU)
            assert report["totals"]["silence"] == track.silence_samples


class TestRubbish:
    """Malformed datagrams are counted by reason and cost nobody anything."""

    def test_counted_by_reason(self, tmp_path: Path) -> None:
        faults = Faults(malformed=0.2, extras=0.2, header_bytes=28)
        bench, plan = record(tmp_path, SimulationOptions(calls=5, seconds=3, faults=faults))
        truth = plan.truth()
        for number, track in enumerate(truth.tracks):
            check_track(tmp_path, plan, number, track, Codec.PCMU)
        reasons = bench.door.rejected
        assert {Reject(i).name: int(n) for i, n in enumerate(reasons) if n} == truth.malformed
        assert bench.door.datagrams == truth.datagrams


class TestIdleCall:
    def test_ends_by_silence(self, tmp_path: Path) -> None:
        plan = make_plan(SimulationOptions(seconds=2))
        bench = Bench(tmp_path)
        for now_ns, start, stop in plan.batches(5 * NS_PER_MS):
            bench.clock.monotonic_ns = 1000 * NS_PER_SECOND + now_ns
            if stop > start:
                bench._feed(plan, start, stop)
            bench.engine.poll(bench.clock.now_ns())
        assert len(bench.engine.calls) == 1
        bench.engine.poll(bench.clock.advance(31 * NS_PER_SECOND))
        assert not bench.engine.calls
        assert sidecar(tmp_path, call_id_of(plan.truth().tracks[0]))["reason"] == "idle"
