"""A host that writes down what it is told, and frames as the carrier writes them (stdlib only)."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from media.ws.chunks import ChunkSequencer, Placement
from media.ws.host import StreamHandle, StreamRefused, StreamStart
from strep.frames import FrameBatch
from strep.header import Direction

STREAM_ID = "32de0dea-53cb-4b21-89a4-9e1819c043bc"


@dataclass(eq=False)
class FakeHandle:
    stream_id: str
    sequencer: ChunkSequencer = field(default_factory=ChunkSequencer)
    media: list[tuple[Direction, Placement, bytes]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    attached: int = 0


class FakeHost:
    """Keeps streams by id, as the engine does; `calls` has every call's name in order."""

    def __init__(self) -> None:
        self.streams: dict[str, FakeHandle] = {}
        self.starts: list[StreamStart] = []
        self.calls: list[str] = []
        self.refusal: StreamRefused | None = None
        self.failure: Exception | None = None
        self.changed = asyncio.Event()

    def _call(self, name: str) -> None:
        self.calls.append(name)
        self.changed.set()
        if self.failure is not None:
            raise self.failure

    async def until(self, name: str, times: int = 1) -> None:
        """Wait until `name` has been called so often; the test's timeout is the limit."""
        while self.calls.count(name) < times:
            self.changed.clear()
            await self.changed.wait()

    def of(self, handle: StreamHandle) -> FakeHandle:
        assert isinstance(handle, FakeHandle)
        return handle

    def stream_started(self, start: StreamStart, now_ns: int) -> FakeHandle:
        self._call("started")
        if self.refusal is not None:
            raise self.refusal
        self.starts.append(start)
        handle = self.streams.setdefault(start.stream_id, FakeHandle(start.stream_id))
        handle.attached += 1
        return handle

    def stream_media(
        self, handle: StreamHandle, direction: Direction, placement: Placement, payload: bytes, now_ns: int
    ) -> None:
        self._call("media")
        self.of(handle).media.append((direction, placement, payload))

    def stream_slot(self, handle: StreamHandle, direction: Direction, leave: Callable[[], None]) -> int | None:
        return None

    def stream_waiting(self) -> None:
        raise AssertionError("no track has a slot")

    def stream_frames(self, frames: FrameBatch) -> None:
        raise AssertionError("no track has a slot")

    def stream_event(self, handle: StreamHandle, event: dict[str, Any]) -> None:
        self._call("event")
        self.of(handle).events.append(event)

    def stream_stopped(self, handle: StreamHandle, now_ns: int) -> None:
        self.of(handle).attached -= 1
        self._call("stopped")

    def stream_detached(self, handle: StreamHandle, now_ns: int) -> None:
        self.of(handle).attached -= 1
        self._call("detached")


def connected(**fields: Any) -> str:
    return json.dumps({"event": "connected", "version": "1.0.0", **fields})


def start(stream_id: str | None = STREAM_ID, sequence_number: int = 1, body: dict[str, Any] | None = None) -> str:
    media_format = {"encoding": "audio/x-mulaw", "sample_rate": 8000, "channels": 1}
    frame: dict[str, Any] = {
        "event": "start",
        "sequence_number": str(sequence_number),
        "start": {"call_control_id": "v3:q1Zk0aTx", "media_format": media_format} | (body or {}),
    }
    if stream_id is not None:
        frame["stream_id"] = stream_id
    return json.dumps(frame)


def media(
    chunk: int | None,
    sequence_number: int | None = None,
    *,
    payload: bytes = b"\xff" * 160,
    track: str | None = "inbound",
    timestamp: int | None = None,
    stream_id: str = STREAM_ID,
) -> str:
    body = {"track": track, "chunk": chunk, "timestamp": timestamp}
    strings = {name: str(value) if isinstance(value, int) else value for name, value in body.items()}
    frame = {
        "event": "media",
        "sequence_number": None if sequence_number is None else str(sequence_number),
        "media": strings | {"payload": base64.b64encode(payload).decode()},
        "stream_id": stream_id,
    }
    return json.dumps(frame)


def dtmf(digit: str, sequence_number: int) -> str:
    occurred_at = "2026-02-03T10:11:12.345678Z"
    frame = {"event": "dtmf", "occurred_at": occurred_at, "dtmf": {"digit": digit}}
    return json.dumps(frame | {"sequence_number": str(sequence_number), "stream_id": STREAM_ID})


def mark(name: str, sequence_number: int) -> str:
    frame = {"event": "mark", "mark": {"name": name}, "stream_id": STREAM_ID}
    return json.dumps(frame | {"sequence_number": str(sequence_number)})


def stop(sequence_number: int = 5, stream_id: str = STREAM_ID) -> str:
    frame = {"event": "stop", "stop": {"call_control_id": "v3:q1Zk0aTx"}, "stream_id": stream_id}
    return json.dumps(frame | {"sequence_number": str(sequence_number)})
