"""Batches over loopback, in every way that a batch may leave; the receiving socket's own queue is the only buffer."""

from __future__ import annotations

import ctypes
import errno
import select
import socket
import sys
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest

from media.carrier.datagrams import DatagramTable
from media.carrier.segments import can_segment
from media.carrier.sendmmsg import BatchSocket
from tests.patience import PATIENCE_S

SO_NO_CHECK = (
    11  # asm-generic/socket.h: without a checksum of its own, a message cannot be cut (udp_send_skb: EINVAL)
)

WAYS: dict[str, Callable[[socket.socket], BatchSocket]] = {
    "one by one": partial(BatchSocket, one_by_one=True),
    "a message each": partial(BatchSocket, segmented=False),
    "segmented": partial(BatchSocket, segmented=True),
}
every_way = pytest.mark.parametrize("way", list(WAYS))
needs_segments = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="UDP_SEGMENT is Linux")


def bound(family: socket.AddressFamily, host: str) -> socket.socket:
    receiver = socket.socket(family, socket.SOCK_DGRAM)
    receiver.bind((host, 0))
    receiver.setblocking(False)
    return receiver


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with bound(socket.AF_INET, "127.0.0.1") as receiver:
        yield receiver


def connected(receiver: socket.socket) -> socket.socket:
    udp_socket = socket.socket(receiver.family, socket.SOCK_DGRAM)
    udp_socket.setblocking(False)
    udp_socket.connect(receiver.getsockname())
    return udp_socket


def table(lengths: object, width: int = 50) -> DatagramTable:
    rows = np.asarray(lengths, np.int64)
    return DatagramTable(np.random.default_rng(1).integers(0, 256, (len(rows), width), np.uint8), rows)


def received(receiver: socket.socket) -> list[bytes]:
    datagrams = []
    while True:
        try:
            datagrams.append(receiver.recv(2_000))
        except BlockingIOError:
            return datagrams


def datagrams(rows: DatagramTable) -> list[bytes]:
    return [rows.datagram(row) for row in range(len(rows.lengths))]


@every_way
class TestSend:
    @pytest.mark.parametrize("count", [1, 5, 6, 60])
    def test_every_row_at_its_length(self, receiver: socket.socket, way: str, count: int) -> None:
        rows = table(np.arange(count) % 51)
        batch_socket = WAYS[way](connected(receiver))
        assert batch_socket.send(rows) == count
        assert received(receiver) == datagrams(rows)
        batch_socket.close()

    @pytest.mark.parametrize(
        "lengths",
        [[50] * 130, [40] * 130, [50] * 70 + [49] + [50] * 3 + [0, 0] + [12] * 9, [0] * 10, [7, 7, 8, 8, 9, 9]],
        ids=["end to end", "gaps between", "a mixture", "no bytes", "pairs"],
    )
    def test_runs_of_equal_rows(self, receiver: socket.socket, way: str, lengths: list[int]) -> None:
        rows = table(lengths)
        batch_socket = WAYS[way](connected(receiver))
        assert batch_socket.send(rows) == len(lengths)
        assert received(receiver) == datagrams(rows)
        batch_socket.close()

    def test_a_view_into_a_larger_table(self, receiver: socket.socket, way: str) -> None:
        rows = table(np.arange(40) % 51)
        batch_socket = WAYS[way](connected(receiver))
        assert batch_socket.send(DatagramTable(rows.rows[10:20], rows.lengths[10:20])) == 10
        assert received(receiver) == datagrams(rows)[10:20]
        batch_socket.close()

    def test_internet_protocol_version_6(self, way: str) -> None:
        try:
            receiver = bound(socket.AF_INET6, "::1")
        except OSError:
            pytest.skip("no IPv6 here")
        rows = table([50] * 70 + [20] * 10)
        batch_socket = WAYS[way](connected(receiver))
        assert batch_socket.send(rows) == 80
        assert received(receiver) == datagrams(rows)
        batch_socket.close()
        receiver.close()

    def test_nobody_listens(self, receiver: socket.socket, way: str) -> None:
        batch_socket = WAYS[way](connected(receiver))
        receiver.close()
        rows = table([50] * 200)
        assert sum(batch_socket.send(rows) for _ in range(3)) == 600
        assert batch_socket.refused > 0
        batch_socket.close()

    def test_every_refusal_counts_also_of_what_was_sent_last(self, receiver: socket.socket, way: str) -> None:
        outgoing = connected(receiver)
        batch_socket = WAYS[way](outgoing)
        receiver.close()
        for _ in range(3):
            assert batch_socket.send(table([50])) == 1
            poll = select.poll()
            poll.register(outgoing, 0)  # an error is always told
            assert poll.poll(1000 * PATIENCE_S)
        batch_socket.take_refusal()
        assert batch_socket.refused == batch_socket.messages == 3
        batch_socket.take_refusal()
        assert batch_socket.refused == 3, "none twice"
        batch_socket.close()

    def test_other_errors_are_raised(self, receiver: socket.socket, way: str) -> None:
        batch_socket = WAYS[way](connected(receiver))
        batch_socket.close()
        with pytest.raises(OSError, match="descriptor") as caught:
            batch_socket.send(table([50] * 10))
        assert caught.value.errno == errno.EBADF


class Kernel(BatchSocket):
    """One that takes a few messages and then says an error, once; nothing leaves."""

    def __init__(self, udp_socket: socket.socket, takes: int, code: int) -> None:
        super().__init__(udp_socket)
        self.segmented = True
        self.calls: list[int] = []
        self._takes, self._code = takes, code

    def _call(self, address: int, count: int) -> int:
        self.calls.append(count)
        if len(self.calls) == 1 and self._takes:
            return self._takes
        if len(self.calls) == 1 + bool(self._takes):
            ctypes.set_errno(self._code)
            return -1
        return count


@needs_segments
class TestRefusal:
    def test_by_this_kernel(self, receiver: socket.socket) -> None:
        udp_socket = connected(receiver)
        if not can_segment(udp_socket):
            pytest.skip("this kernel does not know UDP_SEGMENT")
        udp_socket.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
        batch_socket = BatchSocket(udp_socket, segmented=True)
        rows = table([20] + [50] * 100)
        assert batch_socket.send(rows) == 101
        assert not batch_socket.segmented
        assert batch_socket.send(rows) == 101
        assert received(receiver) == datagrams(rows) * 2
        batch_socket.close()

    @pytest.mark.parametrize("code", [errno.EIO, errno.EINVAL, errno.ENOPROTOOPT])
    @pytest.mark.parametrize("takes", [0, 1])
    def test_goes_on_behind_what_was_taken(self, receiver: socket.socket, code: int, takes: int) -> None:
        kernel = Kernel(connected(receiver), takes, code)
        assert kernel.send(table([50] * 100)) == 100
        assert kernel.calls == ([2, 1, 36] if takes else [2, 100])
        assert not kernel.segmented
        kernel.close()

    def test_a_full_queue_is_none(self, receiver: socket.socket) -> None:
        kernel = Kernel(connected(receiver), 1, errno.EAGAIN)
        assert kernel.send(table([50] * 100)) == 64
        assert kernel.segmented
        kernel.close()

    def test_rows_that_nobody_cuts_are_to_blame_themselves(self, receiver: socket.socket) -> None:
        kernel = Kernel(connected(receiver), 0, errno.EINVAL)
        with pytest.raises(OSError, match="Invalid argument"):
            kernel.send(table(range(10)))
        assert kernel.segmented
        kernel.close()
