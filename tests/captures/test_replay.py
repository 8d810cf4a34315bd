"""What arrives is what was captured: the same datagrams in the same order, on loopback and without waiting."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from media.captures.layers import Address
from media.captures.reader import Datagram
from media.captures.replay import ReplayReport, Sockets, connect, describe, lines, rounds, send
from media.captures.schedule import Due, Routes, Schedule
from media.carrier.pacing import Instant
from strep.clock import NS_PER_MS
from strep.errors import ConfigurationError
from tests.captures.making import PORT, SENDER, simulated, write


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        listening.bind(("127.0.0.1", 0))
        listening.setblocking(False)
        yield listening


def waiting(receiver: socket.socket) -> list[tuple[bytes, Address]]:
    found = []
    while True:
        try:
            found.append(receiver.recvfrom(65_536))
        except BlockingIOError:
            return found


def replayed(path: Path, target: Address, *, loops: int = 1, speed: float = 1.0) -> tuple[ReplayReport, Schedule]:
    report, schedule = ReplayReport(), Schedule(Routes(ports={PORT: target}), speed)
    asyncio.run(send(rounds(path, schedule, loops, report), Instant(), report))
    return report, schedule


class TestSend:
    def test_payloads_and_order(self, tmp_path: Path, receiver: socket.socket) -> None:
        _, datagrams = simulated(calls=2, seconds=1)
        report, schedule = replayed(write(tmp_path / "x.pcap", datagrams), receiver.getsockname())
        found = waiting(receiver)
        assert [payload for payload, _ in found] == [d.payload for d in datagrams]
        assert report.sent == {receiver.getsockname(): len(datagrams)}
        assert report.sent_bytes == sum(len(d.payload) for d in datagrams)
        assert schedule.duration_ns == datagrams[-1].time_ns - datagrams[0].time_ns

    def test_senders_stay_apart(self, tmp_path: Path, receiver: socket.socket) -> None:
        _, datagrams = simulated(calls=2, seconds=1)
        replayed(write(tmp_path / "x.pcap", datagrams), receiver.getsockname())
        pairs = zip((d.source for d in datagrams), (source for _, source in waiting(receiver)), strict=True)
        assert len(set(pairs)) == len({d.source for d in datagrams}) == 4

    def test_loops(self, tmp_path: Path, receiver: socket.socket) -> None:
        _, datagrams = simulated(seconds=0.5)
        path = write(tmp_path / "x.pcap", datagrams)
        report, _ = replayed(path, receiver.getsockname(), loops=3)
        assert [payload for payload, _ in waiting(receiver)] == [d.payload for d in datagrams] * 3
        assert report.sent.total() == 3 * len(datagrams)

    def test_damage_is_told(self, tmp_path: Path, receiver: socket.socket) -> None:
        path = write(tmp_path / "x.pcap", simulated(seconds=0.5)[1])
        path.write_bytes(path.read_bytes()[:-5])
        report, _ = replayed(path, receiver.getsockname())
        assert report.sent.total() == 49
        assert "ends 5 bytes before" in report.warning

    def test_each_deadline_is_absolute(self, receiver: socket.socket) -> None:
        class Watched(Instant):
            async def sleep_until(self, deadline_ns: int) -> None:
                deadlines.append(deadline_ns)
                # Always 3 ms late: the next deadline does not move because of it.
                await super().sleep_until(deadline_ns + 3 * NS_PER_MS)

        deadlines: list[int] = []
        target = receiver.getsockname()
        dues = [Due(20 * NS_PER_MS * i, (SENDER, 1), target, b"x") for i in range(10)]
        report = ReplayReport()
        asyncio.run(send(dues, Watched(reading_ns=1000), report))
        assert deadlines == [1000 + 20 * NS_PER_MS * i for i in range(1, 10)]
        assert report.lateness.max_ns == 3 * NS_PER_MS

    def test_nobody_listens(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            target = taken.getsockname()
        report = ReplayReport()
        asyncio.run(send([Due(i, (SENDER, 1), target, b"x") for i in range(10)], Instant(), report))
        assert report.sent.total() == 10
        assert report.refused > 0

    def test_many_senders_share_sockets(self, receiver: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("media.captures.replay.MAX_SOCKETS", 3)
        with Sockets() as sockets:
            for number in range(10):
                assert sockets.send(Due(0, (SENDER, number), receiver.getsockname(), b"x"))
        assert len({source for _, source in waiting(receiver)}) == 3

    def test_too_long_for_the_network(self, receiver: socket.socket) -> None:
        with Sockets() as sockets:
            assert sockets.send(Due(0, (SENDER, 1), receiver.getsockname(), bytes(65_536)))
            assert sockets.unsendable == 1

    def test_no_such_host(self) -> None:
        with pytest.raises(ConfigurationError, match="cannot send to"):
            connect(("no.such.host.invalid", 9000))


def test_the_summary() -> None:
    report = ReplayReport(left_out=3, refused=2, unsendable=1)
    report.sent["127.0.0.1", 9000] = 1234
    facts = describe(report, 2.5, is_paced=True)
    assert facts["targets"] == {"127.0.0.1:9000": 1234}
    text = "\n".join(lines(facts))
    assert "sent 1,234 datagrams in 2.500 s: 1,234 to 127.0.0.1:9000" in text
    for said in (
        "behind their deadlines",
        "3 datagrams of the capture",
        "nobody listened: 2",
        "1 datagrams were too long",
    ):
        assert said in text
    assert describe(report, 2.5, is_paced=False)["lateness"] is None


def test_ipv6() -> None:
    try:
        listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    listening.close()
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("::1", 0))
        receiver.setblocking(False)
        with Sockets() as sockets:
            sockets.send(Due(0, (SENDER, 1), ("::1", receiver.getsockname()[1]), b"six"))
        assert receiver.recv(10) == b"six"


def test_datagrams_of_another_port_stay(tmp_path: Path, receiver: socket.socket) -> None:
    _, datagrams = simulated(seconds=0.5)
    stranger = Datagram(datagrams[-1].time_ns, (SENDER, 1), (SENDER, 53), b"dns")
    report, _ = replayed(write(tmp_path / "x.pcap", [*datagrams, stranger]), receiver.getsockname())
    assert (report.sent.total(), report.left_out) == (50, 1)
