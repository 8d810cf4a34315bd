"""The load generator: what arrives is the plan, whichever way it leaves; and the referee that says so."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import load, offer
from benchmarks.drain import Fingerprint
from benchmarks.load import Load, Sender
from benchmarks.progress import Silent
from media.carrier.segments import can_segment
from media.carrier.sendmmsg import BatchSocket
from strep import header, rtp

pytestmark = [
    pytest.mark.realtime,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="sendmmsg, UDP_SEGMENT and /proc are Linux"),
]

LOAD = Load(legs=5, ramp_seconds=0.1, plateau_seconds=0.3)
SO_NO_CHECK = 11  # asm-generic/socket.h: without a checksum of its own, a message cannot be cut


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
        yield receiver


def received(receiver: socket.socket) -> list[bytes]:
    datagrams = []
    while True:
        try:
            datagrams.append(receiver.recv(2_000))
        except BlockingIOError:
            return datagrams


def planned() -> list[bytes]:
    plan = LOAD.plan()
    return [plan.datagram(delivery) for delivery in range(len(plan))]


def send(sender: Sender, receiver: socket.socket) -> dict[str, Any]:
    return sender.send(receiver.getsockname()[1], LOAD.plateau_ns, lambda _: None)


def burst(sender: Sender, receiver: socket.socket) -> dict[str, Any]:
    return {"sent": sender.burst(receiver.getsockname()[1], 0, len(sender))}


@pytest.mark.parametrize("segmented", [False, True])
class TestSender:
    @pytest.mark.parametrize("way", [send, burst])
    @pytest.mark.parametrize("written", [False, True])
    def test_sends_the_plan(
        self, receiver: socket.socket, segmented: bool, written: bool, way: Callable[..., dict[str, Any]]
    ) -> None:
        sender = Sender(LOAD.plan() if written else LOAD.steady(), segmented=segmented)
        assert way(sender, receiver)["sent"] == len(sender)
        assert received(receiver) == planned()

    def test_truth(self, receiver: socket.socket, segmented: bool) -> None:
        burst(Sender(LOAD.steady(), segmented=segmented), receiver)
        numbers: dict[tuple[str, str], list[int]] = {}
        for datagram in received(receiver):
            envelope = header.parse(datagram)
            key = str(envelope.call_leg_id), envelope.direction.name.lower()
            numbers.setdefault(key, []).append(rtp.parse(datagram[header.HEADER_BYTES :]).sequence_number)
        tracks = LOAD.steady().truth().tracks
        assert len(tracks) == len(numbers) == 10
        for track in tracks:
            first = track.epochs[0].sequence_number
            expected = [(first + packet) % 65_536 for packet in range(track.delivered)]
            assert numbers[track.call_leg_id, track.direction] == expected

    def test_again_and_from_the_middle(self, receiver: socket.socket, segmented: bool) -> None:
        sender = Sender(LOAD.steady(), segmented=segmented)
        port = receiver.getsockname()[1]
        assert sender.burst(port, 50, 30) == 80
        assert sender.burst(port, 0, 10) == 10
        assert received(receiver) == planned()[50:80] + planned()[:10]

    def test_deadlines(self, receiver: socket.socket, segmented: bool) -> None:
        started: list[int] = []
        result = Sender(LOAD.steady(), segmented=segmented).send(
            receiver.getsockname()[1], LOAD.plateau_ns, started.append
        )
        assert len(started) == 1
        assert result["plateau_per_s"] > 0
        assert result["cpu_ns"] >= 0  # a kernel that counts in ticks may have seen none
        assert 0 <= result["lateness"]["p50_ms"] <= result["lateness"]["max_ms"]


class TestRefusal:
    def test_the_plan_is_sent_all_the_same(self, receiver: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
        if not can_segment(receiver):
            pytest.skip("this kernel does not know UDP_SEGMENT")

        def without_checksums(udp_socket: socket.socket, *, segmented: bool) -> BatchSocket:
            udp_socket.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
            return BatchSocket(udp_socket, segmented=segmented)

        monkeypatch.setattr(load, "BatchSocket", without_checksums)
        monkeypatch.setattr(load, "_WITHIN_NS", 10**9)  # all in one batch, so that there is something to cut
        result = send(Sender(LOAD.steady(), segmented=True), receiver)
        assert not result["segmented"]
        assert received(receiver) == planned()


class TestFingerprint:
    ROWS = np.random.default_rng(1).integers(0, 256, (50, 200), np.uint8)

    def of(self, *batches: Any) -> int:
        found = Fingerprint(196)
        for batch in batches:
            found.add(batch)
        return found.value

    def test_batches_do_not_matter(self) -> None:
        rows = self.ROWS
        assert self.of(rows) == self.of(rows[:1], rows[1:20], rows[20:20], rows[20:])

    @pytest.mark.parametrize("byte", [0, 26, 195])
    def test_every_byte_does(self, byte: int) -> None:
        rows = self.ROWS.copy()
        rows[17, byte] ^= 1
        assert self.of(rows) != self.of(self.ROWS)

    def test_what_lies_behind_the_datagram_does_not(self) -> None:
        rows = self.ROWS.copy()
        rows[:, 196:] = 0
        assert self.of(rows) == self.of(self.ROWS)

    def test_order_does(self) -> None:
        rows = self.ROWS.copy()
        rows[[3, 4]] = rows[[4, 3]]
        assert self.of(rows) != self.of(self.ROWS)

    def test_a_loss_and_a_copy_do(self) -> None:
        assert (
            len({self.of(rows) for rows in (self.ROWS, self.ROWS[1:], self.ROWS[:-1], self.ROWS[[0, *range(50)]])})
            == 4
        )


class TestQuestion:
    def test_both_modes_pass_the_referee(self, tmp_path: Path) -> None:
        report = offer.QUESTION.measure(offer.Settings(calls=(5,), seconds=0.4), Silent(), tmp_path)
        assert report.complaints == []
        assert report.runs == len(report.tables[0].cells) == 4
        assert [figures["sent"] for figures in report.figures] == [5 * 2 * 40] * 4
        assert "packets/s at full speed, with UDP_SEGMENT (bound: 500,000)" in report.answers[0]

    def test_complaints(self, tmp_path: Path) -> None:
        with closing(offer.Bench(2, 0.1, tmp_path)) as bench:
            count = 2 * 2 * 10
            assert bench._count == count
            right: dict[str, Any] = {"count": count, "odd": 0, "value": bench._value}
            sent: dict[str, Any] = {"sent": count, "segmented": True}

            def judge(*, dropped: int = 0, sent: dict[str, Any] = sent, **found: Any) -> str:
                return "; ".join(bench._judge(sent, right | found, dropped, True))

            assert judge() == ""
            assert judge(value=1) == "what arrived is not what was planned, or in another order"
            assert judge(count=count - 1) == f"received {count - 1}, dropped 0: not {count}"
            assert judge(count=count - 1, dropped=1) == ""
            assert judge(count=count - 1, odd=1) == "1 datagrams of another length"
            assert judge(sent=sent | {"segmented": False}) == "the kernel does not cut messages up"
            assert judge(sent=sent | {"sent": 9}, count=9) == f"9 packets sent of {count}"
