"""The last lines of the command."""

from __future__ import annotations

import numpy as np

from media.carrier.faults import Faults
from media.carrier.network import NetworkModel
from media.carrier.options import SimulationOptions
from media.carrier.plan import make_plan
from media.carrier.report import SendReport
from media.carrier.simulation import Outcome
from media.carrier.summary import describe, lines


def outcome() -> Outcome:
    options = SimulationOptions(network=NetworkModel(loss=0.1), faults=Faults(malformed=0.1))
    report = SendReport(sent=1_000, refused=2, closed_early=1)
    report.lateness.record(np.array([1_000_000]))
    return Outcome(make_plan(options).truth(), report)


class TestSummary:
    def test_plain_data_agrees_with_the_truth(self) -> None:
        told = outcome()
        facts = describe(told)
        assert facts["sent"] == 2_000
        assert facts["lost"] == told.truth.total("lost") == facts["sent"] - facts["delivered"]
        assert facts["audio_seconds"] == 40.0
        assert sum(facts["malformed"].values()) == 200

    def test_lines(self) -> None:
        first, second, *warnings = lines(outcome())
        assert first.startswith("1 call, 2 tracks, 40.0 s of audio: 2,000 packets, ")
        assert first.endswith("200 malformed besides")
        assert "1.0 ms (p50)" in second
        assert len(warnings) == 2
        assert "refused" in warnings[0]
        assert "early" in warnings[1]
