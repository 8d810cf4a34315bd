"""Sockets that systemd passes: which door each is, and a clear word where there is none."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from media.config import Endpoint, RtpPorts, ServerConfig
from media.handover.activation import assign, take_sockets
from media.handover.notify import notify, watchdog_interval_s
from media.handover.passing import SYSTEMD
from media.handover.room import PACKET_BYTES, lasts_s
from media.settings import load
from media.sockets import BoundSockets
from media.workers.opening import WorkerDoors
from strep.errors import ConfigurationError

HOST = "127.0.0.1"


@pytest.fixture
def bound() -> Iterator[dict[str, socket.socket]]:
    """UDP and listening TCP sockets on ports of the system's choice."""
    udp, rx, tx = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3))
    ws = socket.socket()
    sockets = {"udp": udp, "ws": ws, "rx": rx, "tx": tx}
    for sock in sockets.values():
        sock.bind((HOST, 0))
    ws.listen()
    yield sockets
    for sock in sockets.values():
        sock.close()


def where(sock: socket.socket) -> Endpoint:
    return Endpoint(*sock.getsockname())


def config_of(bound: dict[str, socket.socket]) -> ServerConfig:
    pair = RtpPorts("lab", where(bound["rx"]), where(bound["tx"]))
    return ServerConfig(udp=where(bound["udp"]), ws=where(bound["ws"]), rtp=(pair,))


def test_each_is_the_door_of_its_type_and_address(bound: dict[str, socket.socket]) -> None:
    passed = [("strep.socket", bound["ws"]), ("", bound["udp"]), ("tx-lab", bound["tx"]), ("x", bound["rx"])]
    assigned = assign(passed, config_of(bound))
    assert assigned == {"ws": [bound["ws"]], "udp": [bound["udp"]], "tx-lab": [bound["tx"]], "rx-lab": [bound["rx"]]}
    sockets = BoundSockets.of_doors(assigned, ["lab"])
    assert (sockets.udp, sockets.ws, sockets.rtp) == (bound["udp"], bound["ws"], {"lab": (bound["rx"], bound["tx"])})


def test_any_port_is_the_one_passed(bound: dict[str, socket.socket]) -> None:
    config = ServerConfig(udp=Endpoint(HOST, 0))
    assert assign([("strep.socket", bound["udp"])], config) == {"udp": [bound["udp"]]}


