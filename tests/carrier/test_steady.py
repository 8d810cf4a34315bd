"""What is computed equals what is written down."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from media.carrier.audio import CONVERSATION
from media.carrier.faults import Faults
from media.carrier.network import NetworkModel
from media.carrier.options import BLeg, SimulationOptions, Transport
from media.carrier.plan import make_plan
from media.carrier.steady import Steady
from strep.errors import UsageError


def options(**changes: Any) -> SimulationOptions:
    return SimulationOptions(**({"calls": 7, "seconds": 0.5, "stagger_ms": 7.0, "audio": None} | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"calls": 1},
        {"stagger_ms": 0.0},
        {"stagger_ms": 200.0, "calls": 5},
        {"stagger_ms": 20 / 7 * 3},
        {"faults": Faults(near_wrap=True), "seconds": 1.0},
        {"b_leg": BLeg.OWN_ID, "ptime_ms": 60},
        {"audio": CONVERSATION, "seed": 5},
        {"seconds": 5.0, "calls": 2},
    ],
    ids=lambda changes: ", ".join(changes) or "default",
)
class TestEqualsThePlan:
    def test_datagrams_and_times(self, changes: dict[str, Any]) -> None:
        steady, plan = Steady(options(**changes)), make_plan(options(**changes))
        assert len(steady) == len(plan)
        table, expected = steady.table(0, len(steady)), plan.table(0, len(plan))
        assert np.array_equal(table.rows, expected.rows)
        assert np.array_equal(table.lengths, expected.lengths)
        assert np.array_equal(steady.times(0, len(steady)), plan.times(0, len(plan)))
        assert np.array_equal(steady.destinations(0, len(steady)), plan.destinations(0, len(plan)))

    def test_in_pieces(self, changes: dict[str, Any]) -> None:
        steady = Steady(options(**changes))
        whole, times_ns = steady.table(0, len(steady)), steady.times(0, len(steady))
        for start in range(0, len(steady), 13):
            stop = min(start + 13, len(steady))
            assert np.array_equal(steady.table(start, stop).rows, whole.rows[start:stop])
            assert np.array_equal(steady.times(start, stop), times_ns[start:stop])

    def test_truth(self, changes: dict[str, Any]) -> None:
        steady, plan = Steady(options(**changes)), make_plan(options(**changes))
        assert steady.truth() == plan.truth()
        assert len(steady.scripts) == len(plan.scripts)
        for track, script in enumerate(steady.scripts):
            assert script.call_leg_id == plan.scripts[track].call_leg_id
            assert np.array_equal(steady.payloads(track), plan.payloads(track))
            assert np.array_equal(steady.expected_encoded(track), plan.expected_encoded(track))


class TestSteady:
    def test_nothing_of_nothing(self) -> None:
        steady = Steady(options())
        assert steady.table(5, 5).rows.shape == (0, 196)
        assert steady.times(5, 5).shape == (0,)

    def test_a_slice_of_scripts(self) -> None:
        assert [script.party.call for script in Steady(options()).scripts[2:5]] == [1, 1, 2]

    @pytest.mark.parametrize(
        "changes",
        [{"network": NetworkModel(loss=0.1)}, {"faults": Faults(dtx=0.2)}, {"transport": Transport.RTP}],
        ids=str,
    )
    def test_more_must_be_written_down(self, changes: dict[str, Any]) -> None:
        with pytest.raises(UsageError, match="only STREP without faults"):
            Steady(options(**changes))

    def test_an_hour_of_many_calls(self) -> None:
        steady = Steady(options(calls=50, seconds=3_600.0))
        assert len(steady) == 50 * 2 * 50 * 3_600
        assert steady.table(len(steady) - 10, len(steady)).rows.shape == (10, 196)
