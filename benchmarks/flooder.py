"""Who means ill: datagrams of made-up legs, sockets that never finish a request, readers that never read.

As a program it is a process of its own; see `benchmarks.child` for how it is spoken to.
"""

from __future__ import annotations

import resource
import select
import socket
import sys
import time
from contextlib import closing
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.child import answer
from media.carrier.datagrams import DatagramTable
from media.carrier.options import SimulationOptions, Transport
from media.carrier.plan import make_plan
from media.carrier.sendmmsg import BatchSocket
from media.carrier.stream import MediaStream
from strep import header
from strep.clock import NS_PER_SECOND
from strep.header import Direction, Leg, StrepHeader

_ROWS = 1024
_IDENTIFIER = slice(8, 24)
_PACKET = bytes((0x80, 0)) + bytes(10) + b"\xff" * 160
"""RTP of 20 ms of mu-law; the rest of its header is drawn at random."""
_RTP = slice(header.HEADER_BYTES + 2, header.HEADER_BYTES + 12)
_HALF = b"GET /telnyx HTTP/1.1\r\nHost: flood\r\nUpgrade: websocket\r\nX-Slow: "
_DESCRIPTORS = 30_000
_PER_ADDRESS = 500
_SEED = 9_000_001


class Flooder:
    """Floods a server; addresses are ``host:port``."""

    def __init__(self) -> None:
        """Open nothing yet."""
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        self._sockets: list[socket.socket] = []

    def legs(self, address: str, count: int, per_s: int) -> dict[str, Any]:
        """Send `count` datagrams, each of a leg that nobody has heard of, `per_s` a second; 0 is as many as go."""
        random, sent = np.random.default_rng(6), 0
        with closing(_connected(address)) as batch_socket:
            start = time.monotonic()
            while sent < count:
                ahead_s = (sent / per_s if per_s else 0) - (time.monotonic() - start)
                if ahead_s > 0:
                    time.sleep(ahead_s)
                sent += batch_socket.send(_made_up(min(_ROWS, count - sent), random))
            took_s = time.monotonic() - start
        return {"sent": sent, "per_s": sent / took_s, "seconds": took_s}

    def sockets(self, address: str, count: int) -> dict[str, Any]:
        """Open `count` connections of many addresses of this machine, and send half a request on each."""
        host, port = address.split(":")
        refused = 0
        for number in range(count):
            one = socket.socket()
            try:
                one.bind((f"127.0.1.{1 + number // _PER_ADDRESS}", 0))
                one.settimeout(20)
                one.connect((host, int(port)))
                one.setblocking(False)
                one.send(_HALF)
            except OSError:
                refused += 1
                one.close()
                continue
            self._sockets.append(one)
        return {"opened": len(self._sockets), "refused": refused}

    def drip(self) -> dict[str, Any]:
        """Send a byte more on each connection; say how many are still there."""
        alive = []
        for one in self._sockets:
            try:
                one.send(b"x")
                alive.append(one)
            except OSError:
                one.close()
        self._sockets = [one for one in alive if not _has_ended(one)]
        return {"alive": len(self._sockets)}

    def deaf(self, address: str, paths: list[str]) -> dict[str, Any]:
        """Ask for a WebSocket at each path, and read no more than the answer; a server lets in so many only."""
        refused = 0
        for path in paths:
            try:
                self._sockets.append(_asked(address, path))
            except ConnectionError as error:
                if " 503 " not in str(error):
                    raise
                refused += 1
        return {"opened": len(paths) - refused, "refused": refused}

    def talkers(self, address: str, count: int, seconds: float) -> dict[str, Any]:
        """Stream media for a while, and never read what is played back."""
        options = SimulationOptions(Transport.WEBSOCKET, calls=count, seconds=seconds, audio=None, seed=_SEED)
        plan = make_plan(options)
        streams = [MediaStream(plan, call) for call in range(count)]
        talkers = [_asked(address, "/telnyx?playback=rtp&playback_codec=L16&playback_rate=16000") for _ in streams]
        texts = [
            (int(at_ns) / NS_PER_SECOND, talker, stream.text(row))
            for talker, stream in zip(talkers, streams, strict=True)
            for row, at_ns in enumerate(stream.times_ns)
        ]
        start, gone = time.monotonic(), set[socket.socket]()
        for at_s, talker, text in sorted(texts, key=lambda one: one[0]):
            time.sleep(max(0.0, at_s - (time.monotonic() - start)))
            if talker in gone:
                continue
            try:
                talker.sendall(_frame(text))
            except OSError:  # it was closed, as it should be
                gone.add(talker)
        self._sockets += talkers
        return {"closed": len(gone | {talker for talker in talkers if _has_ended(talker)})}

    def close(self) -> dict[str, Any]:
        """Let go of everything."""
        for one in self._sockets:
            one.close()
        self._sockets.clear()
        return {}


def _connected(address: str) -> BatchSocket:
    host, port = address.split(":")
    udp_socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp_socket.connect((host, int(port)))
    return BatchSocket(udp_socket, segmented=True)


def _made_up(count: int, random: np.random.Generator) -> DatagramTable:
    """Return datagrams that are right in everything but that nobody knows their legs."""
    one = header.serialize(StrepHeader(UUID(int=0), Leg.A, Direction.INBOUND)) + _PACKET
    rows: NDArray[np.uint8] = np.tile(np.frombuffer(one, np.uint8), (count, 1))
    rows[:, _IDENTIFIER] = random.integers(0, 256, (count, 16))
    rows[:, _RTP] = random.integers(0, 256, (count, 10))
    return DatagramTable(rows, np.full(count, len(one), np.int64))


def _asked(address: str, path: str) -> socket.socket:
    host, port = address.split(":")
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.settimeout(60)
    one.connect((host, int(port)))
    one.sendall(
        f"GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    answered = b""
    while b"\r\n\r\n" not in answered:
        piece = one.recv(1)
        if not piece:
            raise ConnectionError(f"{path}: closed before it answered")
        answered += piece
    if b" 101 " not in answered.partition(b"\r\n")[0]:
        raise ConnectionError(f"{path}: {answered[:200]!r}")
    one.setblocking(False)
    return one


def _frame(text: str) -> bytes:
    """Return a text frame whose mask is nothing but zeros."""
    payload = text.encode()
    return bytes((0x81, 0x80 | 126)) + len(payload).to_bytes(2) + bytes(4) + payload


def _has_ended(one: socket.socket) -> bool:
    """Tell whether the far end has closed; what it has sent stays unread."""
    poll = select.poll()
    poll.register(one, select.POLLRDHUP)
    return bool(poll.poll(0))


def main() -> None:
    """Do what is asked."""
    flooder = Flooder()
    answer({"ready": True})
    for line in sys.stdin.buffer:
        request = msgspec.json.decode(line)
        answer(getattr(flooder, request.pop("command"))(**request))


if __name__ == "__main__":
    main()
