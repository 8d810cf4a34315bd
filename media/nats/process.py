"""Shell: the process that publishes: calls and events come by standard input, reports go to standard output.

A report is a JSON object a line with one of ``first`` (what the first attempt to connect came to), ``gap``
(`AudioUnpublished` of a call), ``log`` (level and text) and ``snapshot``.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, BinaryIO

import msgspec

from media.blocks import PcmBatch
from media.events.publishing import AudioUnpublished
from media.feed.sink import FeedSink
from media.feed.subscription import Limits as QueueLimits
from media.feed.subscription import WhenSlow
from media.nats.config import NatsConfig, ServerOptions
from media.nats.intake import Intake
from media.nats.names import Place, Subjects
from media.nats.outbox import Outbox
from media.nats.pipe import Begun, Ended, EventTold, OriginKnown, Stop, read
from media.nats.publisher import Publisher
from media.nats.spool import Spool
from media.nats.stream import StreamOptions, wanted
from media.nats.waiting import Limits
from media.sinks.contract import CallInfo
from strep.clock import SystemClock

LINGER_S = 5.0
"""How long the end waits for what is not stored yet; the rest goes to the spool."""
REPORT_S = 0.5
QUEUE = QueueLimits(64 << 20, 30.0, WhenSlow.DROP_OLDEST)
"""Of audio on its way from the feed to the publisher's thread."""

Report = Callable[[dict[str, Any]], None]


class Publishing:
    """The feed, the publisher, and what is between them."""

    def __init__(self, config: NatsConfig, report: Report) -> None:
        """Begin; raises OSError if the spool cannot be written to."""
        clock = SystemClock()
        subjects = Subjects(config.prefix, config.partitions)
        spool = Spool.open(config.spool, config.spool_bytes) if config.spool is not None else None
        outbox = Outbox(Limits(config.memory_bytes), spool, clock.wall_ns() - clock.now_ns())
        stream = StreamOptions(config.stream, config.max_age_s, config.max_bytes, config.replicas)
        server = ServerOptions(config.urls, config.credentials)
        self._report = report
        self.publisher = Publisher(server, wanted(stream, subjects), outbox, clock)
        self._feed = FeedSink()
        subscription = self._feed.subscribe(config.select, QUEUE, wake=self.publisher.wake)
        self._intake = Intake(subscription, subjects, config.message_ms, clock, self._tell_gap)
        self._calls: dict[int, CallInfo] = {}
        self.publisher.first.add_done_callback(lambda first: report({"first": first.result()}))
        self.publisher.start(self._intake)

    def take(self, source: BinaryIO) -> bool:
        """Take items until the end, or that of the publisher; return whether it was announced."""
        while self.publisher.is_alive and (item := read(source)) is not None:
            match item:
                case PcmBatch():
                    self._feed.receive(item)
                case Begun(call):
                    self._calls[call.index] = call
                    self._feed.call_started(call)
                case OriginKnown(index, origin_wall_ns):
                    self._calls[index].origin_wall_ns = origin_wall_ns
                case Ended(index, ended):
                    self._feed.call_ended(self._calls.pop(index), ended)
                case EventTold(call_id, origin_wall_ns, sequence, body):
                    self._intake.tell(call_id, Place(origin_wall_ns, sequence), body)
                    self.publisher.wake()
                case Stop():
                    return True
        return False

    def end(self, *, linger: bool) -> None:
        """Send what waits, as long as that may last; put the rest into the spool."""
        self._feed.close()
        self._intake.end()
        self.publisher.request_stop(LINGER_S if linger or self.publisher.is_connected else 0.0)
        self.publisher.join(4 * LINGER_S)

    def snapshot(self) -> dict[str, Any]:
        """Return all counters."""
        return self.publisher.snapshot() | self._intake.snapshot()

    def _tell_gap(self, call: CallInfo, gap: AudioUnpublished) -> None:
        self._report({"gap": {"call_id": call.call_id, **asdict(gap)}})


class _ReportHandler(logging.Handler):
    """Log lines as reports, so that they come out as those of the other process do."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self._report = report

    def emit(self, record: logging.LogRecord) -> None:
        self._report({"log": {"level": record.levelno, "text": self.format(record)}})  # with where it was raised


def _reporting(target: BinaryIO) -> Report:
    lock = threading.Lock()

    def report(said: dict[str, Any]) -> None:
        with lock, contextlib.suppress(OSError):  # whoever would read it is dead
            target.write(msgspec.json.encode(said) + b"\n")
            target.flush()

    return report


def main() -> None:
    """Publish until standard input ends."""
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the whole group; the end of input ends this one
        signal.signal(number, signal.SIG_IGN)
    report = _reporting(os.fdopen(os.dup(sys.stdout.fileno()), "wb"))
    logging.basicConfig(handlers=[_ReportHandler(report)], level=logging.INFO)
    config = read(sys.stdin.buffer)
    assert isinstance(config, NatsConfig)
    try:
        publishing = Publishing(config, report)
    except OSError as error:
        report({"failed": f"spool: {error.strerror or error}: {config.spool}"})
        sys.exit(1)
    over = threading.Event()

    def report_often() -> None:
        while not over.wait(REPORT_S):
            report({"snapshot": publishing.snapshot()})

    threading.Thread(target=report_often, daemon=True).start()
    linger = publishing.take(sys.stdin.buffer)
    publishing.end(linger=linger)
    over.set()
    report({"snapshot": publishing.snapshot()})


if __name__ == "__main__":
    main()
