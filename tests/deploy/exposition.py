"""Everything that `/metrics` may say, of a server that has everything."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric

from media.alarms.rules import RULES
from media.events.bus import EventBus
from media.metrics.families import families
from media.metrics.tally import Tally
from media.metrics.totals import Totals
from media.reports import call_over
from strep.clock import ManualClock
from tests.cdr.records import a_call, a_report

QUALITY = {"expected_packets": 105, "loss_percent": 4.76, "jitter_mean_ms": 0.25, "mos": 3.9}
SINK = (
    "queued_items", "queued_bytes", "lag_ns", "delivered_blocks", "dropped_blocks", "dropped_seconds",
    "dropped_calls", "errors", "restarts", "hung", "abandoned", "detached",
)  # fmt: skip


def everything(calls: int = 1) -> dict[str, Any]:
    """Return the snapshot of a server of everything, of which so many calls have ended."""
    bus = EventBus(ManualClock())
    tally = Tally(bus)
    for number in range(calls):
        report = a_report(call := a_call(f"leg-{number}"))
        report.tracks[0].quality = QUALITY
        bus.publish(call, call_over(report))
    details: dict[str, Any] = {
        "recording": {"live": 1, "ended": calls, "failed": 0, "started": calls},
        "feed": {"subscriptions": 1},
        "transcription": {"engines": {"vosk": {"workers": 1}}},
    }
    sinks = [{"name": name, **dict.fromkeys(SINK, calls), "details": said} for name, said in details.items()]
    place = {"written": calls, "waiting": 0, "oldest_ns": 0}
    return {
        **dict.fromkeys(("calls", "calls_started", "calls_ended", "tracks", "conservation_errors"), calls),
        **dict.fromkeys(("kernel_drops", "receive_errors", "failed_beats"), calls),
        "alarms": [
            {"name": rule.name, "severity": rule.severity, "is_raised": True, "raised": calls} for rule in RULES
        ],
        "loop_lag": {"buckets": {"0.001": calls, "0.01": 2 * calls, "+Inf": 2 * calls}, "sum_seconds": 0.1 * calls},
        "doors": {
            "udp": {"datagrams": 100 * calls, "rejected": {"RTCP": calls}},
            "ws": {"messages": calls, "rejected": {}, "turned_away": {"401": calls}, "closed": {"1000": calls}},
        },
        "sinks": sinks,
        "companions": {
            "tally": tally.snapshot(),
            "cdr": {"waiting": 0, "incomplete": 0, "file": place, "database": place},
            "traces": {"exported": calls},
            "sync": {"took_ns": 0, "oldest_ns": 0},
            "webhooks": {"oldest_ns": 0},
            "delivery": {"oldest_ns": 0, "delivered": calls},
            "nats": {"stored": calls},
            "http": {"readers": 1, "refused": {"bad_token": 1}, "carrier": {"taken": 1}},
        },
    }


def totals(calls: int = 1) -> Totals:
    """Return the same as `families` wants it."""
    made = Totals()
    made.report(0, everything(calls))
    made.is_up[0] = True
    return made


def described() -> list[Metric]:
    """Return every family that there is."""
    return list(families(totals()))


def exposed_names() -> set[str]:
    """Return the names of all samples that any server may have."""
    endings = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
    return {family.name + ending for family in described() for ending in endings[family.type]}


def text() -> str:
    """Return the exposition."""

    class Everything:
        def collect(self) -> list[Metric]:
            return described()

    registry = CollectorRegistry()
    registry.register(Everything())
    return generate_latest(registry).decode()


def page_lines() -> list[str]:
    """Return the table of docs/metrics.md."""
    lines = ["| name | type | labels | what it says |", "|---|---|---|---|"]
    for family in sorted(described(), key=lambda family: family.name):
        name = family.name + "_total" * (family.type == "counter")
        labels = ", ".join(f"`{label}`" for label in getattr(family, "_labelnames", ()))
        lines.append(f"| `{name}` | {family.type} | {labels} | {family.documentation} |")
    return lines
