"""Sockets of a desk without an event loop: what a transport does not hand on is in a real socket until it is read."""

from __future__ import annotations

from contextlib import suppress
from functools import cache, partial
from socket import MSG_DONTWAIT, MSG_PEEK, socket, socketpair
from typing import Any

import pytest
from websockets.http11 import Request
from websockets.server import ServerProtocol

from media.ws.chunks import Placement
from media.ws.conversation import Conversation
from media.ws.desk import Desk
from media.ws.host import Handshake, StreamHandle
from media.ws.options import WsServerOptions
from strep.clock import ManualClock
from strep.frames import FrameBatch
from strep.header import Direction
from tests.ws.fakes import STREAM_ID, FakeHandle, FakeHost, connected, media, start

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
KEY = bytes((7, 250, 0, 99))


class ExpressHost(FakeHost):
    """Takes columns as well, and writes both down alike, with arrival times."""

    def __init__(self, *, has_lane: bool) -> None:
        super().__init__()
        self.has_lane = has_lane
        self.slots: list[tuple[FakeHandle, Direction]] = []
        self.heard: dict[Direction, list[tuple[Placement, bytes, int]]] = {d: [] for d in Direction}
        self.in_columns = 0

    def stream_slot(self, handle: StreamHandle, direction: Direction, leave: Any) -> int | None:
        if not self.has_lane:
            return None
        self.slots.append((self.of(handle), direction))
        return len(self.slots) - 1

    def stream_waiting(self) -> None:
        pass  # there is no pulse

    def stream_media(
        self, handle: StreamHandle, direction: Direction, placement: Placement, payload: bytes, now_ns: int
    ) -> None:
        self.heard[direction].append((placement, payload, now_ns))

    def stream_frames(self, frames: FrameBatch) -> None:
        self.in_columns += len(frames)
        for i, slot in enumerate(frames.slot.tolist()):
            place = int(frames.sequence_number[i]), int(frames.timestamp[i]), 0, int(frames.ssrc[i])
            taken = Placement(*place), frames.payload(i).tobytes(), int(frames.arrival_ns[i])
            self.heard[self.slots[slot][1]].append(taken)


class Transport:
    """Takes what is written; what it reads, or does not read while it is paused, is of a real socket."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.here, self.there = socketpair()
        self.is_paused = False

    def get_extra_info(self, name: str) -> socket:
        return self.here

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def close(self) -> None:
        self.here.close()
        self.there.close()

    def __del__(self) -> None:
        self.close()

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.written.append(b"")

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None:
        self.written.append(b"abort")


def opened() -> ServerProtocol:
    protocol = ServerProtocol()
    protocol.receive_data(UPGRADE)
    (request,) = protocol.events_received()
    assert isinstance(request, Request)
    protocol.send_response(protocol.accept(request))
    protocol.data_to_send()
    return protocol


def framed(message: str | bytes, *, first: int = 0x81, key: bytes = KEY) -> bytes:
    payload = message.encode() if isinstance(message, str) else message
    size = len(payload)
    length = bytes((0x80 | size,)) if size < 126 else bytes((0x80 | 126,)) + size.to_bytes(2, "big")
    keys = (key * (size // 4 + 1))[:size]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")
    return bytes((first,)) + length + key + masked.to_bytes(size, "big")


class Session:
    """Sockets of one desk that are fed bytes, with a beat now and then."""

    def __init__(self, *, has_lane: bool, patience_ms: float = 100.0) -> None:
        self.host, self.clock = ExpressHost(has_lane=has_lane), ManualClock(10**9)
        self.desk = Desk(self.host, WsServerOptions(patience_ms=patience_ms if has_lane else 0.0), self.clock)
        self.transports: list[Transport] = []
        self.sockets: list[Conversation] = []
        self.connect()

    def connect(self, stream_id: str = STREAM_ID) -> None:
        protocol, transport = opened(), Transport()
        self.transports.append(transport)
        self.socket = Conversation(self.desk, transport, protocol, Handshake(connection_id="1"))  # type: ignore[arg-type]
        self.sockets.append(self.socket)
        self.desk.open.add(self.socket)
        for message in (connected(), start(stream_id)):
            self.feed(framed(message))

    def feed(self, data: bytes, which: int = -1) -> None:
        """Let `data` come: the transport hands it on, or it is in the kernel until the next sweep."""
        transport = self.transports[which]
        if transport.is_paused:
            transport.there.send(data)
        else:
            self.clock.advance(1_000_000)
            self.sockets[which].data_received(data)

    def sweep(self) -> None:
        self.clock.advance(1_000_000)
        if self.desk.lane is not None:
            self.desk.drain.sweep()
        if self.transports[-1].is_paused or self.desk.lane is None:
            return
        for data in iter(partial(self._read, self.transports[-1]), b""):
            self.socket.data_received(data)

    def sweep_all(self) -> None:
        """Sweep until nothing is left in the kernel: in a sweep each socket is read once, and not all of it."""
        for _ in range(100):
            self.sweep()
            if not self._waits(self.transports[-1]):
                return
        raise AssertionError("nobody reads")

    def _waits(self, transport: Transport) -> bool:
        with suppress(BlockingIOError):
            return bool(transport.here.recv(1, MSG_DONTWAIT | MSG_PEEK))
        return False

    def _read(self, transport: Transport) -> bytes:
        with suppress(BlockingIOError):
            return transport.here.recv(1 << 16, MSG_DONTWAIT)
        return b""

    def play(self, script: list[bytes | str]) -> Session:
        for step in script:
            if isinstance(step, bytes):
                self.feed(step)
            elif step == "beat":
                self.sweep()
            else:
                self.sweep_all()  # bytes that are still in the kernel of a socket that breaks are nobody's
                self.socket.connection_lost(None)
                self.connect()
        self.sweep_all()
        for transport in self.transports:
            transport.close()
        return self

    def outcome(self) -> Any:
        totals = self.desk.snapshot()
        sequencers = [handle.sequencer.snapshot() for handle in self.host.streams.values()]
        events = [handle.events for handle in self.host.streams.values()]
        heard = {d: [(place, payload) for place, payload, _ in self.host.heard[d]] for d in Direction}
        return heard, self.host.calls, totals, sequencers, events, [t.written for t in self.transports]


@cache
def _audio(value: int, samples: int) -> bytes:
    return bytes((value * 7 + i * (value % 5)) % 256 for i in range(samples))


def frame_of(
    direction: int,
    chunk: int,
    sequence_number: int,
    timestamp: int | None,
    samples: int,
    value: int,
    stream_id: str = STREAM_ID,
) -> bytes:
    payload = _audio(value, samples)
    track = "inbound" if direction == 0 else "outbound"
    return framed(
        media(chunk, sequence_number, payload=payload, track=track, timestamp=timestamp, stream_id=stream_id)
    )


def without_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let timers never fire."""

    class Timer:
        def cancel(self) -> None: ...

    class Loop:
        def call_later(self, *arguments: object) -> Timer:
            return Timer()

    monkeypatch.setattr("media.ws.conversation.asyncio.get_running_loop", Loop)
    monkeypatch.setattr("media.ws.drain.asyncio.get_running_loop", Loop)
