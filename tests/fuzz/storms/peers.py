"""Sockets that send nearly what carriers send, and the transports under them, without an event loop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from random import Random
from socket import MSG_DONTWAIT
from typing import Any
from unittest import mock

from media.ws.conversation import Conversation
from media.ws.desk import Desk
from media.ws.dialects.choosing import DIALECTS
from media.ws.opening import Opening
from tests.fuzz.guided.sockets import Loop
from tests.fuzz.storms.messages import broken, chunk, mutated, proper, started, whole
from tests.ws.sockets import UPGRADE, Transport

FRAME = 160


@contextmanager
def without_loop() -> Iterator[None]:
    """Let timers never fire."""
    with mock.patch("asyncio.get_running_loop", Loop):
        yield


class Wire(Transport):
    """A transport before and after the handshake."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.protocol: Any = None
        self.is_over = False
        self._address = address

    def __del__(self) -> None:
        """It is closed; and garbage may be collected amid a message that is nested too deeply."""

    def get_extra_info(self, name: str) -> Any:
        return (self._address, 5000) if name == "peername" else self.here

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def write(self, data: bytes) -> None:
        """Forget it; what is answered is the business of `tests.fuzz.guided.sockets`."""

    def write_eof(self) -> None:
        self.is_over = True

    def abort(self) -> None:
        self.is_over = True

    def is_closing(self) -> bool:
        return self.is_over


class Peer:
    """A socket of a carrier, or of who says that he is one."""

    def __init__(self, desk: Desk, random: Random, address: str) -> None:
        self.desk, self.random = desk, random
        self.wire = Wire(address)
        self.wire.protocol = Opening(desk)
        self.wire.protocol.connection_made(self.wire)
        self.whole_messages = 0

    @property
    def conversation(self) -> Conversation | None:
        protocol = self.wire.protocol
        return protocol if isinstance(protocol, Conversation) else None

    @property
    def is_open(self) -> bool:
        conversation = self.conversation
        return not self.wire.is_over and (conversation is None or conversation.is_open)

    def send(self, data: bytes) -> None:
        """Let `data` come, at once or when the drain reads it."""
        if not self.is_open or not data:
            return
        if self.wire.is_paused:
            self.wire.there.sendall(data)
        else:
            self.wire.protocol.data_received(data)

    def settle(self) -> None:
        """Take in what the transport would read now that it reads again."""
        while not self.wire.is_paused and self.is_open:
            with suppress(BlockingIOError):
                data = self.wire.here.recv(1 << 16, MSG_DONTWAIT)
                if data:
                    self.wire.protocol.data_received(data)
                    continue
            return

    def check(self) -> None:
        """Compare how many messages were sent in whole frames, and nothing else, with how many were received."""
        conversation = self.conversation
        if conversation is not None and self.is_open and self.whole_messages >= 0:
            conversation.settle()
            assert conversation.connection.snapshot().received == self.whole_messages

    def leave(self) -> None:
        self.wire.protocol.connection_lost(None)
        self.wire.close()


class Victim:
    """One socket after the other, each with a few mutated frames in every 20 ms."""

    def __init__(self, desk: Desk, number: int, seed: int) -> None:
        self.frames = 0
        self._desk, self._number, self._random = desk, number, Random(seed * 1000 + number)
        self._is_whole = number % 2 == 0
        self._begin()

    def _begin(self) -> None:
        random = self._random
        self.peer = Peer(self._desk, random, f"198.51.100.{self._number}")
        self._dialect, self._left, self._chunk = random.choice(DIALECTS), random.randint(5, 150), 0
        self._stream_id = random.choice((f"victim-{self._number}", f"victim-{random.randrange(1 << 30)}"))
        request = (
            UPGRADE.replace(b"GET /", b"GET " + self._dialect.path.encode()) if random.random() < 0.7 else UPGRADE
        )
        if random.random() < 0.1:
            changed = bytearray(request)
            changed[random.randrange(len(changed))] = random.randrange(256)
            request = bytes(changed)
        cut = random.choice((len(request), random.randrange(len(request))))
        self.peer.send(request[:cut])
        self.peer.send(request[cut:])
        self._say(started(self._dialect, self._stream_id))
        self._is_steady = random.random() < 0.5
        if not self._is_whole:
            self.peer.whole_messages = -1

    def _say(self, message: str | bytes) -> None:
        if self.peer.conversation is not None and self.peer.is_open and self.peer.whole_messages >= 0:
            self.peer.whole_messages += 1
        self.peer.send(whole(message, self._random))

    def step(self, frames: int) -> None:
        """Send frames, each of them mutated; a steady victim sends as many that are right, so that it rides."""
        random = self._random
        if not self.peer.is_open or self._left == 0 or self.peer.conversation is None:
            self.peer.leave()
            self._begin()
        self._left -= 1
        for _ in range(frames):
            self._chunk += 1
            if self._is_steady:
                self._say(chunk(self._dialect, self._stream_id, self._chunk, random.randbytes(FRAME)))
                if random.random() < 0.9:
                    continue
            message = proper(self._dialect, self._stream_id, self._chunk, random)
            self.frames += 1
            if self._is_whole:
                self._say(mutated(message, random))
            else:
                data = broken(message if random.random() < 0.7 else mutated(message, random), random)
                cut = random.randrange(len(data) + 1)
                self.peer.send(data[:cut])
                self.peer.send(data[cut:])
