"""The express lane takes nothing otherwise than the normal way: the same bytes give the same calls to the engine."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from socket import MSG_DONTWAIT, socket, socketpair
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.http11 import Request
from websockets.server import ServerProtocol

from media.ws.chunks import Placement
from media.ws.conversation import Conversation
from media.ws.desk import Desk
from media.ws.express.layout import find_layout
from media.ws.host import Handshake, StreamHandle
from media.ws.messages import Media, parse
from media.ws.options import WsServerOptions
from strep.clock import ManualClock
from strep.frames import FrameBatch
from strep.header import Direction
from tests.ws.fakes import FakeHandle, FakeHost, connected, dtmf, mark, media, start, stop

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

    def write(self, data: bytes) -> None:
        self.written.append(data)

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


def framed(message: str | bytes, *, first: int = 0x81) -> bytes:
    payload = message.encode() if isinstance(message, str) else message
    size = len(payload)
    length = bytes((0x80 | size,)) if size < 126 else bytes((0x80 | 126,)) + size.to_bytes(2, "big")
    masked = bytes(byte ^ KEY[i % 4] for i, byte in enumerate(payload))
    return bytes((first,)) + length + KEY + masked


class Session:
    """Sockets of one desk that are fed bytes, with a beat now and then."""

    def __init__(self, *, has_lane: bool) -> None:
        self.host, self.clock = ExpressHost(has_lane=has_lane), ManualClock(10**9)
        self.desk = Desk(self.host, WsServerOptions(patience_ms=100.0 if has_lane else 0.0), self.clock)
        self.transports: list[Transport] = []
        self.connect()

    def connect(self) -> None:
        protocol, transport = opened(), Transport()
        self.transports.append(transport)
        self.socket = Conversation(self.desk, transport, protocol, Handshake(connection_id="1"))  # type: ignore[arg-type]
        self.desk.open.add(self.socket)
        for message in (connected(), start()):
            self.feed(framed(message))

    def feed(self, data: bytes) -> None:
        """Let `data` come: the transport hands it on, or it is in the kernel until the next sweep."""
        transport = self.transports[-1]
        if transport.is_paused:
            transport.there.send(data)
        else:
            self.clock.advance(1_000_000)
            self.socket.data_received(data)

    def sweep(self) -> None:
        self.clock.advance(1_000_000)
        if self.desk.lane is not None:
            self.desk.drain.sweep()
        if self.transports[-1].is_paused or self.desk.lane is None:
            return
        for data in iter(partial(self._read, self.transports[-1]), b""):
            self.socket.data_received(data)

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
                self.sweep()  # bytes that are still in the kernel of a socket that breaks are nobody's
                self.socket.connection_lost(None)
                self.connect()
        self.sweep()
        for transport in self.transports:
            transport.close()
        return self

    def outcome(self) -> Any:
        totals = self.desk.snapshot()
        sequencers = [handle.sequencer.snapshot() for handle in self.host.streams.values()]
        events = [handle.events for handle in self.host.streams.values()]
        heard = {d: [(place, payload) for place, payload, _ in self.host.heard[d]] for d in Direction}
        return heard, self.host.calls, totals, sequencers, events, [t.written for t in self.transports]


def frame_of(
    direction: int, chunk: int, sequence_number: int, timestamp: int | None, samples: int, value: int
) -> bytes:
    payload = bytes((value * 7 + i * (value % 5)) % 256 for i in range(samples))
    track = "inbound" if direction == 0 else "outbound"
    return framed(media(chunk, sequence_number, payload=payload, track=track, timestamp=timestamp))


@st.composite
def scripts(draw: st.DrawFn) -> list[bytes | str]:  # noqa: C901
    """Return steady streams, disturbed now and then, long enough for timestamps to be believed."""
    step = draw(st.sampled_from([None, 20, 160]))
    is_shared, both = draw(st.booleans()), draw(st.booleans())
    chunks, sequence = [draw(st.sampled_from([1, 85, 985]))] * 2, draw(st.sampled_from([2, 80, 9_900]))
    if both and draw(st.booleans()):
        chunks[1] += 950
    times, script = [0, draw(st.sampled_from([0, 9_500]))], list[bytes | str]()
    for i in range(draw(st.integers(20, 90))):
        direction = i % 2 if both else 0
        told = None if step is None else times[direction]
        data = frame_of(direction, chunks[direction], sequence, told, 160, i)
        odd = draw(st.integers(0, 40))
        if odd == 1:  # lost
            data = b""
        elif odd == 2:  # twice
            script.append(data)
        elif odd == 3 and script:  # overtaken
            data, script[-1:] = (script[-1] if isinstance(script[-1], bytes) else b""), [data]
        elif odd == 4:
            script.append(
                framed(draw(st.sampled_from([mark("m", sequence), dtmf("5", sequence), "{", '{"event":"x"}'])))
            )
        elif odd == 5:
            script.append(framed(b"ping", first=0x89))
        elif odd == 6 and data:  # in two pieces
            script.append(data[:100])
            data = data[100:]
        elif odd == 7:  # a byte of it changed
            at = draw(st.integers(8, len(data) - 1))
            data = data[:at] + bytes((data[at] ^ draw(st.integers(1, 127)),)) + data[at + 1 :]
        elif odd == 8:
            data = frame_of(direction, chunks[direction], sequence, told, draw(st.sampled_from([80, 161, 240])), i)
        elif odd == 9:
            script.append("reconnect")
        elif odd == 10:
            chunks[direction] += draw(st.sampled_from([50, 5000]))
        elif odd == 11:
            times[direction] += 55
        elif odd >= 36 and script and isinstance(script[-1], bytes):  # in one segment with the one before
            data = script[-1] + data
            del script[-1]
        if data:
            script.append(data)
        if odd in (12, 13, 14, 15, 16):
            script.append("beat")
        sequence += 1
        if is_shared:
            chunks = [max(chunks) + 1] * 2
        else:
            chunks[direction] += 1
        times[direction] += step or 0
    if draw(st.booleans()):
        script.append(framed(stop(sequence)))
    return script


@pytest.fixture(autouse=True)
def _loop(monkeypatch: pytest.MonkeyPatch) -> None:
    class Timer:
        def cancel(self) -> None: ...

    class Loop:
        def call_later(self, *arguments: object) -> Timer:
            return Timer()

    monkeypatch.setattr("media.ws.conversation.asyncio.get_running_loop", Loop)
    monkeypatch.setattr("media.ws.drain.asyncio.get_running_loop", Loop)


@settings(deadline=None)
@given(scripts())
def test_the_same_bytes_give_the_same_calls(script: list[bytes | str]) -> None:
    express, plain = Session(has_lane=True).play(script), Session(has_lane=False).play(script)
    assert express.outcome() == plain.outcome()
    assert plain.host.in_columns == 0


@pytest.mark.parametrize("step", [None, 20, 160])
def test_a_steady_stream_is_taken_in_columns(step: int | None) -> None:
    session = Session(has_lane=True)
    for i in range(200):
        for direction in (0, 1):
            told = None if step is None else step * i
            session.feed(frame_of(direction, i + 1, 2 * i + direction, told, 160, i))
        if i % 3 == 0:
            session.sweep()
    session.play([])
    assert session.host.in_columns > 320
    assert session.desk.snapshot().accepted == 402


class TestLayout:
    def layout_of(self, text: str) -> Any:
        frame = parse(text)
        assert isinstance(frame, Media)
        return find_layout(text.encode(), frame, parse)

    def test_found(self) -> None:
        assert self.layout_of(media(5, 6, timestamp=70)).samples == 160

    def test_a_name_within_another_object_is_not_taken_for_the_field(self) -> None:
        text = media(5, 6).replace('"track"', '"x": {"timestamp": "9"}, "track"')
        assert self.layout_of(text) is None
