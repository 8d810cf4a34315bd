"""The kernel and `worker_of` agree, and no leg is split between workers."""

from __future__ import annotations

import os
import select
import socket
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from media.config import Endpoint, RtpPorts, ServerConfig
from media.workers.opening import WorkerDoors
from media.workers.steering import SHORTEST_BYTES, is_supported, worker_of

pytestmark = pytest.mark.skipif(not is_supported(), reason="needs Linux")

LOOPBACK = Endpoint("127.0.0.1", 0)
LEGS = 50


@contextmanager
def doors(workers: int, **config: object) -> Iterator[WorkerDoors]:
    opened = WorkerDoors(ServerConfig(receive_buffer_bytes=1 << 16, **config), workers)  # type: ignore[arg-type]
    try:
        yield opened
    finally:
        opened.close()


def test_limits_are_shared_out() -> None:
    with doors(3, udp=LOOPBACK, max_calls=100, max_packets_per_s=7) as opened:
        assert [(one.max_calls, one.max_packets_per_s) for one in opened.configs] == [(34, 3)] * 3
    with doors(2, udp=LOOPBACK, max_calls=0, max_packets_per_s=0) as opened:
        assert [(one.max_calls, one.max_packets_per_s) for one in opened.configs] == [(0, 0)] * 2


def datagram(leg_id: uuid.UUID, direction: int) -> bytes:
    return bytes([0b1100_0100 | direction, 24]) + os.urandom(6) + leg_id.bytes + b"\x80" + bytes(11)


def receivers_of(opened: WorkerDoors, datagrams: list[bytes]) -> list[int]:
    """Send each from a port of its own and return who got it."""
    host, _, port = opened.addresses["udp"].rpartition(":")
    group = [mine.udp for mine in opened.sockets if mine.udp]
    got = []
    for data in datagrams:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(data, (host, int(port)))
        (ready,), _, _ = select.select(group, [], [], 10)
        assert ready.recv(2048) == data
        got.append(group.index(ready))
    return got


def legs(step: int) -> list[uuid.UUID]:
    """Identifiers made from time, as carriers make them, `step` apart."""
    base = 0x1F0_9E00_0000_0000
    return [
        uuid.UUID(fields=((base + i * step) & 0xFFFF_FFFF, 0x9E00, 0x11F0, 0x8B, 0x96, 0x242AC)) for i in range(LEGS)
    ]


@pytest.mark.parametrize("workers", [2, 3, 8])
@pytest.mark.parametrize("step", [1, 2, 160_000])
def test_both_directions_meet_and_legs_spread(workers: int, step: int) -> None:
    with doors(workers, udp=LOOPBACK) as opened:
        sent = [datagram(leg_id, direction) for leg_id in legs(step) for direction in (0, 1)]
        got = receivers_of(opened, sent)
    assert got == [worker_of(data, workers) for data in sent]
    assert got[::2] == got[1::2]
    share = Counter(got[::2])
    assert len(share) == workers
    assert max(share.values()) <= 2 * LEGS / workers


def test_random_identifiers_as_the_model_says() -> None:
    with doors(4, udp=LOOPBACK) as opened:
        sent = [datagram(uuid.uuid4(), 0) for _ in range(LEGS)]
        assert receivers_of(opened, sent) == [worker_of(data, 4) for data in sent]


def test_what_has_no_leg_is_for_the_first() -> None:
    sent = [b"", b"OPTIONS", bytes(range(SHORTEST_BYTES - 1))]
    with doors(3, udp=LOOPBACK) as opened:
        assert receivers_of(opened, sent) == [0, 0, 0] == [worker_of(data, 3) for data in sent]


def test_a_place_stays_while_another_copy_is_open() -> None:
    """A worker's end closes its copy: the supervisor's keeps the place in the group, and what arrives."""
    with doors(2, udp=LOOPBACK) as opened:
        sock = opened.sockets[0].udp
        assert sock
        socket.socket(fileno=os.dup(sock.fileno())).close()
        sent = [datagram(leg_id, 0) for leg_id in legs(1)]
        assert receivers_of(opened, sent) == [worker_of(data, 2) for data in sent]


class TestDoors:
    @pytest.mark.parametrize("door", ["udp", "ws"])
    def test_a_second_server_does_not_join_the_group(self, door: str) -> None:
        with doors(2, **{door: LOOPBACK}) as opened:
            host, _, port = opened.addresses[door].rpartition(":")
            with (
                pytest.raises(OSError, match=f"{host}:{port}: Address already in use"),
                doors(2, **{door: Endpoint(host, int(port))}),
            ):
                pass

    def test_pairs_of_rtp_ports_have_one_owner_each(self) -> None:
        pairs = tuple(RtpPorts(name, LOOPBACK, LOOPBACK) for name in "abc")
        with doors(2, rtp=pairs) as opened:
            assert [[ports.name for ports in config.rtp] for config in opened.configs] == [["a", "c"], ["b"]]
            assert [list(mine.rtp) for mine in opened.sockets] == [["a", "c"], ["b"]]
            assert set(opened.addresses["rtp"]) == set("abc")

    def test_drops_are_counted_without_a_worker(self) -> None:
        with doors(1, udp=LOOPBACK) as opened:
            host, _, port = opened.addresses["udp"].rpartition(":")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                for _ in range(2000):
                    sender.sendto(bytes(1000), (host, int(port)))
            dropped = opened.kernel_drops()
            assert dropped > 0
        assert opened.kernel_drops() == dropped
