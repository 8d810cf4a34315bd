"""Batches over loopback; the receiving socket's own queue is the only buffer."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

import numpy as np
import pytest

from media.carrier.datagrams import DatagramTable
from media.carrier.sendmmsg import BatchSocket


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
        yield receiver


def sender(receiver: socket.socket, *, one_by_one: bool) -> BatchSocket:
    udp_socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp_socket.setblocking(False)
    udp_socket.connect(receiver.getsockname())
    return BatchSocket(udp_socket, one_by_one=one_by_one)


def table(count: int) -> DatagramTable:
    random = np.random.default_rng(1)
    return DatagramTable(random.integers(0, 256, (count, 50), np.uint8), np.arange(count) % 51)


@pytest.mark.parametrize("one_by_one", [False, True])
class TestSend:
    @pytest.mark.parametrize("count", [1, 5, 6, 60])
    def test_every_row_at_its_length(self, receiver: socket.socket, one_by_one: bool, count: int) -> None:
        rows = table(count)
        batch_socket = sender(receiver, one_by_one=one_by_one)
        assert batch_socket.send(rows) == count
        assert [receiver.recv(100) for _ in range(count)] == [rows.datagram(row) for row in range(count)]
        with pytest.raises(BlockingIOError):
            receiver.recv(100)
        batch_socket.close()

    def test_a_view_into_a_larger_table(self, receiver: socket.socket, one_by_one: bool) -> None:
        rows = table(40)
        batch_socket = sender(receiver, one_by_one=one_by_one)
        assert batch_socket.send(DatagramTable(rows.rows[10:20], rows.lengths[10:20])) == 10
        assert [receiver.recv(100) for _ in range(10)] == [rows.datagram(row) for row in range(10, 20)]
        batch_socket.close()

    def test_nobody_listens(self, receiver: socket.socket, one_by_one: bool) -> None:
        batch_socket = sender(receiver, one_by_one=one_by_one)
        receiver.close()
        assert batch_socket.send(table(50)) == 50
        assert batch_socket.refused > 0
        batch_socket.close()

    def test_other_errors_are_raised(self, receiver: socket.socket, one_by_one: bool) -> None:
        batch_socket = sender(receiver, one_by_one=one_by_one)
        batch_socket.close()
        with pytest.raises(OSError, match="descriptor") as caught:
            batch_socket.send(table(10))
        assert caught.value.errno == errno.EBADF
