from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric

from media.config import ServerConfig
from media.events.bus import EventBus
from media.metrics.families import families
from media.metrics.totals import Totals
from media.webhooks.companion import Webhooks
from strep.clock import SystemClock
from tests.webhooks.events import call, over
from tests.webhooks.receiver import Receiver

CLOCK = SystemClock()


def value(metrics: list[Metric], name: str) -> float:
    [sample] = [sample for metric in metrics for sample in metric.samples if sample.name == name]
    return sample.value


@pytest.mark.realtime
async def test_counters_are_served_as_metrics(tmp_path: Path) -> None:
    with Receiver() as receiver:
        bus = EventBus(CLOCK)
        webhooks = Webhooks(ServerConfig(webhooks=(receiver.url,), webhook_spool=tmp_path), bus, CLOCK)
        await webhooks.start()
        bus.publish(call(), over())
        await webhooks.close()
    totals = Totals()
    totals.report(0, {"companions": {webhooks.name: webhooks.snapshot()}})
    metrics = list(families(totals))
    assert value(metrics, "strep_webhooks_delivered_total") == 1
    assert value(metrics, "strep_webhooks_waiting") == 0
    assert value(metrics, "strep_webhooks_oldest_seconds") == 0


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://app.example/hook?token=t", ["in the clear", "not signed"]),
        ("https://app.example/hook", ["not signed"]),
        ("http://127.0.0.1:9/hook", ["not signed"]),
    ],
)
def test_what_is_unsafe_is_said_at_the_start(url: str, says: list[str], caplog: pytest.LogCaptureFixture) -> None:
    Webhooks(ServerConfig(webhooks=(url,)), EventBus(CLOCK), CLOCK)
    lines = [record.getMessage() for record in caplog.records]
    assert [text in line for text, line in zip(says, lines, strict=True)] == [True] * len(says)
    assert "token" not in caplog.text