def test_all_addresses_of_both_families() -> None:
    """ListenDatagram=9000 is [::]:9000, where IPv4 arrives as well."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.bind(("::", 0))
        config = ServerConfig(udp=Endpoint("0.0.0.0", sock.getsockname()[1]))
        assert assign([("udp", sock)], config) == {"udp": [sock]}


def test_words_for_what_cannot_be(bound: dict[str, socket.socket]) -> None:
    udp, ws = bound["udp"], bound["ws"]

    def refused(name: str, sock: socket.socket, config: ServerConfig, *words: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            assign([(name, sock)], config)
        assert all(word in str(caught.value) for word in words), str(caught.value)

    elsewhere = ServerConfig(udp=Endpoint(HOST, 1))
    refused("udp", udp, elsewhere, f"datagrams on {where(udp)}", f"make it ListenDatagram={HOST}:1")
    refused("strep.socket", udp, elsewhere, "none of the doors", f"udp on {HOST}:1 (datagrams)")
    refused("ws", ws, elsewhere, "there is no such door: give --ws")
    refused("rx-office", udp, elsewhere, "there is no such door: give --rtp office=")
    refused("udp", ws, ServerConfig(udp=where(udp)), "for connections", "ListenDatagram=")
    with socket.socket(socket.AF_UNIX) as sock:
        refused("udp", sock, elsewhere, "neither UDP nor TCP")
    with socket.create_connection(ws.getsockname()) as sock:
        refused("ws", sock, ServerConfig(ws=where(ws)), "Accept=no")


def test_half_a_pair_and_two_for_one(bound: dict[str, socket.socket]) -> None:
    with pytest.raises(ConfigurationError, match="one socket of the pair lab"):
        BoundSockets.of_doors({"rx-lab": [bound["rx"]]}, ["lab"])
    with pytest.raises(ConfigurationError, match=r"passes 2 sockets for udp.*--workers 2"):
        BoundSockets.of_doors({"udp": [bound["udp"], bound["rx"]]}, [])


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_are_not_given_half_a_pair_either(workers: int, bound: dict[str, socket.socket]) -> None:
    config = ServerConfig(rtp=(RtpPorts("lab", where(bound["rx"]), where(bound["tx"])),))
    with pytest.raises(ConfigurationError, match="one socket of the pair lab"):
        WorkerDoors(config, workers, {"rx-lab": [bound["rx"]]})
    with pytest.raises(ConfigurationError, match="2 and 1 sockets for the pair lab"):
        WorkerDoors(config, workers, {"rx-lab": [bound["rx"], bound["udp"]], "tx-lab": [bound["tx"]]})


class TestWorkers:
    def test_a_socket_each(self) -> None:
        group = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for sock in group:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        group[0].bind((HOST, 0))
        group[1].bind(group[0].getsockname())
        config = ServerConfig(udp=where(group[0]))
        doors = WorkerDoors(config, 2, {"udp": group})
        assert [mine.udp for mine in doors.sockets] == group
        assert doors.addresses == {"udp": str(where(group[0]))}
        doors.close()

    def test_too_few(self, bound: dict[str, socket.socket]) -> None:
        config = ServerConfig(udp=where(bound["udp"]))
        with pytest.raises(ConfigurationError, match="passes 1 sockets for udp, and 2 workers need as many"):
            WorkerDoors(config, 2, {"udp": [bound["udp"]]})

    def test_that_are_no_group(self, bound: dict[str, socket.socket]) -> None:
        config = ServerConfig(udp=where(bound["udp"]))
        with pytest.raises(ConfigurationError, match="without ReusePort=yes"):
            WorkerDoors(config, 2, {"udp": [bound["udp"], bound["rx"]]})

    def test_one_listening_socket_is_enough(self, bound: dict[str, socket.socket]) -> None:
        doors = WorkerDoors(ServerConfig(ws=where(bound["ws"])), 3, {"ws": [bound["ws"]]})
        places = {mine.ws.getsockname() for mine in doors.sockets if mine.ws}
        assert places == {bound["ws"].getsockname()}
        assert len({mine.ws.fileno() for mine in doors.sockets if mine.ws}) == 3
        doors.close()


class TestVariables:
    def test_of_another_process(self) -> None:
        environment = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "udp", "PATH": "/bin"}
        assert take_sockets(environment, 2) == ([], [])
        assert environment == {"PATH": "/bin"}

    @pytest.mark.parametrize(
        ("count", "names", "says"),
        [("x", "", "LISTEN_FDS='x' is no number"), ("2", "udp", "has 1 names for LISTEN_FDS=2 sockets")],
    )
    def test_that_cannot_be(self, count: str, names: str, says: str) -> None:
        with pytest.raises(ConfigurationError, match=says):
            take_sockets({"LISTEN_PID": "7", "LISTEN_FDS": count, "LISTEN_FDNAMES": names}, 7)


class TestNotify:
    def test_who_listens_is_told(self, tmp_path: Path) -> None:
        for path, address in ((str(tmp_path / "notify"), None), (f"@strep-{os.getpid()}", f"\0strep-{os.getpid()}")):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
                systemd.bind(address or path)
                assert notify("READY=1", {"NOTIFY_SOCKET": path})
                assert systemd.recv(100) == b"READY=1"

    def test_nobody_listens(self, tmp_path: Path) -> None:
        assert not notify("READY=1", {})
        assert not notify("READY=1", {"NOTIFY_SOCKET": "vsock:2:1"})
        assert not notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "nobody")})

    @pytest.mark.parametrize(
        ("environment", "interval_s"),
        [
            ({}, None),
            ({"WATCHDOG_USEC": "10000000"}, 5.0),
            ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "7"}, 5.0),
            ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "8"}, None),
            ({"WATCHDOG_USEC": "soon"}, None),
        ],
    )
    def test_watchdog(self, environment: dict[str, str], interval_s: float | None) -> None:
        assert watchdog_interval_s(environment, 7) == interval_s


def test_what_a_packet_takes_of_a_buffer() -> None:
    """By this kernel, on loopback; drivers may take more."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
    ):
        ours.bind(("127.0.0.1", 0))
        ours.setblocking(False)
        for _ in range(10_000):
            other.sendto(bytes(24 + 12 + 160), ours.getsockname())
        kept = 0
        with suppress(BlockingIOError):
            while ours.recv(256):
                kept += 1
        room = ours.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    assert room / kept == pytest.approx(PACKET_BYTES, rel=0.2)


def test_how_long_a_buffer_lasts() -> None:
    assert lasts_s(32 << 20, 100 * 100) == pytest.approx(4.033, abs=0.001)


UNITS = Path(__file__).resolve().parents[2] / "deploy" / "systemd"


class TestUnits:
    def test_the_sockets_are_the_doors_of_the_service(self) -> None:
        """What `strep.socket` binds is what `strep.service` gives as options, word for word."""
        service, sockets = ((UNITS / f"strep.{kind}").read_text() for kind in ("service", "socket"))
        for option, directive in (("--udp", "ListenDatagram"), ("--ws", "ListenStream")):
            (given,) = re.findall(rf"{option} (\S+)", service)
            assert re.findall(rf"^{directive}=(.*)$", sockets, re.MULTILINE) == [given]
        command = re.findall(r"^ExecStart=\S+ serve (.*)$", service, re.MULTILINE)[0].split()
        flags = {flag[2:].replace("-", "_"): value for flag, value in zip(command[::2], command[1::2], strict=True)}
        assert load(flags, {}).processes.hand_over == SYSTEMD

    @pytest.mark.peer
    @pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="make peers")
    def test_systemd_understands_them(self, tmp_path: Path) -> None:
        for unit in UNITS.iterdir():
            (tmp_path / unit.name).write_text(unit.read_text().replace("/opt/strep/bin/strep", sys.executable))
        command = ["systemd-analyze", "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))]
        verified = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert (verified.returncode, verified.stderr) == (0, "")
