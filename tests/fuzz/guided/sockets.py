"""The bytes of a WebSocket from its first on: opening handshake, frames, messages, express lane.

Promises: nothing raises or fails inside; what is answered is HTTP, a frame or the end; a message is counted once,
accepted or rejected; every stream that began has one end; with the express lane and without it the same happens.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any
from unittest import mock

from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from media.admission.tokens import TokenGate, sign
from media.ws.conversation import Conversation
from media.ws.desk import Desk
from media.ws.opening import Opening
from media.ws.options import WsServerOptions
from media.ws.reject import WsReject
from strep.clock import ManualClock
from tests.fuzz.guided.target import Bytes, Target, pieces
from tests.ws.dialects.documents import CONVERSATIONS
from tests.ws.fakes import FakeHost, connected, dtmf, mark, media, start, stop
from tests.ws.sockets import UPGRADE, Session, frame_of, framed
from tests.ws.test_framing import assembled, open_framing, through

KEY, TOKEN, TWILIO = b"k" * 32, "t" * 20, "a" * 32


class Loop:
    """Timers that never fire."""

    def call_later(self, *arguments: object) -> Loop:
        return self

    def cancel(self) -> None: ...


class Transport:
    """Takes what is written, and says what became of the socket."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.protocol: Any = None
        self.is_over = False

    def get_extra_info(self, name: str) -> Any:
        return ("192.0.2.1", 5000) if name == "peername" else None

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def write(self, data: bytes) -> None:
        assert not self.is_over
        self.written.append(data)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.is_over = True

    def abort(self) -> None:
        self.is_over = True

    close = abort

    def is_closing(self) -> bool:
        return self.is_over

    def get_write_buffer_size(self) -> int:
        return 0


@contextmanager
def without_loop() -> Iterator[None]:
    with mock.patch("asyncio.get_running_loop", Loop):
        yield


def check_socket(data: bytes) -> None:
    """Bytes in pieces: the first says which options, then how long pieces are; the rest is what comes."""
    given = Bytes(data)
    flags, size = given.byte(), given.byte() or 1 << 16
    logging.disable(logging.CRITICAL)
    gate = TokenGate([TOKEN], KEY) if flags & 1 else None
    options = WsServerOptions(
        gate=gate, twilio_auth_token=TWILIO if flags & 2 else "", public_url="wss://a" if flags & 4 else ""
    )
    host, transport = FakeHost(), Transport()
    desk = Desk(host, options, ManualClock(10**9))
    with without_loop():
        socket = Opening(desk)
        transport.protocol = socket
        socket.connection_made(transport)  # type: ignore[arg-type]
        while given and not transport.is_over:
            desk.clock.advance(1_000_000)  # type: ignore[attr-defined]
            transport.protocol.data_received(given.take(size))
        written = b"".join(transport.written)
        assert not written or written.startswith(b"HTTP/1.1 ")
        assert isinstance(transport.protocol, Opening | Conversation)
        transport.protocol.connection_lost(None)
    totals = desk.snapshot()
    assert not totals.failed
    assert WsReject.HOST_FAILED not in totals.rejected
    assert totals.accepted + sum(totals.rejected.values()) == totals.received
    assert not desk.open
    assert not desk.opening
    calls = Counter(host.calls)
    assert calls["started"] == calls["stopped"] + calls["detached"]


def upgrade(path: bytes = b"/", *headers: bytes) -> bytes:
    more = b"".join(header + b"\r\n" for header in headers)
    return UPGRADE.replace(b"GET / ", b"GET " + path + b" ").replace(b"Host: a\r\n", b"Host: a\r\n" + more)


def socket_seeds() -> Iterator[bytes]:
    talk = b"".join(framed(text) for text in (connected(), start(), media(1, 2), dtmf("5", 3), mark("m", 4), stop()))
    controls = framed(b"p", first=0x89) + framed(b"q", first=0x8A) + framed(b"\x03\xe8bye", first=0x88)
    parts = framed(connected()[:20], first=0x01) + framed(connected()[20:], first=0x80)
    signed = sign(KEY, 10**6, "n").encode()
    yield b"\0\0" + upgrade() + talk + controls
    yield b"\0\x40" + upgrade(b"/telnyx?token=x") + parts + talk
    yield b"\1\0" + upgrade(b"/", b"x-telnyx-streaming-auth-token: " + TOKEN.encode()) + talk
    yield b"\1\0" + upgrade(b"/" + signed, b"Authorization: Bearer " + signed) + talk
    yield b"\7\0" + upgrade(b"/twilio", b"X-Twilio-Signature: abc=") + talk
    yield b"\0\0GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    yield b"\0\0\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    for dialect, messages in CONVERSATIONS.items():
        frames = b"".join(framed(each, first=0x81 if isinstance(each, str) else 0x82) for each in messages[:6])
        yield b"\0\0" + upgrade(dialect.path.encode()) + frames


