"""recvmmsg against a plain socket: the same datagrams, with the kernel's stamps and drop counts."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from random import Random

import numpy as np
import pytest

import strep.mmsg
from strep.clock import NS_PER_SECOND, ManualClock, SystemClock
from strep.datagrams import MAX_DATAGRAM_BYTES
from strep.mmsg import IS_SUPPORTED, ROW_BYTES, BatchSocket

pytestmark = pytest.mark.skipif(not IS_SUPPORTED, reason="recvmmsg needs 64-bit Linux")


@pytest.fixture
def pair() -> Iterator[tuple[BatchSocket, socket.socket]]:
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.connect(receiver.getsockname())
    batches = BatchSocket(receiver, SystemClock())
    yield batches, sender
    batches.close()
    sender.close()


def drain_all(batches: BatchSocket) -> list[bytes]:
    got: list[bytes] = []
    while (batch := batches.drain()) is not None:
        assert len(batch) <= batches.rows
        got += [batch.table[i, : batch.length[i]].tobytes() for i in range(len(batch))]
    return got


def test_nothing_waits(pair: tuple[BatchSocket, socket.socket]) -> None:
    assert pair[0].drain() is None


def test_short_and_long_datagrams_in_one_batch(pair: tuple[BatchSocket, socket.socket]) -> None:
    batches, sender = pair
    sent = [bytes([i]) * size for i, size in enumerate([1, ROW_BYTES, ROW_BYTES + 1, 2048, 0, 160, 2000, 7])]
    for data in sent:
        sender.send(data)
    assert drain_all(batches) == sent
    for data in sent[:2]:  # and a batch of short ones after one with long ones
        sender.send(data)
    assert drain_all(batches) == sent[:2]


def test_every_length_in_shuffled_order(pair: tuple[BatchSocket, socket.socket]) -> None:
    batches, sender = pair
    lengths = [*range(0, 3000, 61), ROW_BYTES - 1, ROW_BYTES, ROW_BYTES + 1, 2047, 2048, 2049]
    Random(3).shuffle(lengths)
    for start in range(0, len(lengths), 7):
        sent = [bytes([size % 251]) * size for size in lengths[start : start + 7]]
        for data in sent:
            sender.send(data)
        batch = batches.drain()
        assert batch is not None
        assert batch.length.tolist() == [len(data) for data in sent]
        held = [batch.table[i, : batch.length[i]].tobytes() for i in range(len(batch))]
        assert held == [data[: batch.table.shape[1]] for data in sent]
        assert max(map(len, sent)) <= ROW_BYTES or batch.table.shape[1] == MAX_DATAGRAM_BYTES


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_sources(family: socket.AddressFamily, host: str) -> None:
    """The kernel's sockaddr: family in the machine's byte order, port in the network's, then the address."""
    receiver, *senders = [socket.socket(family, socket.SOCK_DGRAM) for _ in range(4)]
    try:
        receiver.bind((host, 0))
    except OSError:
        pytest.skip(f"{host} is not there")
    batches = BatchSocket(receiver, SystemClock())
    for number, sender in enumerate(senders):
        sender.connect(receiver.getsockname())
        sender.send(bytes([number]))
    batch = batches.drain()
    assert batch is not None
    start = 4 if family == socket.AF_INET else 8
    for number, sender in enumerate(senders):
        source = batch.source[batch.table[: len(batch), 0].tolist().index(number)].tobytes()
        assert int.from_bytes(source[:2], sys.byteorder) == family
        assert int.from_bytes(source[2:4], "big") == sender.getsockname()[1]
        packed = socket.inet_pton(family, host)
        assert source[start : start + len(packed)] == packed
        sender.close()
    batches.close()


def test_no_stamp_lies_in_the_future(pair: tuple[BatchSocket, socket.socket]) -> None:
    """A wall clock that was set between stamp and now must not move packets into the future, or by hours."""
    for step_ns in (-3600 * NS_PER_SECOND, 3600 * NS_PER_SECOND):
        clock = ManualClock(100 * NS_PER_SECOND, SystemClock().wall_ns() - 100 * NS_PER_SECOND + step_ns)
        batches = BatchSocket(pair[0]._socket.dup(), clock)
        pair[1].send(b"x")
        batch = batches.drain()
        assert batch is not None
        assert 90 * NS_PER_SECOND <= batch.arrival_ns[0] <= 100 * NS_PER_SECOND
        batches.close()


