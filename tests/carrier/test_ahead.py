"""A stretch of a plan in memory."""

from __future__ import annotations

import numpy as np
import pytest

from media.carrier.ahead import Ahead
from media.carrier.options import SimulationOptions
from media.carrier.plan import Plan, make_plan
from strep.clock import NS_PER_MS


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(SimulationOptions(calls=3, seconds=0.4, stagger_ms=0.3, audio=None))


class TestAhead:
    @pytest.mark.parametrize("rows", [1, 7, 1000])
    def test_every_datagram_once(self, plan: Plan, rows: int) -> None:
        ahead = Ahead(plan, rows)
        datagrams: list[bytes] = []
        while len(datagrams) < len(plan):
            ahead.move_to(len(datagrams))
            assert ahead.stop - ahead.start <= rows
            table = ahead.table(ahead.start, ahead.stop)
            datagrams += [table.datagram(row) for row in range(len(table.lengths))]
        assert datagrams == [plan.datagram(delivery) for delivery in range(len(plan))]

    def test_back_to_the_beginning(self, plan: Plan) -> None:
        ahead = Ahead(plan, 10)
        ahead.move_to(50)
        assert (ahead.start, ahead.stop) == (50, 60)
        ahead.move_to(0)
        assert ahead.table(0, 1).datagram(0) == plan.datagram(0)

    def test_nothing_is_written_twice(self, plan: Plan) -> None:
        ahead = Ahead(plan, 10)
        before = ahead.table(0, 10).rows
        ahead.move_to(9)
        assert np.shares_memory(before, ahead.table(0, 10).rows)

    def test_due_are_those_of_the_stretch(self, plan: Plan) -> None:
        ahead = Ahead(plan, 10)
        assert [ahead.due(now_ns) for now_ns in (-1, 0, 300_000, NS_PER_MS, 20 * NS_PER_MS, 10**10)] == [
            0,
            2,
            4,
            6,
            8,
            10,
        ]

    def test_moment_is_that_of_the_last_one_near(self, plan: Plan) -> None:
        ahead = Ahead(plan, 10)
        # Six datagrams at 0, 0.3 and 0.6 ms, and again 20 ms later.
        assert [ahead.moment(0, within_ns) for within_ns in (0, 299_999, 300_000, NS_PER_MS)] == [
            0,
            0,
            300_000,
            600_000,
        ]
        assert ahead.moment(5, NS_PER_MS) == 600_000

    def test_times(self, plan: Plan) -> None:
        ahead = Ahead(plan, 10)
        ahead.move_to(6)
        assert np.array_equal(ahead.times(7, 9), plan.times_ns[7:9])