def check_framing(data: bytes) -> None:
    """Frames in any pieces give what the protocol of `websockets` makes of them whole."""
    given = Bytes(data)
    cuts = [given.number(2) for _ in range(given.byte() % 8)]
    wire = given.rest()
    framing, protocol = open_framing(), ServerProtocol(state=OPEN, max_size=1000)
    logging.disable(logging.CRITICAL)
    bounds = sorted({0, len(wire), *(cut % (len(wire) + 1) for cut in cuts)})
    messages, output = through(framing, [wire[a:b] for a, b in pairwise(bounds)])
    protocol.receive_data(wire)
    expected = assembled(protocol)
    assert messages == expected[: len(messages)]
    if framing.first_close.code == 1007:  # of UTF-8 the sans-I/O protocol knows nothing
        assert len(messages) == len(expected) or isinstance(expected[len(messages)], UnicodeDecodeError | str | bytes)
        return
    assert messages == expected
    assert output == b"".join(protocol.data_to_send())
    assert framing.is_open == (protocol.state is OPEN)


def framing_seeds() -> Iterator[bytes]:
    text, key = "ä" * 100, bytes(4)
    for first in (0x81, 0x82, 0x01, 0x80, 0x89, 0x8A, 0x88, 0xC1, 0x83):
        yield b"\2\0\3\0\x20" + framed(b"\x03\xe8abc", first=first, key=key) + framed(text)
    yield b"\1\0\x09" + framed("a", first=0x01) + framed(b"p", first=0x89) + framed("b", first=0x80)
    yield b"\0\x81\xff" + (600).to_bytes(8, "big") + key + b"x" * 600
    yield b"\0\x81\xfe\x03\xe9"


def check_express(data: bytes) -> None:
    """A steady stream, disturbed as the bytes say; columns and the normal way make the same calls."""
    script = list(_script(Bytes(data)))
    logging.disable(logging.CRITICAL)
    with without_loop():
        express, plain = Session(has_lane=True).play(script), Session(has_lane=False).play(script)
    assert express.outcome() == plain.outcome()
    assert express.desk.snapshot().failed == plain.desk.snapshot().failed == 0


def _script(given: Bytes) -> Iterator[bytes | str]:
    flags = given.byte()
    step, two = (None, 20, 160, 0)[flags & 3], bool(flags & 4)
    chunks, sequence, told = [1 + 980 * (flags >> 3 & 1)] * 2, 2, 0
    for i in range(24 + (flags >> 4) * 4):
        op = given.byte() if i >= 10 else 0
        direction = i & 1 if two else 0
        at = None if step is None else told
        frame = frame_of(direction, chunks[direction], sequence, at, 160, i)
        chunks[direction] += 1
        sequence += 1
        told += (step or 0) if direction == 0 or not two else 0
        yield from _disturbed(frame, op, given)


def _disturbed(frame: bytes, op: int, given: Bytes) -> Iterator[bytes | str]:
    match op >> 3 if op & 1 else 0:
        case 1:  # lost
            pass
        case 2:
            yield from (frame, frame)
        case 3 | 4 | 5:  # bytes changed
            changed = bytearray(frame)
            for _ in range(1 + (op >> 1 & 3)):
                at, value = given.number(2), given.byte()
                changed[at % len(frame)] = value
            yield bytes(changed)
        case 6 | 7:
            cut = given.number(2) % len(frame)
            yield from (frame[: cut or 1], "beat", frame[cut or 1 :])
        case 8:
            yield from (frame, framed(given.piece()))
        case 9:
            yield given.piece() or b"\x89"
            yield frame
        case 10:
            yield from (frame, "reconnect")
        case 11:
            yield frame + framed(given.piece()[:125], first=0x89)
        case 12:
            yield frame + frame[: given.byte() or 1]
        case _:
            yield frame
    if op & 2:
        yield "beat"


def express_seeds() -> Iterator[bytes]:
    for flags in (0x00, 0x01, 0x02, 0x05, 0x0E, 0x37):
        yield bytes((flags,)) + bytes(2 * (i & 1) for i in range(40))
        yield bytes((flags,)) + bytes((2, 0x19, 0, 9, 7, 2, 0x33, 0, 99, 0x41, *pieces(mark("m", 5).encode()), 0, 2))
        yield bytes((flags,)) + bytes((2, 2, 0x0B, 0x13, 2, 0x53, 2, 2, 0x5B, 1, 65, 0x63, 20, 2, 2))


SOCKET = Target("socket", check_socket, socket_seeds, 6000)
FRAMING = Target("framing", check_framing, framing_seeds)
EXPRESS = Target("express", check_express, express_seeds, 300)
