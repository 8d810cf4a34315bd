"""The UDP shell over loopback, on a clock that jumps: no test waits for a deadline."""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from media.carrier.datagrams import DatagramTable
from media.carrier.faults import Faults
from media.carrier.options import SimulationOptions, Transport
from media.carrier.pacing import Instant
from media.carrier.plan import Plan, make_plan
from media.carrier.sendmmsg import BatchSocket
from media.carrier.udp import connect, send_plan
from strep.clock import NS_PER_MS
from strep.errors import ConfigurationError


def plan(**changes: Any) -> Plan:
    return make_plan(SimulationOptions(**({"calls": 2, "seconds": 0.4, "audio": None} | changes)))


def receivers(count: int) -> list[socket.socket]:
    bound = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    for receiver in bound:
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
    return bound


def drain(receiver: socket.socket) -> list[bytes]:
    datagrams = []
    while True:
        try:
            datagrams.append(receiver.recv(2_000))
        except BlockingIOError:
            receiver.close()
            return datagrams


class Reluctant(BatchSocket):
    """A kernel whose queue takes three datagrams and then nothing, in turns."""

    def __init__(self) -> None:
        super().__init__(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.taken: list[bytes] = []
        self._is_full = False

    def send(self, table: DatagramTable) -> int:
        self._is_full = not self._is_full
        count = 0 if self._is_full else min(3, len(table.lengths))
        self.taken += [table.datagram(row) for row in range(count)]
        return count


class TestSendPlan:
    @pytest.mark.parametrize("segmented", [False, True])
    @pytest.mark.parametrize("faults", [Faults(malformed=0.1, extras=0.1), Faults()])
    async def test_all_of_it_in_order(self, faults: Faults, segmented: bool) -> None:
        paper = plan(faults=faults, stagger_ms=0.0, calls=5)
        (receiver,) = receivers(1)
        batch_socket = connect(receiver.getsockname(), segmented=segmented)
        progress: list[int] = []
        report = await send_plan(paper, [batch_socket], Instant(), progress.append)
        assert drain(receiver) == [paper.datagram(delivery) for delivery in range(len(paper))]
        assert report.sent == progress[-1] == len(paper)
        assert progress == sorted(progress)
        assert report.lateness.max_ns <= NS_PER_MS // 2
        batch_socket.close()

    async def test_bare_rtp_by_direction(self) -> None:
        paper = plan(transport=Transport.RTP)
        bound = receivers(4)
        sockets = [connect(receiver.getsockname()) for receiver in bound]
        await send_plan(paper, sockets, Instant())
        for track, receiver in enumerate(bound):
            expected = [paper.datagram(row) for row in np.flatnonzero(paper.tracks == track).tolist()]
            assert drain(receiver) == expected
        for batch_socket in sockets:
            batch_socket.close()

    @pytest.mark.parametrize("transport", [Transport.STREP, Transport.RTP])
    async def test_a_full_queue_delays_and_loses_nothing(self, transport: Transport) -> None:
        paper = plan(transport=transport)
        sockets: Sequence[Reluctant] = [Reluctant() for _ in range(1 if transport is Transport.STREP else 4)]
        report = await send_plan(paper, sockets, Instant())
        assert sum(len(reluctant.taken) for reluctant in sockets) == report.sent == len(paper)
        assert report.lateness.max_ns >= NS_PER_MS
        for reluctant in sockets:
            reluctant.close()

    async def test_more_than_one_window(self) -> None:
        paper = plan(calls=20, stagger_ms=0.0)
        reluctant = Reluctant()
        await send_plan(paper, [reluctant], Instant())
        assert reluctant.taken == [paper.datagram(delivery) for delivery in range(len(paper))]
        reluctant.close()


class TestConnect:
    def test_unknown_host(self) -> None:
        with pytest.raises(ConfigurationError, match=r"cannot send to no\.such\.host\.invalid:9"):
            connect(("no.such.host.invalid", 9))

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere loopback has one address")
    def test_from_an_address_of_its_own(self) -> None:
        (receiver,) = receivers(1)
        batch_socket = connect(receiver.getsockname(), source="127.2.0.9")
        batch_socket.send(DatagramTable(np.zeros((1, 20), np.uint8), np.array([20])))
        assert receiver.recvfrom(100)[1][0] == "127.2.0.9"
        batch_socket.close()
        receiver.close()

    def test_from_an_address_of_another_machine(self) -> None:
        with pytest.raises(ConfigurationError, match=r"cannot send to 127\.0\.0\.1:9"):
            connect(("127.0.0.1", 9), source="192.0.2.1")
