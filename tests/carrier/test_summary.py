"""The last lines of the command."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from media.carrier.faults import Faults
from media.carrier.network import NetworkModel
from media.carrier.options import SimulationOptions, Transport
from media.carrier.plan import make_plan
from media.carrier.report import SendReport
from media.carrier.simulation import Outcome
from media.carrier.summary import describe, is_in_vain, lines


def outcome() -> Outcome:
    options = SimulationOptions(network=NetworkModel(loss=0.1), faults=Faults(malformed=0.1))
    report = SendReport(sent=1_000, refused=2, messages=2_000)
    report.lateness.record(np.array([1_000_000]))
    return Outcome(make_plan(options).truth(), report)


def called(closings: Counter[tuple[int, str]]) -> Outcome:
    options = SimulationOptions(transport=Transport.WEBSOCKET, calls=4, seconds=1)
    return Outcome(make_plan(options).truth(), SendReport(closings=closings))


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
        assert warnings == ["nobody listened: 2 datagrams refused by the far end"]

    def test_why_calls_were_closed(self) -> None:
        told = called(Counter({(1008, "refused: no token"): 2, (1006, ""): 1, (1000, ""): 1}))
        assert lines(told)[2:] == [
            "the far end closed 1 call early: 1000 no reason given",
            "the far end closed 1 call early: 1006 without a close frame",
            "the far end closed 2 calls early: 1008 refused: no token",
        ]
        facts = describe(told)
        assert facts["closed_early"] == 4
        assert {"code": 1008, "reason": "refused: no token", "calls": 2} in facts["closings"]


class TestInVain:
    @pytest.mark.parametrize(
        ("closings", "is_so"),
        [
            ({}, False),
            ({(1008, "no"): 4}, True),
            ({(1008, "no"): 3}, False),
            ({(1008, "no"): 1, (1006, ""): 3}, True),
            ({(1000, "the application hung up"): 4}, False),
            ({(1005, ""): 4}, False),
            ({(1008, "no"): 3, (1000, ""): 1}, False),
        ],
    )
    def test_web_socket(self, closings: dict[tuple[int, str], int], is_so: bool) -> None:
        assert is_in_vain(called(Counter(closings))) is is_so

    @pytest.mark.parametrize(("refused", "is_so"), [(0, False), (50, False), (51, True), (100, True)])
    def test_datagrams(self, refused: int, is_so: bool) -> None:
        told = outcome()
        told.report.refused, told.report.messages = refused, 100
        assert is_in_vain(told) is is_so
