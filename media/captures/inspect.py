"""A capture through the production code, with the capture's times: what did, or would, the server make of it.

Everything from the doors down is the server's own: STREP and RTP parsing, demultiplexing, timeline, engine, and
the recording sink if recordings are wanted. Only the clock is set by the capture, and holes are given up at their
very deadline, where the server looks every few milliseconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np

from media.blocks import PcmBatch
from media.captures.census import Census, flow_key, is_rtcp
from media.captures.flows import FlowDoor
from media.captures.layers import Address, Skip
from media.captures.reader import CaptureReader, Datagram
from media.config import RtpPorts, ServerConfig
from media.decoding.payload_types import PayloadType, PayloadTypes
from media.doors.rtp import RtpDoor
from media.doors.sources import pack_source
from media.doors.strep import StrepDoor
from media.engine import Engine
from media.outlets import Outlet
from media.sinks.contract import CallInfo, CallReport, Sink
from media.sinks.queue import CallEnded, CallStarted, Item
from media.sinks.recording import RecordingSink
from strep.clock import NS_PER_SECOND, ManualClock
from strep.datagrams import collect
from strep.header import Direction
from strep.reject import Reject
from strep.table import TimelineSettings
from strep.timeline import Timeline

BATCH = 1024
OTHER_UDP = "OTHER_UDP"
"""UDP that is neither STREP nor RTP nor RTCP."""
_DEFAULTS = ServerConfig()
_pack_source = lru_cache(maxsize=65_536)(pack_source)

Progress = Callable[[int, int], None]
"""Told how many bytes of how many are done."""


@dataclass(frozen=True, slots=True)
class InspectOptions:
    """What `strep inspect` may be told; the defaults are the server's."""

    udp: frozenset[int] = frozenset()
    """Destination ports that take STREP; others are found by looking."""
    rtp: tuple[RtpPorts, ...] = ()
    """Pairs of ports that take plain RTP, as the server's ``--rtp``, at any host; others are found."""
    any_payload_type: bool = False
    """Look for plain RTP of all payload types, not only static audio types at 8 kHz and `payload_types`."""
    payload_types: tuple[PayloadType, ...] = ()
    """What payload types stand for, as the server's ``--payload-type``; so they are found in plain RTP, too."""
    reorder_wait_ms: int = _DEFAULTS.reorder_wait_ms
    idle_timeout_s: float = _DEFAULTS.idle_timeout_s
    wav: Path | None = None
    """Directory for the recordings."""

    @property
    def rtp_ports(self) -> frozenset[int]:
        """All ports in `rtp`."""
        return frozenset(end.port for pair in self.rtp for end in (pair.rx, pair.tx))


@dataclass(slots=True)
class Findings:
    """What came out, as the parts gave it.

    Attributes:
        census: who was seen.
        calls: what the sinks were told of each call at its end.
        skipped: frames without a datagram.
        rejected: datagrams that were no call audio, by name of `Reject` or `OTHER_UDP`.
        conservation_errors: tracks whose packets did not add up; always 0.
        failed_recordings: recordings that ended early, for the disk's sake.
        warnings: what was wrong with the file.
    """

    census: Census
    frames: int = 0
    calls: list[tuple[CallInfo, CallReport]] = field(default_factory=list)
    skipped: Counter[Skip] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    conservation_errors: int = 0
    failed_recordings: int = 0
    warnings: list[str] = field(default_factory=list)


def inspect(path: Path, options: InspectOptions, on_progress: Progress = lambda done, total: None) -> Findings:
    """Read `path` twice, to find the call audio and to run it.

    Raises:
        OSError: the file cannot be read.
        WireError: it is no capture.
        ConfigurationError: a payload type needs a package that is not installed.
    """
    named = frozenset(payload_type.number for payload_type in options.payload_types)
    census = Census(options.udp, options.rtp_ports, options.any_payload_type, named)
    findings = Findings(census)
    with CaptureReader(path) as reader:
        for datagrams in _batches(reader):
            for datagram in datagrams:
                census.observe(datagram)
            on_progress(reader.position_bytes, 2 * reader.size_bytes)
        findings.frames, findings.skipped = reader.frames, reader.skipped
        findings.warnings = _warnings(reader)
    run = Run(options, census)
    with CaptureReader(path) as reader:
        for datagrams in _batches(reader):
            run.receive(datagrams)
            on_progress(reader.size_bytes + reader.position_bytes, 2 * reader.size_bytes)
    run.finish(findings)
    return findings


def _batches(reader: CaptureReader) -> Iterator[list[Datagram]]:
    datagrams = iter(reader)
    while batch := list(islice(datagrams, BATCH)):
        yield batch


def _warnings(reader: CaptureReader) -> list[str]:
    warnings = [reader.warning] if reader.warning else []
    for link_type, frames in reader.link_types.items():
        warnings.append(f"{frames:,} frames of link type {link_type}, which is not supported")
    return warnings


