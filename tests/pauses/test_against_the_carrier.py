"""What the simulated carrier sent is in the recordings of all sinks, to the sample, but for what was paused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from media.carrier.network import NetworkModel, Span
from media.carrier.options import SimulationOptions
from media.carrier.plan import Plan, make_plan
from media.pauses.pausing import Pausing
from media.pauses.spans import Pause, PauseMode
from media.sinks.finisher import Finisher
from media.sinks.recording import RecordingSink
from strep.clock import NS_PER_MS, NS_PER_SECOND
from strep.g711 import Codec, decode
from tests.media.harness import BEGINNING_NS, Bench, Directly, encoded_channels, pcm_channels, sidecar
from tests.media.test_recorded_calls import CHANNEL, call_id_of

COMMANDS_S = (2.0, 3.5, 3.6, 6.25)
"""Pause, resume, pause, resume."""
NETWORKS = {
    "clean": NetworkModel(),
    "lossy": NetworkModel(loss=0.03, reorder=0.1, duplicate=0.03, jitter_ms=8),
    "late": NetworkModel(loss=0.01, jitter_ms=150),
    "stalls": NetworkModel(stall=Span(3 * NS_PER_SECOND, 5 * NS_PER_SECOND)),
}


class PausedBench(Bench):
    """Two sinks that record, in two formats, and calls that are all paused and resumed at the same times."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory / "bytes")
        self.finisher = Finisher(lambda call, event: None)
        self.recording._finisher = self.finisher
        pcm = RecordingSink(directory / "pcm", clock=self.clock, finisher=self.finisher)
        self.engine._outlets.append(Directly(pcm))
        self.pausing = Pausing(self.engine, lambda call, event: None)
        self.pauses: dict[str, list[Pause]] = {}

    def feed(self, plan: Plan, mode: PauseMode) -> None:
        due = [BEGINNING_NS + round(seconds * NS_PER_SECOND) for seconds in COMMANDS_S]
        for now_ns, start, stop in plan.batches(5 * NS_PER_MS):
            self.clock.monotonic_ns = BEGINNING_NS + now_ns
            while due and due[0] <= self.clock.now_ns():
                is_pause = len(due) % 2 == 0
                del due[0]
                for call_id, call in self.engine.calls.items():
                    if is_pause:
                        self.pausing.pause(call.info, mode)
                    else:
                        self.pausing.resume(call.info)
                    self.pauses[call_id] = call.info.pauses
            for first in range(start, stop, 1024):
                self._feed(plan, first, min(first + 1024, stop))
            self.engine.poll(self.clock.now_ns())
        self.engine.end_all("shutdown")
        while self.finisher._waiting.qsize():
            self.finisher.step()


@pytest.mark.parametrize("mode", ["silence", "omit"])
@pytest.mark.parametrize("network", NETWORKS)
def test_recordings_are_the_truth_but_for_what_was_paused(tmp_path: Path, network: str, mode: PauseMode) -> None:
    plan = make_plan(SimulationOptions(calls=2, seconds=9, network=NETWORKS[network]))
    bench = PausedBench(tmp_path)
    bench.feed(plan, mode)
    assert bench.engine.conservation_errors == 0
    for number, truth in enumerate(plan.truth().tracks):
        call_id = call_id_of(truth)
        report = next(t for t in sidecar(tmp_path / "bytes", call_id)["tracks"] if t["direction"] == truth.direction)
        start, expected = report["start_samples"], plan.expected_encoded(number)
        channel = CHANNEL[truth.direction]
        length = max(
            track["start_samples"] + track["length_samples"] for track in sidecar(tmp_path / "pcm", call_id)["tracks"]
        )
        whole = np.full(length, Codec.PCMU.silence, np.uint8)
        whole[start : start + len(expected)] = expected
        kept = np.ones(length, np.bool_)
        for pause in bench.pauses[call_id]:
            masked = slice(max(pause.starts[channel], 0), pause.end_samples)
            whole[masked] = Codec.PCMU.silence
            if mode == "omit":
                kept[pause.start_samples : pause.end_samples] = False
        codes = encoded_channels(tmp_path / "bytes" / f"{call_id}.wav")[:, channel]
        pcm = pcm_channels(tmp_path / "pcm" / f"{call_id}.wav")[:, channel]
        assert np.array_equal(pcm, decode(codes, Codec.PCMU)), "two sinks, one mask"
        assert np.array_equal(codes, whole[kept])
        assert sum(report["totals"].values()) == report["length_samples"] == truth.total_samples
        assert (
            sum(span["length_samples"] for span in report["ledger"] if span["kind"] == "paused")
            == report["totals"]["paused"]
        )
        said = sum(pause.end_samples - pause.start_samples for pause in bench.pauses[call_id])
        assert 4.1 * 8000 <= said <= 4.9 * 8000
