"""Figures of those who hand audio and events to others: all that `families` names is in a snapshot."""

from __future__ import annotations

from typing import Any

import pytest

from media import Server, ServerConfig
from media.config import Endpoint
from media.metrics import families as module
from media.metrics.families import families
from media.metrics.totals import Totals, without_gauges
from media.nats.config import NatsConfig
from tests.nats.nats_server import free_port, until

LOOPBACK = Endpoint("127.0.0.1", 0)


def samples(*snapshots: dict[str, Any]) -> dict[str, float]:
    totals = Totals(len(snapshots))
    for index, snapshot in enumerate(snapshots):
        totals.report(index, snapshot)
    return {sample.name: sample.value for family in families(totals) for sample in family.samples}


@pytest.mark.realtime
async def test_every_figure_is_there() -> None:
    pytest.importorskip("aiohttp")
    pytest.importorskip("nats")
    nats = NatsConfig((f"nats://127.0.0.1:{free_port()}",))
    async with Server(ServerConfig(udp=LOOPBACK, http=LOOPBACK, nats=nats)) as server:
        await until(lambda: "stored" in server.snapshot()["companions"]["nats"])
        found = samples(server.snapshot())
    for kind, _, name, _ in (*module._NATS, *module._HTTP, *module._FEED):
        assert name + "_total" * ("Counter" in kind.__name__) in found, name
    assert found["strep_nats_connected"] == 0


def test_of_several_processes_that_publish() -> None:
    one = {"connected": True, "stored": 5, "waiting": 2, "spool_bytes": 7, "oldest_ms": 2000, "dropped_events": 1}
    other = {"connected": False, "stored": 1, "waiting": 1, "oldest_ms": 500, "events": {"dropped": 2}}
    found = samples({"companions": {"nats": one}}, {"companions": {"nats": other}})
    assert found["strep_nats_stored_total"] == 6
    assert found["strep_nats_waiting"] == 3
    assert found["strep_nats_oldest_seconds"] == 2
    assert found["strep_nats_dropped_events_total"] == 3
    assert found["strep_nats_connected"] == 1
    assert without_gauges(one) == {"stored": 5, "dropped_events": 1}, "what a dead process leaves"


def test_requests_that_were_refused() -> None:
    totals = Totals()
    totals.report(0, {"companions": {"http": {"readers": 1, "turned_away": 2, "refused": {"bad_token": 3}}}})
    (family,) = (family for family in families(totals) if family.name == "strep_http_refused")
    assert [(sample.labels, sample.value) for sample in family.samples] == [({"code": "bad_token"}, 3)]