def test_a_closed_socket_is_an_error_and_not_silence(pair: tuple[BatchSocket, socket.socket]) -> None:
    pair[0].close()
    with pytest.raises(OSError, match="descriptor"):
        pair[0].drain()


def test_a_datagram_longer_than_any_row_keeps_its_length(pair: tuple[BatchSocket, socket.socket]) -> None:
    batches, sender = pair
    sender.send(bytes(5000))
    batch = batches.drain()
    assert batch is not None
    assert batch.length.tolist() == [5000]


def test_more_than_a_batch(pair: tuple[BatchSocket, socket.socket]) -> None:
    batches, sender = pair
    got: list[bytes] = []
    sent = [i.to_bytes(4, "big") for i in range(3000)]
    for first in range(0, len(sent), 100):  # never more than the smallest receive buffer holds
        for data in sent[first : first + 100]:
            sender.send(data)
        got += drain_all(batches)
    assert got == sent


def test_a_batch_may_take_several_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strep.mmsg, "MESSAGES_PER_CALL", 20)
    receiver, sender = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    receiver.bind(("127.0.0.1", 0))
    batches = BatchSocket(receiver, SystemClock(), rows=50)
    sent = [bytes([i]) * (i + 1) for i in range(100)]
    for data in sent:
        sender.sendto(data, receiver.getsockname())
    lengths = []
    for rows in (50, 50):
        batch = batches.drain()
        assert batch is not None
        assert len(batch) == rows
        assert (np.diff(batch.arrival_ns) >= 0).all()
        lengths += batch.length.tolist()
        assert [batch.table[i, 0] for i in range(rows)] == [length - 1 for length in batch.length]
    assert lengths == [len(data) for data in sent]
    assert batches.drain() is None
    batches.close()
    sender.close()


def test_stamps_are_the_kernels_and_monotone(pair: tuple[BatchSocket, socket.socket]) -> None:
    batches, sender = pair
    clock = SystemClock()
    before_ns = clock.now_ns()
    for _ in range(50):
        sender.send(b"x")
    sent_ns = clock.now_ns()
    batch = batches.drain()
    assert batch is not None
    arrivals = batch.arrival_ns.tolist()
    assert arrivals == sorted(arrivals)
    # The two clocks are read one after the other: allow for what lies between.
    assert before_ns - 1_000_000 <= arrivals[0]
    assert arrivals[-1] <= sent_ns + 1_000_000


def test_kernel_drops_are_counted() -> None:
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    receiver.bind(("127.0.0.1", 0))
    batches = BatchSocket(receiver, SystemClock())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(receiver.getsockname())
        for _ in range(200):
            sender.send(bytes(200))
        first = len(drain_all(batches))
        sender.send(b"the count comes with the next datagram that finds room")
        drain_all(batches)
    batches.close()
    assert first < 200
    assert batches.kernel_drops == 200 - first


def test_drops_of_who_had_the_socket_before_are_not_counted_again() -> None:
    """A worker that is replaced, or a process that hands over, leaves a socket that has lost something already."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        receiver.bind(("127.0.0.1", 0))
        sender.connect(receiver.getsockname())

        def flood() -> BatchSocket:
            batches = BatchSocket(receiver.dup(), SystemClock())
            for _ in range(100):
                sender.send(bytes(160))
            drain_all(batches)
            sender.send(b"the kernel tells with the next one")
            assert len(drain_all(batches)) == 1
            return batches

        first = flood()
        assert 0 < first.kernel_drops <= 100
        first.close()
        second = BatchSocket(receiver.dup(), SystemClock())
        sender.send(b"nothing is lost")
        assert len(drain_all(second)) == 1
        assert second.kernel_drops == 0
        second.close()
        for _ in range(100):
            sender.send(bytes(160))
        waiting = BatchSocket(receiver.dup(), SystemClock())  # what waits knows of none or few of those drops
        drain_all(waiting)
        assert waiting.kernel_drops == 0
        sender.send(b"nothing is lost since")
        drain_all(waiting)
        assert waiting.kernel_drops == 0
        waiting.close()
        third = flood()
        assert 0 < third.kernel_drops <= 100
        third.close()


def test_a_kernel_that_does_not_say_what_was_dropped_before_is_no_hindrance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strep.mmsg, "SO_MEMINFO", 9999)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        batches = BatchSocket(receiver.dup(), SystemClock())
        assert batches.kernel_drops == 0
        batches.close()
