"""Runs a plan of the simulated carrier through the production engine under a manual clock, without sockets."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import soundfile
from numpy.typing import NDArray

from media.blocks import PcmBatch
from media.carrier.plan import Plan
from media.decoding.payload_types import PayloadType, PayloadTypes
from media.doors.sources import pack_source
from media.doors.strep import StrepDoor
from media.engine import Engine
from media.sinks.contract import Sink
from media.sinks.queue import CallStarted, Item
from media.sinks.recording import RecordingSink
from strep.clock import NS_PER_MS, NS_PER_SECOND, ManualClock
from strep.datagrams import DatagramBatch
from strep.table import TimelineSettings
from strep.timeline import Timeline

SOURCE = np.frombuffer(pack_source("192.0.2.1", 4000), np.uint8)
BEGINNING_NS = 1000 * NS_PER_SECOND


class Directly:
    """An outlet without queue and thread: the sink is called at once."""

    def __init__(self, sink: Sink) -> None:
        self.sink, self.options = sink, sink.options

    def put(self, item: Item) -> None:
        if isinstance(item, PcmBatch):
            self.sink.receive(item)
        elif isinstance(item, CallStarted):
            self.sink.call_started(item.call)
        else:
            self.sink.call_ended(item.call, item.report)


class Bench:
    """An engine with a STREP door, a recording sink and a clock that the test moves."""

    def __init__(
        self,
        directory: Path,
        *,
        recording_format: Any = "passthrough",
        max_tracks: int = 20_000,
        payload_types: Iterable[PayloadType] = (),
    ) -> None:
        self.clock = ManualClock(BEGINNING_NS)
        self.directory = directory
        self.recording = RecordingSink(directory, recording_format, self.clock)
        self.engine = Engine(
            Timeline(TimelineSettings()),
            self.clock,
            [Directly(self.recording)],
            idle_timeout_ns=30 * NS_PER_SECOND,
            max_tracks=max_tracks,
            payload_types=PayloadTypes(payload_types),
        )
        self.door = StrepDoor(self.engine)

    def run(self, plan: Plan, step_ns: int = 5 * NS_PER_MS) -> None:
        """Feed all deliveries of `plan`, a batch and a poll per step, then end all calls."""
        for now_ns, start, stop in plan.batches(step_ns):
            self.clock.monotonic_ns = BEGINNING_NS + now_ns
            for first in range(start, stop, 1024):
                self._feed(plan, first, min(first + 1024, stop))
            self.engine.poll(self.clock.now_ns())
        self.engine.end_all("shutdown")

    def _feed(self, plan: Plan, start: int, stop: int) -> None:
        table = plan.table(start, stop)
        arrival_ns = BEGINNING_NS + plan.times_ns[start:stop]
        source = np.broadcast_to(SOURCE, (stop - start, len(SOURCE)))
        lengths = table.lengths.astype(np.int64)
        batch = DatagramBatch(table.rows, lengths, arrival_ns, source)
        self.door.receive(batch, self.clock.now_ns())


def sidecar(directory: Path, call_id: str) -> dict[str, Any]:
    """Return a recording's sidecar."""
    decoded: dict[str, Any] = msgspec.json.decode((directory / f"{call_id}.json").read_bytes())
    return decoded


def encoded_channels(path: Path) -> NDArray[np.uint8]:
    """Return the code bytes of a mu-law or A-law WAV as (samples, channels), found by its chunks."""
    data = path.read_bytes()
    assert data[:4] == b"RIFF"
    offset = 12
    while data[offset : offset + 4] != b"data":
        offset += 8 + int.from_bytes(data[offset + 4 : offset + 8], "little")
    size = int.from_bytes(data[offset + 4 : offset + 8], "little")
    return np.frombuffer(data, np.uint8, size, offset + 8).reshape(-1, 2)


def pcm_channels(path: Path) -> NDArray[np.int16]:
    """Return a recording as (samples, channels) int16."""
    pcm: NDArray[np.int16] = soundfile.read(path, dtype="int16", always_2d=True)[0]
    return pcm
