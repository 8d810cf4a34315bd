"""Both receivers, the same tests: what is sent to the socket comes out of `drain`, in order, once."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from media.config import Endpoint
from media.doors.sources import describe_source
from media.receivers import Receiver, open_receiver
from strep.clock import SystemClock
from strep.errors import ConfigurationError
from strep.mmsg import IS_SUPPORTED

KINDS = [
    pytest.param("recvmmsg", marks=pytest.mark.skipif(not IS_SUPPORTED, reason="needs Linux")),
    "asyncio-dgram",
]
HOSTS = ["127.0.0.1", "::1"]


@asynccontextmanager
async def receiving(kind: str, host: str) -> AsyncIterator[tuple[Receiver, socket.socket]]:
    """Yield a receiver and a socket that is connected to it."""
    receiver = await open_receiver(Endpoint(host, 0), SystemClock(), kind=kind, receive_buffer_bytes=1 << 20)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.connect((receiver.address.host, receiver.address.port))
        try:
            yield receiver, sender
        finally:
            await receiver.close()


async def drain(receiver: Receiver, count: int) -> list[tuple[bytes, int, dict[str, object]]]:
    """Return `count` datagrams with arrival time and source, waiting for readability in between."""
    got: list[tuple[bytes, int, dict[str, object]]] = []
    while len(got) < count:
        batch = receiver.drain()
        if batch is None:
            readable = asyncio.Event()
            receiver.call_when_readable(readable.set)
            await readable.wait()
            continue
        for i in range(len(batch)):
            data = batch.table[i, : batch.length[i]].tobytes()
            got.append((data, int(batch.arrival_ns[i]), describe_source(batch.source[i])))
    return got


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("host", HOSTS)
async def test_datagrams_come_in_order_with_source_and_time(kind: str, host: str) -> None:
    async with receiving(kind, host) as (receiver, sender):
        before_ns = SystemClock().now_ns()
        sent = [bytes([i % 256]) * (1 + i * 7 % 1500) for i in range(300)]
        for data in sent:
            sender.send(data)
        got = await drain(receiver, len(sent))
        assert [data for data, _, _ in got] == sent
        address, port = sender.getsockname()[:2]
        assert all(source == {"address": address, "port": port} for _, _, source in got)
        arrivals = [at for _, at, _ in got]
        assert arrivals == sorted(arrivals)
        assert before_ns - 1_000_000 <= arrivals[0] <= arrivals[-1] <= SystemClock().now_ns()
        assert receiver.drain() is None


@pytest.mark.parametrize("kind", KINDS)
async def test_empty_and_long_datagrams_keep_their_length(kind: str) -> None:
    async with receiving(kind, "127.0.0.1") as (receiver, sender):
        for data in (b"", b"x" * 5000, b"y"):
            sender.send(data)
        lengths: list[int] = []
        while len(lengths) < 3:
            batch = receiver.drain()
            if batch is None:
                readable = asyncio.Event()
                receiver.call_when_readable(readable.set)
                await readable.wait()
                continue
            lengths += batch.length.tolist()
        assert lengths == [0, 5000, 1]


async def test_a_small_buffer_is_a_warning_with_the_remedy(caplog: pytest.LogCaptureFixture) -> None:
    wanted = 1 << 30
    receiver = await open_receiver(Endpoint("127.0.0.1", 0), SystemClock(), kind="auto", receive_buffer_bytes=wanted)
    await receiver.close()
    assert f"sysctl -w net.core.rmem_max={wanted}" in caplog.text


async def test_address_in_use_names_the_endpoint() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"127.0.0.1:{port}"):
            await open_receiver(Endpoint("127.0.0.1", port), SystemClock(), kind="auto", receive_buffer_bytes=1)


@pytest.mark.skipif(IS_SUPPORTED, reason="this system has recvmmsg")
async def test_recvmmsg_elsewhere_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        await open_receiver(Endpoint("127.0.0.1", 0), SystemClock(), kind="recvmmsg", receive_buffer_bytes=1)


@pytest.mark.parametrize("kind", KINDS)
async def test_what_was_sent_before_the_end_is_within_reach_at_the_end(kind: str) -> None:
    async with receiving(kind, "127.0.0.1") as (receiver, sender):
        for i in range(200):
            sender.send(bytes([i]))
        await receiver.settle()
        count = 0
        while (batch := receiver.drain()) is not None:
            count += len(batch)
        assert count == 200
