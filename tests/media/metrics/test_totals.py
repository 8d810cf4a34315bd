"""Several processes are one in the sums, and a dead one's counts stay."""

from __future__ import annotations

from typing import Any

from media.metrics.totals import Totals, added, without_gauges


def snapshot(calls: int, started: int, *, lag_ns: int = 0, **doors: int) -> dict[str, Any]:
    return {
        "calls": calls,
        "calls_started": started,
        "doors": {"udp": {"datagrams": 10 * started, "rejected": doors}},
        "sinks": [
            {"name": "recording", "lag_ns": lag_ns, "errors": started, "detached": False, "details": {"live": calls}}
        ],
    }


class TestAdded:
    def test_counters_and_gauges_add_up_and_the_worst_lag_counts(self) -> None:
        total = added([snapshot(1, 3, lag_ns=7, SIP=1), snapshot(2, 5, lag_ns=4, SIP=2, RTCP=1)])
        assert total == {
            "calls": 3,
            "calls_started": 8,
            "doors": {"udp": {"datagrams": 80, "rejected": {"SIP": 3, "RTCP": 1}}},
            "sinks": [{"name": "recording", "lag_ns": 7, "errors": 8, "detached": False, "details": {"live": 3}}],
        }

    def test_sinks_are_matched_by_name(self) -> None:
        one, other = ({"sinks": [{"name": name, "errors": 1, "detached": name == "b"}]} for name in "ab")
        assert added([one, other, other])["sinks"] == [
            {"name": "a", "errors": 1, "detached": False},
            {"name": "b", "errors": 2, "detached": True},
        ]

    def test_what_cannot_be_added_is_the_last_ones(self) -> None:
        assert added([{"x": "a", "y": [1], "z": 1}, {"x": "b", "y": [2], "z": "?"}]) == {"x": "b", "y": [2], "z": "?"}

    def test_whole_and_broken_numbers_add_up(self) -> None:
        assert added([{"seconds": 1}, {"seconds": 0.5}]) == {"seconds": 1.5}

    def test_what_was_given_is_not_changed(self) -> None:
        one = snapshot(1, 1, SIP=1)
        added([one, snapshot(5, 5, SIP=5)])
        assert one == snapshot(1, 1, SIP=1)


def test_without_gauges() -> None:
    assert without_gauges(snapshot(1, 3, lag_ns=7, SIP=1)) == {
        "calls_started": 3,
        "doors": {"udp": {"datagrams": 30, "rejected": {"SIP": 1}}},
        "sinks": [{"name": "recording", "errors": 3, "details": {}}],
    }


class TestTotals:
    def test_nothing_goes_backwards_when_a_process_is_replaced(self) -> None:
        totals = Totals(2)
        totals.report(0, snapshot(1, 10, SIP=4))
        totals.report(1, snapshot(1, 1))
        totals.bury(0)
        assert totals.snapshot()["calls_started"] == 11
        assert totals.snapshot()["calls"] == 1
        totals.report(0, snapshot(2, 2, SIP=1))
        assert totals.snapshot()["calls_started"] == 13
        assert totals.snapshot()["calls"] == 3
        assert totals.snapshot()["doors"]["udp"]["rejected"] == {"SIP": 5}
        totals.bury(0)
        totals.bury(0)
        assert totals.snapshot()["calls_started"] == 13

    def test_burying_takes_it_down(self) -> None:
        totals = Totals()
        totals.is_up[0] = True
        totals.bury(0)
        assert totals.is_up == [False]

    def test_what_is_measured_is_not_added(self) -> None:
        totals = Totals(2)
        totals.measured["kernel_drops"] = lambda: 5
        totals.report(0, {"kernel_drops": 3})
        assert totals.snapshot() == {"kernel_drops": 5}
