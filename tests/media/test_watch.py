from __future__ import annotations

from typing import Any

from media.metrics.tally import Tally
from media.watch import CounterWatch


def test_only_trouble_that_moves_is_told() -> None:
    snapshot: dict[str, Any] = {
        "calls": 1,
        "kernel_drops": 0,
        "doors": {"udp": {"datagrams": 5, "rejected": {"SIP": 1}}},
        "sinks": [{"name": "recording", "delivered_blocks": 7, "errors": 0}],
    }
    watch = CounterWatch(lambda: snapshot)
    assert watch.moved() == {"doors.udp.rejected.SIP": 1}
    assert watch.moved() == {}
    snapshot["calls"] = 100
    snapshot["kernel_drops"] = 3
    snapshot["doors"]["udp"] = {"datagrams": 50, "rejected": {"SIP": 4, "T38": 2}}
    snapshot["sinks"][0]["errors"] = 1
    assert watch.moved() == {
        "kernel_drops": 3,
        "doors.udp.rejected.SIP": 3,
        "doors.udp.rejected.T38": 2,
        "sinks.recording.errors": 1,
    }
    snapshot["companions"] = {"nats": {"dropped": 2, "lost": 1, "stored": 9, "events": {"dropped": 3, "waiting": 4}}}
    assert watch.moved() == {
        "companions.nats.dropped": 2,
        "companions.nats.lost": 1,
        "companions.nats.events.dropped": 3,
    }


def test_what_the_network_lost_is_no_trouble_of_this_server() -> None:
    doors = {"strep": {"lost": 47, "failed": 0}}
    watch = CounterWatch(lambda: {"companions": {Tally.name: {"doors": doors}, "traces": {"lost": 1}}})
    assert watch.moved() == {"companions.traces.lost": 1}