class Run:
    """The server without sockets and threads: `receive` datagrams in the order of the capture, then `finish`."""

    def __init__(self, options: InspectOptions, census: Census) -> None:
        self._clock = ManualClock(0, census.first_ns)
        self._ended = _Collector()
        self._recording = RecordingSink(options.wav, clock=self._clock) if options.wav else None
        outlets: list[Outlet] = [self._ended]
        if self._recording:
            outlets.append(SinkOutlet(self._recording))
        self._engine = Engine(
            Timeline(TimelineSettings(reorder_wait_ms=options.reorder_wait_ms)),
            self._clock,
            outlets,
            idle_timeout_ns=int(options.idle_timeout_s * NS_PER_SECOND),
            max_tracks=_DEFAULTS.max_tracks,
            payload_types=PayloadTypes(options.payload_types),
        )
        self._start_ns = census.first_ns
        self._strep_ports, self._strep_destinations = options.udp, census.strep_destinations()
        self._strep = StrepDoor(self._engine)
        self._ports: dict[int, tuple[RtpDoor, Direction]] = {}
        for pair in options.rtp:
            door = RtpDoor(pair.name, self._engine)
            self._ports[pair.rx.port] = door, Direction.INBOUND
            self._ports[pair.tx.port] = door, Direction.OUTBOUND
        flows = census.flows()
        self._flows = FlowDoor(self._engine, flows)
        self._flow_numbers = {flow: number for number, flow in enumerate(flows)}
        self._others: Counter[str] = Counter()

    def receive(self, datagrams: Sequence[Datagram]) -> None:
        """Take datagrams, with everything that is due before and between them."""
        timeline = self._engine.timeline
        times_ns = np.array([datagram.time_ns - self._start_ns for datagram in datagrams], np.int64)
        start = 0
        while start < len(datagrams):
            first_ns = int(times_ns[start])
            self._wait_until(first_ns)
            # A hole that opens from here on is not due before this, so all up to here may come in one batch.
            limit_ns = min(first_ns + timeline.settings.reorder_wait_ns, self._engine.audio_deadline())
            beyond = times_ns[start + 1 :] > limit_ns
            stop = start + 1 + (int(beyond.argmax()) if beyond.any() else len(beyond))
            self._give_to_doors(datagrams[start:stop])
            start = stop

    def _wait_until(self, now_ns: int) -> None:
        """Let the time pass, and what is due happen; while nobody calls there is nothing to wait for."""
        while self._engine.deadline() < now_ns and self._engine.snapshot()["tracks"]:
            self._poll(self._engine.deadline())
        self._poll(now_ns)

    def _poll(self, now_ns: int) -> None:
        self._clock.monotonic_ns = max(now_ns, self._clock.monotonic_ns)
        self._engine.poll(self._clock.monotonic_ns)

    def _give_to_doors(self, datagrams: Iterable[Datagram]) -> None:
        strep: list[tuple[bytes, int, bytes]] = []
        flows: list[tuple[bytes, int, bytes]] = []
        flow_numbers: list[int] = []
        ports: dict[int, list[tuple[bytes, int, bytes]]] = {}
        for time_ns, source, destination, payload in datagrams:
            row = payload, time_ns - self._start_ns, _pack_source(*source)
            port = destination[1]
            if port in self._ports:
                ports.setdefault(port, []).append(row)
            elif port in self._strep_ports or destination in self._strep_destinations:
                strep.append(row)
            elif (flow := self._flow_of(source, destination, payload)) is not None:
                flows.append(row)
                flow_numbers.append(flow)
            else:
                self._others[Reject.RTCP.name if is_rtcp(payload) else OTHER_UDP] += 1
        now_ns = self._clock.now_ns()
        if strep:
            self._strep.receive(collect(strep), now_ns)
        if flows:
            self._flows.receive(collect(flows), np.array(flow_numbers))
        for port, rows in ports.items():
            door, direction = self._ports[port]
            door.receive(collect(rows), direction, now_ns)

    def _flow_of(self, source: Address, destination: Address, payload: bytes) -> int | None:
        key = flow_key(source, destination, payload)
        return None if key is None else self._flow_numbers.get(key)

    def finish(self, findings: Findings) -> None:
        """End all calls and write down what came out."""
        self._wait_until(self._clock.now_ns() + self._engine.timeline.settings.reorder_wait_ns + 1)
        self._engine.end_all("closed")
        if self._recording:
            self._recording.close()
            findings.failed_recordings = self._recording.snapshot().failed
        findings.calls = self._ended.calls
        findings.conservation_errors = self._engine.conservation_errors
        findings.rejected = self._others
        doors = {door for door, _ in self._ports.values()}
        rejected = sum((door.rejected for door in doors), self._strep.rejected + self._flows.rejected)
        findings.rejected.update({reason.name: int(rejected[reason]) for reason in Reject if rejected[reason]})


class _Collector:
    """An outlet that keeps the reports and lets the audio go."""

    def __init__(self) -> None:
        self.calls: list[tuple[CallInfo, CallReport]] = []

    def put(self, item: Item) -> None:
        """Keep `item` if it is a report."""
        if isinstance(item, CallEnded):
            self.calls.append((item.call, item.report))


class SinkOutlet:
    """A sink without queue and thread: offline nobody is in a hurry, and nothing may be dropped."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def put(self, item: Item) -> None:
        """Give `item` to the sink at once."""
        if isinstance(item, PcmBatch):
            self._sink.receive(item)
        elif isinstance(item, CallStarted):
            self._sink.call_started(item.call)
        elif isinstance(item, CallEnded):
            self._sink.call_ended(item.call, item.report)
