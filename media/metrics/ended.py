"""Metric families of calls that have ended, of their records and traces, and of what processes take."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from media.metrics.totals import Snapshot
from strep import __version__
from strep.clock import NS_PER_SECOND

_DISTRIBUTIONS = (
    ("duration", "strep_call_duration_seconds", "Length of calls that have ended, in media time."),
    ("loss", "strep_track_loss_ratio", "Share of the packets of each ended track that never arrived."),
    ("jitter", "strep_track_jitter_seconds", "Mean interarrival jitter (RFC 3550) of each ended track."),
    ("mos", "strep_track_mos", "Mean opinion score of each ended track, by the E-model."),
)
_PACKETS = (
    ("packets", "strep_track_packets", "Packets of tracks that have ended; frames of media streams."),
    ("lost", "strep_track_packets_lost", "Packets of them that never arrived."),
    ("late", "strep_track_packets_late", "Packets of them that came after they were given up."),
    ("duplicates", "strep_track_packets_duplicate", "Packets of them that came again."),
    ("reordered", "strep_track_packets_reordered", "Packets of them that came out of order."),
)
_RECORDS = (
    ("written", "strep_cdr_written", "Call records written."),
    ("refused", "strep_cdr_refused", "Call records that the database does not take."),
    ("dropped", "strep_cdr_dropped", "Call records dropped for want of room."),
    ("retries", "strep_cdr_retries", "Attempts to write call records that failed."),
)


def call_families(tally: Snapshot | None) -> Iterator[Metric]:
    """Yield what became of calls, and what processes take."""
    if tally is None:
        return
    ends = CounterMetricFamily("strep_call_ends", "Calls that ended, by why they did.", labels=["reason"])
    for reason, count in tally.get("reasons", {}).items():
        ends.add_metric([reason], count)
    yield ends
    text = "Calls that ended, of which one direction brought audio and the other never did."
    yield CounterMetricFamily("strep_calls_one_way", text, value=tally.get("one_way", 0))
    for name, family_name, text in _DISTRIBUTIONS:
        found = tally.get(name, {})
        histogram = HistogramMetricFamily(family_name, text)
        if found:
            histogram.add_metric([], list(found["buckets"].items()), found["sum"])
        yield histogram
    for name, family_name, text in _PACKETS:
        packets = CounterMetricFamily(family_name, text, labels=["door"])
        for door, sums in tally.get("doors", {}).items():
            packets.add_metric([door], sums[name])
        yield packets
    process = tally.get("process", {})
    text = "CPU time of all processes that receive."
    yield CounterMetricFamily("strep_process_cpu_seconds", text, value=process.get("cpu_seconds", 0))
    text = "Memory that they hold."
    yield GaugeMetricFamily("strep_process_resident_memory_bytes", text, value=process.get("resident_bytes", 0))
    build = GaugeMetricFamily("strep_build_info", "1, of this version.", labels=["version"])
    build.add_metric([__version__], 1)
    yield build


def record_families(cdr: Snapshot | None) -> Iterator[Metric]:
    """Yield how writing call records goes, by where they are written to."""
    if cdr is None:
        return
    text = "Call records that were written without waiting any longer for a recording."
    yield CounterMetricFamily("strep_cdr_incomplete", text, value=cdr.get("incomplete", 0))
    places = {name: place for name, place in cdr.items() if isinstance(place, dict)}
    for name, family_name, text in _RECORDS:
        counter = CounterMetricFamily(family_name, text, labels=["place"])
        for place, counts in places.items():
            counter.add_metric([place], counts.get(name, 0))
        yield counter
    waiting = GaugeMetricFamily("strep_cdr_waiting", "Call records that wait to be written.", labels=["place"])
    oldest = GaugeMetricFamily("strep_cdr_oldest_seconds", "Age of the oldest of them.", labels=["place"])
    for place, counts in places.items():
        waiting.add_metric([place], counts.get("waiting", 0))
        oldest.add_metric([place], counts.get("oldest_ns", 0) / NS_PER_SECOND)
    yield from (waiting, oldest)


def trace_families(traces: Snapshot | None) -> Iterator[Metric]:
    """Yield how exporting traces goes."""
    if traces is None:
        return
    yield CounterMetricFamily(
        "strep_spans_exported", "Spans that the collector took.", value=traces.get("exported", 0)
    )
    text = "Spans that were lost, since the collector did not take them."
    yield CounterMetricFamily("strep_spans_lost", text, value=traces.get("lost", 0))
