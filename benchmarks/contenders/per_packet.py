"""A callback or an ``await`` per packet: what does the usual way of receiving cost?

The same few lines for all: the header by `struct`, the stream from a dict, the payload through a numpy table.
There is no reordering, no statistics and no recording. The referee's part is a CRC of what was decoded, and
the list of the sequence numbers; `referee_ns` tells what that adds to a packet.
"""

from __future__ import annotations

import asyncio
import ctypes
import socket
import struct
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol
from zlib import crc32

import asyncio_dgram
import numpy as np

from benchmarks.kernel import bound_socket
from strep.g711 import Codec, decode_table

#   STREP: version, L, D; HeaderLen; reserved; call_leg_id. RTP: V P X CC; M PT; sequence; timestamp; SSRC
HEADERS = struct.Struct("!BB6x16sBBHII")
STREP_1 = 0b110001
STREP_BYTES = 24
PCM_OF_PCMU = decode_table(Codec.PCMU)
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
# An array is a buffer; numpy's annotations say so from Python 3.12 on.
checksum: Callable[[Any], int] = crc32


class Stream:
    """One direction of one leg, decoded and forgotten."""

    __slots__ = ("checksum", "sequence_numbers")

    def __init__(self) -> None:
        self.sequence_numbers: list[int] = []
        self.checksum = 0


class Streams:
    """All streams of a port."""

    def __init__(self) -> None:
        self.received = self.rejected = 0
        self.streams: dict[tuple[bytes, int], Stream] = {}

    def receive(self, datagram: bytes) -> None:
        """Parse, find the stream, decode."""
        self.received += 1
        if len(datagram) < HEADERS.size:
            self.rejected += 1
            return
        first, header_bytes, leg, rtp_first, rtp_second, sequence_number, _, _ = HEADERS.unpack_from(datagram)
        if first >> 2 != STREP_1 or header_bytes != STREP_BYTES or rtp_first != 0x80 or rtp_second & 0x7F:
            self.rejected += 1
            return
        key = (leg, first & 3)
        stream = self.streams.get(key)
        if stream is None:
            stream = self.streams[key] = Stream()
        pcm = PCM_OF_PCMU.take(np.frombuffer(datagram, np.uint8, -1, HEADERS.size))
        stream.sequence_numbers.append(sequence_number)
        stream.checksum += checksum(pcm)

    def evidence(self, directory: Path) -> dict[str, Any]:
        """Put sequence numbers and checksums of every stream into a file; return its name and the totals."""
        streams = [
            {"leg": leg.hex(), "leg_direction": bits, "checksum": s.checksum, "count": len(s.sequence_numbers)}
            for (leg, bits), s in self.streams.items()
        ]
        numbers = [np.array(s.sequence_numbers, np.uint16) for s in self.streams.values()]
        path = directory / "sequence_numbers.npy"
        np.save(path, np.concatenate([np.empty(0, np.uint16), *numbers]))
        return {
            "received": self.received,
            "rejected": self.rejected,
            "streams": streams,
            "sequence_numbers": str(path),
            "referee_ns": _referee_ns(),
        }


def _referee_ns() -> float:
    """Return what the CRC and the list cost per packet, measured on their own."""
    pcm, stream = np.arange(160, dtype=np.int16), Stream()

    def step() -> None:
        stream.sequence_numbers.append(1)
        stream.checksum += checksum(pcm)

    count = 20_000
    empty = min(timeit.repeat(lambda: None, number=count, repeat=3))
    return round((min(timeit.repeat(step, number=count, repeat=3)) - empty) / count * 1e9, 1)


class Receiver(Protocol):
    """What is done with a datagram."""

    received: int

    def receive(self, datagram: bytes) -> None:
        """Take a datagram."""

    def evidence(self, directory: Path) -> dict[str, Any]:
        """Return what the referee asks for."""


class _Protocol(asyncio.DatagramProtocol):
    def __init__(self, streams: Receiver) -> None:
        self._receive = streams.receive

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._receive(data)


class ProtocolContender:
    """``create_datagram_endpoint`` with a protocol, on the event loop of the argument."""

    def __init__(self, argument: str, directory: Path, receiver: Receiver | None = None) -> None:
        """Bind; evidence goes to `directory`."""
        self._streams = receiver or Streams()
        self._loop_name, self._directory = argument, directory
        self._socket = bound_socket()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None

    def run(self, ready: Callable[[int], None]) -> None:
        """Receive until `stop`."""
        with asyncio.Runner(loop_factory=event_loop(self._loop_name)) as runner:
            runner.run(self._run(ready))

    async def _run(self, ready: Callable[[int], None]) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        port = self._socket.getsockname()[1]
        await self._receive(self._socket, lambda: ready(port), self._stopping)

    async def _receive(self, sock: socket.socket, ready: Callable[[], None], stopping: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Protocol(self._streams), sock=sock)
        ready()
        await stopping.wait()
        transport.close()

    def stop(self) -> None:
        """End `run`."""
        assert self._loop is not None
        assert self._stopping is not None
        self._loop.call_soon_threadsafe(self._stopping.set)

    def received(self) -> int:
        """Return the datagrams so far."""
        return self._streams.received

    def evidence(self) -> dict[str, Any]:
        """Return totals and checksums."""
        return self._streams.evidence(self._directory)


class KeptHeapContender(ProtocolContender):
    """The same, with a C library that is told to keep its heap.

    asyncio allocates 256 KiB for every datagram that it reads. glibc gives such a piece back to the kernel each
    time, and to fault it in again costs more than everything else, unless something in the process has raised its
    thresholds: importing PyAV happens to do so.
    """

    def __init__(self, argument: str, directory: Path) -> None:
        """Bind; evidence goes to `directory`."""
        super().__init__(argument, directory)
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, 4 << 20)
        libc.mallopt(_M_TRIM_THRESHOLD, 8 << 20)


class DgramContender(ProtocolContender):
    """``await stream.recv()`` of asyncio-dgram, on the event loop of the argument."""

    async def _receive(self, sock: socket.socket, ready: Callable[[], None], stopping: asyncio.Event) -> None:
        stream = await asyncio_dgram.from_socket(sock)
        reader = asyncio.create_task(self._read(stream))
        ready()
        await stopping.wait()
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        stream.close()

    async def _read(self, stream: asyncio_dgram.aio.DatagramStream) -> None:
        receive = self._streams.receive
        while True:
            data, _ = await stream.recv()
            receive(data)


def event_loop(name: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes the loop called `name`; None for asyncio's own."""
    if name == "asyncio":
        return None
    import uvloop

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
