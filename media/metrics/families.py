"""A snapshot of the server as metric families. Names of doors, sinks and reasons are labels; calls never are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from media.metrics.ended import call_families, record_families, trace_families
from media.metrics.totals import Snapshot, Totals
from strep.clock import NS_PER_SECOND

_ENGINE = (
    (GaugeMetricFamily, "calls", "strep_calls", "Calls going on."),
    (GaugeMetricFamily, "tracks", "strep_tracks", "Tracks going on; a call has up to two."),
    (CounterMetricFamily, "calls_started", "strep_calls_started", "Calls that began."),
    (CounterMetricFamily, "calls_ended", "strep_calls_ended", "Calls that ended; those of a dead worker never do."),
    (
        CounterMetricFamily,
        "conservation_errors",
        "strep_conservation_errors",
        "Tracks whose packets did not add up; anything but 0 is a bug.",
    ),
    (CounterMetricFamily, "kernel_drops", "strep_kernel_drops", "Datagrams dropped for want of receive buffer."),
    (CounterMetricFamily, "receive_errors", "strep_receive_errors", "System errors met while receiving."),
    (CounterMetricFamily, "failed_beats", "strep_failed_beats", "Beats of the receive path that raised; a bug each."),
)
_WS = (
    (GaugeMetricFamily, "connections", "strep_ws_connections", "WebSocket connections open."),
    (CounterMetricFamily, "bad_handshakes", "strep_ws_bad_handshakes", "Opening handshakes that failed."),
    (CounterMetricFamily, "failed", "strep_ws_failed", "Connections ended by an internal error; a bug each."),
    (CounterMetricFamily, "no_room", "strep_ws_no_room", "Frames for which there was no room for a track."),
)
_WS_BY = (
    ("turned_away", "status", "strep_ws_turned_away", "Requests answered by an HTTP error."),
    ("closed", "code", "strep_ws_closed", "WebSocket connections closed, by close code."),
)
_SINK = (
    (GaugeMetricFamily, "queued_items", "strep_sink_queued_items", "Batches and events that wait for the sink."),
    (GaugeMetricFamily, "queued_bytes", "strep_sink_queued_bytes", "Audio that waits for the sink."),
    (CounterMetricFamily, "delivered_blocks", "strep_sink_delivered_blocks", "Blocks that the sink was given."),
    (CounterMetricFamily, "dropped_blocks", "strep_sink_dropped_blocks", "Blocks dropped because it was behind."),
    (CounterMetricFamily, "dropped_calls", "strep_sink_dropped_calls", "Calls that the sink was never told of."),
    (CounterMetricFamily, "errors", "strep_sink_errors", "Exceptions that left the sink, and calls that hung."),
    (CounterMetricFamily, "restarts", "strep_sink_restarts", "Times the sink was replaced since it had failed."),
    (GaugeMetricFamily, "hung", "strep_sink_hung", "1 while a call into the sink does not return."),
    (GaugeMetricFamily, "abandoned", "strep_sink_abandoned_threads", "Threads of its predecessors that hang."),
    (GaugeMetricFamily, "detached", "strep_sink_detached", "1 when the sink is fed no more, for good."),
)
_RECORDING = (
    (GaugeMetricFamily, "live", "strep_recordings", "Calls being recorded."),
    (CounterMetricFamily, "started", "strep_recordings_started", "Recordings that began."),
    (CounterMetricFamily, "ended", "strep_recordings_ended", "Recordings that ended with their calls."),
    (CounterMetricFamily, "continued", "strep_recordings_continued", "Recordings taken over from a dead process."),
    (CounterMetricFamily, "failed", "strep_recordings_failed", "Recordings that ended early."),
    (CounterMetricFamily, "sidecar_errors", "strep_sidecar_errors", "Sidecars not written, or not in full."),
    (CounterMetricFamily, "patched_samples", "strep_recordings_patched_samples", "Late samples put in their place."),
)
_SYNC = (
    (CounterMetricFamily, "syncs", "strep_disk_syncs", "Times that a file system was synced."),
    (CounterMetricFamily, "slow", "strep_disk_syncs_slow", "Rounds that took the disk longer than --sync."),
    (CounterMetricFamily, "errors", "strep_disk_sync_errors", "Syncs that failed: what was written may be lost."),
)
_WEBHOOKS = (
    (CounterMetricFamily, "delivered", "strep_webhooks_delivered", "Webhooks that their receiver has taken."),
    (CounterMetricFamily, "retried", "strep_webhooks_retried", "Attempts that were not the first."),
    (CounterMetricFamily, "unreachable", "strep_webhooks_unreachable", "Attempts that found no connection."),
    (CounterMetricFamily, "refused", "strep_webhooks_refused", "Webhooks that their receiver does not want (4xx)."),
    (CounterMetricFamily, "given_up", "strep_webhooks_given_up", "Webhooks too old, or tried too often."),
    (CounterMetricFamily, "dropped", "strep_webhooks_dropped", "Webhooks dropped for want of room."),
    (CounterMetricFamily, "overflowed", "strep_webhooks_overflowed", "Events dropped before they were webhooks."),
    (CounterMetricFamily, "orphaned", "strep_webhooks_orphaned", "Spooled ones whose receiver is no --webhook now."),
    (CounterMetricFamily, "store_errors", "strep_webhooks_store_errors", "Failures of the spool's disk."),
    (GaugeMetricFamily, "waiting", "strep_webhooks_waiting", "Webhooks that wait to be taken."),
    (GaugeMetricFamily, "waiting_bytes", "strep_webhooks_waiting_bytes", "What they take."),
    (GaugeMetricFamily, "held", "strep_webhooks_receivers_held", "Receivers that are away or too busy."),
)

_DELIVERY = (
    (GaugeMetricFamily, "waiting", "strep_deliveries_waiting", "Recordings that are not where they are to be."),
    (
        GaugeMetricFamily,
        "left_for_later",
        "strep_deliveries_left",
        "Recordings left as they are until the next start.",
    ),
    (CounterMetricFamily, "retries", "strep_deliveries_retries", "Steps that failed and are tried again."),
    (CounterMetricFamily, "delivered", "strep_deliveries", "Recordings delivered."),
    (CounterMetricFamily, "delivered_bytes", "strep_deliveries_bytes", "Their files."),
    (CounterMetricFamily, "failed", "strep_deliveries_failed", "Recordings that were given up."),
    (CounterMetricFamily, "not_taken", "strep_deliveries_not_taken", "Recordings for which no job could be written."),
)

_NATS = (
    (GaugeMetricFamily, "waiting", "strep_nats_waiting", "Messages in memory that the stream does not have yet."),
    (GaugeMetricFamily, "waiting_bytes", "strep_nats_waiting_bytes", "What they take."),
    (GaugeMetricFamily, "spool_bytes", "strep_nats_spool_bytes", "Messages on disk."),
    (CounterMetricFamily, "offered", "strep_nats_offered", "Messages made of audio and events, and taken."),
    (CounterMetricFamily, "sent", "strep_nats_sent", "Messages sent; again and again if need be."),
    (CounterMetricFamily, "stored", "strep_nats_stored", "Messages that the stream acknowledged."),
    (CounterMetricFamily, "rejected", "strep_nats_rejected", "Refusals of the stream; it is tried again."),
    (CounterMetricFamily, "dropped", "strep_nats_dropped", "Messages for which there was no room."),
    (
        CounterMetricFamily,
        "dropped_audio_messages",
        "strep_nats_dropped_audio",
        "Pieces of audio dropped on the way to a message.",
    ),
    (CounterMetricFamily, "dropped_events", "strep_nats_dropped_events", "Events dropped before they were messages."),
    (CounterMetricFamily, "lost", "strep_nats_lost", "Messages that were not sent when publishing ended."),
    (CounterMetricFamily, "intake_errors", "strep_nats_intake_errors", "Exceptions in making messages; a bug each."),
    (CounterMetricFamily, "spool_errors", "strep_nats_spool_errors", "Failures of the spool's disk."),
    (
        CounterMetricFamily,
        "spool_torn_bytes",
        "strep_nats_spool_torn_bytes",
        "What could not be read from the spool.",
    ),
    (CounterMetricFamily, "reconnects", "strep_nats_reconnects", "Connections that were not the first."),
    (CounterMetricFamily, "restarts", "strep_nats_restarts", "Times the process that publishes was replaced."),
)
_HTTP = (
    (GaugeMetricFamily, "readers", "strep_http_readers", "Readers of audio and events."),
    (CounterMetricFamily, "turned_away", "strep_http_turned_away", "Connections beyond their bound."),
)
_FEED = (
    (GaugeMetricFamily, "subscriptions", "strep_feed_subscriptions", "Readers of audio."),
    (GaugeMetricFamily, "waiting_bytes", "strep_feed_waiting_bytes", "Audio that waits for them."),
    (CounterMetricFamily, "messages", "strep_feed_messages", "Messages of audio made for them."),
    (CounterMetricFamily, "cut_off", "strep_feed_cut_off", "Readers that were too slow."),
)

_ENGINES = (
    (GaugeMetricFamily, "workers", "strep_transcription_workers", "Processes of the engine that are ready."),
    (GaugeMetricFamily, "streams", "strep_transcription_tracks", "Tracks being transcribed."),
    (
        GaugeMetricFamily,
        "backlog_seconds",
        "strep_transcription_backlog_seconds",
        "Speech that waits for it.",
    ),
    (
        GaugeMetricFamily,
        "backlog_age_seconds",
        "strep_transcription_backlog_age_seconds",
        "Age of the oldest speech that the engine has not answered.",
    ),
    (CounterMetricFamily, "given_seconds", "strep_transcription_speech_seconds", "Speech given to the engine."),
    (CounterMetricFamily, "missing_seconds", "strep_transcription_missing_seconds", "Speech without a text."),
    (CounterMetricFamily, "finals", "strep_transcription_results", "Final results."),
    (CounterMetricFamily, "words", "strep_transcription_words", "Words in them."),
    (CounterMetricFamily, "hung", "strep_transcription_workers_hung", "Processes replaced because they hung."),
    (CounterMetricFamily, "died", "strep_transcription_workers_died", "Processes replaced because they died."),
    (CounterMetricFamily, "refused", "strep_transcription_workers_refused", "Times the engine could not be loaded."),
    (CounterMetricFamily, "recognizers_failed", "strep_transcription_failures", "Exceptions of the engine."),
    (CounterMetricFamily, "streams_given_up", "strep_transcription_tracks_given_up", "Tracks that it failed with."),
    (CounterMetricFamily, "late_closes", "strep_transcription_late_ends", "Tracks whose last results came too late."),
)

_Table = tuple[tuple[type[Metric], str, str, str], ...]


def families(totals: Totals) -> Iterator[Metric]:
    """Yield everything there is to say."""
    snapshot = totals.snapshot()
    yield from _plain(_ENGINE, [([], snapshot)])
    yield from _alarms(snapshot.get("alarms", []))
    yield from call_families(snapshot.get("companions", {}).get("tally"))
    yield from record_families(snapshot.get("companions", {}).get("cdr"))
    yield from trace_families(snapshot.get("companions", {}).get("traces"))
    yield from _loop_lag(snapshot.get("loop_lag"))
    yield from _doors(snapshot.get("doors", {}))
    yield from _sinks(snapshot.get("sinks", []))
    yield from _sync(snapshot.get("companions", {}).get("sync"))
    yield from _webhooks(snapshot.get("companions", {}).get("webhooks"))
    yield from _deliveries(snapshot.get("companions", {}))
    yield from _nats(snapshot.get("companions", {}).get("nats"))
    yield from _http(snapshot.get("companions", {}).get("http"))
    up = GaugeMetricFamily("strep_worker_up", "1 while the worker receives.", labels=["worker"])
    restarts = CounterMetricFamily("strep_worker_restarts", "Times the worker was replaced.", labels=["worker"])
    for index, (is_up, count) in enumerate(zip(totals.is_up, totals.restarts, strict=True)):
        up.add_metric([str(index)], is_up)
        restarts.add_metric([str(index)], count)
    yield from (up, restarts)


def _plain(table: _Table, rows: list[tuple[list[str], Snapshot]], labels: tuple[str, ...] = ()) -> Iterator[Metric]:
    """Yield a family for each line of `table`, with a sample for each row that has the value."""
    for kind, name, family_name, text in table:
        family: Any = kind(family_name, text, labels=labels)  # type: ignore[call-arg]
        for values, snapshot in rows:
            if name in snapshot:
                family.add_metric(values, snapshot[name])
        yield family


def _alarms(alarms: list[Snapshot]) -> Iterator[Metric]:
    labels = ["name", "severity"]
    is_raised = GaugeMetricFamily("strep_alarm", "1 while it is raised: docs/alarms.md.", labels=labels)
    raised = CounterMetricFamily("strep_alarms_raised", "Times that it was raised.", labels=labels)
    for alarm in alarms:
        values = [alarm["name"], alarm["severity"]]
        is_raised.add_metric(values, alarm.get("is_raised", False))
        raised.add_metric(values, alarm["raised"])
    yield from (is_raised, raised)


def _loop_lag(lag: Snapshot | None) -> Iterator[Metric]:
    if lag is not None:
        text = "How late beats of the receive path were."
        yield HistogramMetricFamily(
            "strep_loop_lag_seconds", text, buckets=list(lag["buckets"].items()), sum_value=lag["sum_seconds"]
        )
        text = "99 % of the last 10 s' beats were not later, in the worst process."
        yield GaugeMetricFamily("strep_loop_lag_p99_seconds", text, value=lag.get("p99_ns", 0) / NS_PER_SECOND)


def _doors(doors: dict[str, Snapshot]) -> Iterator[Metric]:
    received = CounterMetricFamily("strep_received", "Datagrams, or messages, received.", labels=["door"])
    rejected = CounterMetricFamily("strep_rejected", "What of them is no call audio.", labels=["door", "reason"])
    for name, door in doors.items():
        received.add_metric([name], door.get("datagrams", 0) + door.get("messages", 0))
        for reason, count in door.get("rejected", {}).items():
            rejected.add_metric([name, reason], count)
    yield from (received, rejected)
    if "ws" in doors:
        yield from _plain(_WS, [([], doors["ws"])])
        for name, label, family_name, text in _WS_BY:
            family = CounterMetricFamily(family_name, text, labels=[label])
            for value, count in doors["ws"].get(name, {}).items():
                family.add_metric([value], count)
            yield family


def _webhooks(webhooks: Snapshot | None) -> Iterator[Metric]:
    if webhooks is not None:
        yield from _plain(_WEBHOOKS, [([], webhooks)])
        text = "Age of the oldest webhook that waits."
        yield GaugeMetricFamily("strep_webhooks_oldest_seconds", text, value=webhooks["oldest_ns"] / NS_PER_SECOND)


def _nats(nats: Snapshot | None) -> Iterator[Metric]:
    if nats is not None:
        events = nats.get("events", {}).get("dropped", 0)  # before they came to the process that publishes
        yield from _plain(_NATS, [([], {**nats, "dropped_events": nats.get("dropped_events", 0) + events})])
        text = "Age of the oldest message that waits."
        yield GaugeMetricFamily("strep_nats_oldest_seconds", text, value=nats.get("oldest_ms", 0) / 1000)
        is_connected = int(nats.get("connected", False))
        yield GaugeMetricFamily("strep_nats_connected", "1 while a process has a connection.", value=is_connected)


def _http(http: Snapshot | None) -> Iterator[Metric]:
    if http is not None:
        yield from _plain(_HTTP, [([], http)])
        carrier = CounterMetricFamily("strep_carrier_webhooks", "The carrier's webhooks.", labels=["outcome"])
        for outcome, count in http.get("carrier", {}).items():
            carrier.add_metric([outcome], count)
        yield carrier
        refused = CounterMetricFamily("strep_http_refused", "Requests answered by an error.", labels=["code"])
        for code, count in http.get("refused", {}).items():
            refused.add_metric([code], count)
        yield refused


def _sinks(sinks: list[Snapshot]) -> Iterator[Metric]:
    yield from _plain(_SINK, [([sink["name"]], sink) for sink in sinks], ("sink",))
    lag = GaugeMetricFamily("strep_sink_lag_seconds", "Age of what the sink has not finished.", labels=["sink"])
    dropped = CounterMetricFamily("strep_sink_dropped_seconds", "Audio not given to the sink.", labels=["sink"])
    for sink in sinks:
        lag.add_metric([sink["name"]], sink.get("lag_ns", 0) / NS_PER_SECOND)
        dropped.add_metric([sink["name"]], sink.get("dropped_seconds", 0))
    yield from (lag, dropped)
    recordings: list[tuple[list[str], Snapshot]] = [
        ([], sink.get("details", {})) for sink in sinks if sink["name"] == "recording"
    ]
    if recordings:
        yield from _plain(_RECORDING, recordings)
    feeds: list[tuple[list[str], Snapshot]] = [
        ([], sink.get("details", {})) for sink in sinks if sink["name"] == "feed"
    ]
    if feeds:
        yield from _plain(_FEED, feeds)
    engines: list[tuple[list[str], Snapshot]] = [
        ([name], engine)
        for sink in sinks
        if sink["name"] == "transcription"
        for name, engine in sink.get("details", {}).get("engines", {}).items()
    ]
    if engines:
        yield from _plain(_ENGINES, engines, ("engine",))


def _sync(sync: Snapshot | None) -> Iterator[Metric]:
    """Yield how the disk keeps up, where that is asked for."""
    if sync is None:
        return
    yield from _plain(_SYNC, [([], sync)])
    took = CounterMetricFamily("strep_disk_sync_seconds", "Time that syncs took.")
    took.add_metric([], sync.get("took_ns", 0) / NS_PER_SECOND)
    oldest = GaugeMetricFamily("strep_disk_unsynced_seconds", "Age of what lost power would cost, at most.")
    oldest.add_metric([], sync.get("oldest_ns", 0) / NS_PER_SECOND)
    yield from (took, oldest)


def _deliveries(companions: dict[str, Snapshot]) -> Iterator[Metric]:
    """Yield what there is of delivery, with the directory's recordings as label: of calls, or takes."""
    rows = [
        ([{"delivery": "calls", "delivery of takes": "takes"}[name]], companion)
        for name, companion in companions.items()
        if name in ("delivery", "delivery of takes")
    ]
    if rows:
        yield from _plain(_DELIVERY, rows, ("recordings",))
        oldest = GaugeMetricFamily(
            "strep_deliveries_oldest_seconds", "Age of the oldest recording that waits.", labels=["recordings"]
        )
        for values, companion in rows:
            oldest.add_metric(values, companion.get("oldest_ns", 0) / NS_PER_SECOND)
        yield oldest
