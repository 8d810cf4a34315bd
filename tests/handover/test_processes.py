"""`strep serve --hand-over FILE`: a process takes over from the one before, in mid-call, and nothing is missing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media import cli
from media.carrier.network import NetworkModel
from media.carrier.options import SimulationOptions, Transport
from media.carrier.simulation import Simulation, Target
from media.config import Endpoint
from media.handover.link import LinkError, connect, listen
from media.receivers import _ask_for_buffer
from strep.mmsg import IS_SUPPORTED
from tests.media.harness import encoded_channels, sidecar
from tests.media.recorded import CHANNEL
from tests.media.serving import ENVIRONMENT, address
from tests.patience import PATIENCE_S, wait_until

pytestmark = pytest.mark.skipif(not IS_SUPPORTED, reason="needs Linux")
SOAK_S = 150
IS_LONG = os.environ.get("STREP_FUZZ") == "long"


class Process:
    """A server; `end` returns its log."""

    def __init__(
        self,
        *arguments: str,
        command: tuple[str, ...] = (),
        descriptors: Iterable[int] = (),
        **environment: str,
    ) -> None:
        self.process = subprocess.Popen(
            [*command, sys.executable, "-m", "media.cli", "serve", "--log-format", "json", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT | environment,
            pass_fds=tuple(descriptors),
        )

    def ready(self) -> dict[str, Any]:
        """Wait until it can receive; return where."""
        assert self.process.stdout is not None
        word, _, addresses = self.process.stdout.readline().partition(" ")
        assert word == "ready", self.process.communicate()
        found: dict[str, Any] = json.loads(addresses)
        return found

    def log(self) -> list[dict[str, Any]]:
        """Wait for its end, and return what it logged."""
        _, errors = self.process.communicate(timeout=PATIENCE_S)
        return [json.loads(line) for line in errors.splitlines() if line.startswith("{")]

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def processes() -> Iterator[Callable[..., Process]]:
    """Yield what starts processes, which are gone at the end."""
    with ExitStack() as stack:

        def start(*arguments: str, **more: Any) -> Process:
            process = Process(*arguments, **more)
            stack.callback(process.close)
            return process

        yield start


class Carrier(threading.Thread):
    """Sends in real time, and knows how far it is."""

    def __init__(self, options: SimulationOptions, target: Target) -> None:
        super().__init__(daemon=True)
        self.simulation, self.sent = Simulation(options), 0
        self._target = target
        self.start()

    def run(self) -> None:
        self.outcome = asyncio.run(self.simulation.run(self._target, on_progress=self._progress))

    def _progress(self, sent: int) -> None:
        self.sent = sent


def datagrams(logs: list[list[dict[str, Any]]]) -> int:
    """Return what all processes received by UDP, and see that they have lost nothing and miscounted nothing."""
    ended = [log[-1] for log in logs]
    assert all(line["message"] == "ended" for line in ended)
    assert all((line["kernel_drops"], line["conservation_errors"]) == (0, 0) for line in ended)
    return sum(line["packets"]["udp"] for line in ended)


def check(directory: Path, carrier: Carrier) -> None:
    """Every call is one file with all that arrived, bit for bit, and its sidecar knows of no restart.

    A carrier that is starved by a busy machine seems to hold, so silence may be anywhere (`strep.realign`).
    """
    for number, truth in enumerate(carrier.outcome.truth.tracks):
        name = truth.stream_id or truth.call_leg_id
        document = sidecar(directory, name)
        assert (document["state"], document["restarts"], document["handed_over_samples"]) == ("complete", [], None)
        assert not list(directory.glob(f"{name}.2.*"))
        (track,) = [each for each in document["tracks"] if each["direction"] == truth.direction]
        statistics = track["statistics"]
        assert statistics["received"] == truth.delivered + truth.duplicated
        assert statistics["delivered"] + statistics["late"] == truth.delivered
        assert (statistics["duplicate"], statistics["never_arrived"]) == (truth.duplicated, truth.lost)
        assert not {"restart", "unaccounted"} & {kind for kind, samples in track["totals"].items() if samples}
        audio = encoded_channels(directory / f"{name}.wav")[:, CHANNEL[truth.direction]]
        is_there = np.ones(len(audio), np.bool_)
        for span in track["ledger"]:
            if span["kind"] == "silence":
                is_there[span["start_samples"] : span["start_samples"] + span["length_samples"]] = False
        is_there[: track["start_samples"]] = False
        is_there[track["start_samples"] + track["length_samples"] :] = False
        assert np.array_equal(audio[is_there], carrier.simulation.plan().expected_encoded(number))


def calls_for_here() -> int:
    """Return how many calls a busy machine's receive buffer holds for ten seconds, ten at the most."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        _ask_for_buffer(probe, Endpoint("127.0.0.1", 0), 16 << 20, warns=False)
        room = probe.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 1024
    return min(max(room // 1000, 1), 10 if IS_LONG else 3)


NETWORK = NetworkModel(loss=0.02, reorder=0.1, reorder_delay_ms=30, duplicate=0.02)


@pytest.mark.parametrize("network", [NETWORK, *[NetworkModel()] * IS_LONG], ids=["bad", *["clean"] * IS_LONG])
def test_hand_overs_in_mid_call(network: NetworkModel, tmp_path: Path) -> None:
    """Once, or more often in the long form; `test_passing.py` does it in one process."""
    directory, path = tmp_path / "recordings", str(tmp_path / "hand-over")
    doors = ["--record", str(directory), "--record-format", "passthrough", "--reorder-wait", "200ms"]
    doors += ["--hand-over", path]
    with processes() as start:
        servers = [start("--udp", ":0", "--ws", ":0", *doors, "--drain-timeout", "2m")]
        where = servers[0].ready()
        udp, ws = where["udp"], where["ws"]
        calls = Carrier(
            SimulationOptions(calls=calls_for_here(), seconds=4, network=network), Target(udp=address(udp))
        )
        streams = Carrier(
            SimulationOptions(Transport.WEBSOCKET, calls=2, seconds=4), Target(stream_url=f"ws://{ws}/")
        )
        wait_until(lambda: calls.sent > 50 and streams.sent > 50)
        for _ in range(3 if IS_LONG else 1):
            servers.append(start("--udp", udp, "--ws", ws, *doors))
            assert servers[-1].ready() == where
        calls.join(PATIENCE_S)
        streams.join(PATIENCE_S)
        another = SimulationOptions(Transport.WEBSOCKET, calls=1, seconds=0.2, seed=7)
        late = Carrier(another, Target(stream_url=f"ws://{ws}/"))
        late.join(PATIENCE_S)
        servers[-1].process.send_signal(signal.SIGTERM)
        logs = [server.log() for server in servers]
        assert {server.process.returncode for server in servers} == {cli.OK}
    assert datagrams(logs) == calls.outcome.truth.datagrams
    assert sum("handed over" in line["message"] for log in logs for line in log) == len(servers) - 1
    assert not Path(path).exists()
    for carrier in (calls, streams, late):
        check(directory, carrier)


def carrying(where: dict[str, Any], seconds: float = 4) -> Carrier:
    return Carrier(SimulationOptions(calls=2, seconds=seconds, network=NETWORK), Target(udp=address(where["udp"])))


class TestTheSocket:
    def test_a_socket_that_nobody_listens_at_any_more(self, tmp_path: Path) -> None:
        path = tmp_path / "hand-over"
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as left:
            left.bind(str(path))
        with processes() as start:
            process = start("--udp", ":0", "--hand-over", str(path))
            process.ready()
            process.process.send_signal(signal.SIGTERM)
            assert process.log()[-1]["message"] == "ended"
        assert not path.exists()

    async def test_another_users_process(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with listen(tmp_path / "hand-over"):
            monkeypatch.setattr(os, "getuid", lambda: 12_345)
            with pytest.raises(LinkError, match="is another user's"):
                connect(tmp_path / "hand-over")


def exec_as_systemd(descriptors: dict[str, int]) -> tuple[str, ...]:
    """Return a command in front of another that gets `descriptors` from 3 on, as systemd passes them."""
    program = (
        "import os, sys\n"
        f"kept = [os.dup2(fd, 100 + i) for i, fd in enumerate({list(descriptors.values())})]\n"
        "for i, fd in enumerate(kept): os.dup2(fd, 3 + i); os.close(fd)\n"
        f"os.environ |= dict(LISTEN_PID=str(os.getpid()), LISTEN_FDS='{len(descriptors)}', "
        f"LISTEN_FDNAMES='{':'.join(descriptors)}')\n"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    return sys.executable, "-c", program


def test_a_service_that_systemd_restarts(tmp_path: Path) -> None:
    """It holds sockets and calls between two processes, and nothing is missing."""
    directory, notified = tmp_path / "recordings", tmp_path / "notify"
    with ExitStack() as stack:
        start = stack.enter_context(processes())
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        _ask_for_buffer(udp, Endpoint("127.0.0.1", 0), 16 << 20, warns=False)
        systemd = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        systemd.bind(str(notified))
        systemd.settimeout(PATIENCE_S)
        where = f"127.0.0.1:{udp.getsockname()[1]}"
        arguments = ["--udp", where, "--record", str(directory), "--record-format", "passthrough"]
        arguments += ["--hand-over", "systemd", "--drain-timeout", "0", "--reorder-wait", "200ms"]

        def service(**left: int) -> Process:
            passed = {"strep.socket": udp.fileno(), **left}
            process = start(
                *arguments, command=exec_as_systemd(passed), descriptors=passed.values(), NOTIFY_SOCKET=str(notified)
            )
            assert process.ready() == {"udp": where}
            return process

        first = service()
        assert systemd.recv(100) == b"READY=1"
        calls = carrying({"udp": where}, seconds=3)
        wait_until(lambda: calls.sent > 50)
        first.process.send_signal(signal.SIGTERM)
        assert systemd.recv(100) == b"STOPPING=1"
        said, (left,), _, _ = socket.recv_fds(systemd, 100, 4)
        assert said == b"FDSTORE=1\nFDNAME=calls"
        first_log = first.log()
        second = service(calls=left)
        os.close(left)
        assert sorted(systemd.recv(100) for _ in range(2)) == [b"FDSTOREREMOVE=1\nFDNAME=calls", b"READY=1"]
        calls.join(PATIENCE_S)
        second.process.send_signal(signal.SIGTERM)
        assert systemd.recv(100) == b"STOPPING=1"
        _, (last,), _, _ = socket.recv_fds(systemd, 100, 4)
        logs = [first_log, second.log()]
        third = start(
            *arguments[:-6],
            "--drain-timeout",
            "0",
            command=exec_as_systemd({"udp": udp.fileno(), "calls": last}),
            descriptors=[udp.fileno(), last],
        )
        third.ready()
        os.close(last)
        third.process.send_signal(signal.SIGTERM)
        logs.append(third.log())
    assert datagrams(logs) == calls.outcome.truth.datagrams
    check(directory, calls)


@pytest.mark.skipif(not IS_LONG, reason="make soak")
def test_twenty_hand_overs_under_200_calls(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As above, as many as there is time for; tells how long nobody received."""
    directory, path = tmp_path / "recordings", str(tmp_path / "hand-over")
    doors = ["--record", str(directory), "--record-format", "passthrough", "--reorder-wait", "200ms"]
    doors += ["--hand-over", path, "--receive-buffer", "128MiB", "--drain-timeout", "0"]
    logs: list[list[dict[str, Any]]] = []
    with processes() as start:
        running = start("--udp", ":0", *doors)
        udp = running.ready()["udp"]
        options = SimulationOptions(calls=200, seconds=SOAK_S, network=NETWORK)
        calls = Carrier(options, Target(udp=address(udp)))
        wait_until(lambda: calls.sent > 200)
        while calls.is_alive() and len(logs) < 20:
            successor = start("--udp", udp, *doors)
            assert successor.ready() == {"udp": udp}
            logs.append(running.log())
            running = successor
        calls.join(2 * SOAK_S + PATIENCE_S)
        running.process.send_signal(signal.SIGTERM)
        logs.append(running.log())
    received, sent = datagrams(logs), calls.outcome.truth.datagrams
    pauses = sorted(line["pause_ms"] for log in logs for line in log if "pause_ms" in line)
    legs = {track.call_leg_id for track in calls.outcome.truth.tracks}
    lines = (
        f"{sent} packets sent, {received} received, {sent - received} lost",
        f"{len(list(directory.glob('*.wav')))} files of {len(legs)} legs",
        f"{len(pauses)} hand-overs, without anybody who receives for {pauses[0]} ms at least, "
        f"{pauses[len(pauses) // 2]} in the middle, {pauses[-1]} at most",
    )
    with capsys.disabled():
        sys.stdout.write("\n" + "; ".join(lines) + "\n")
    assert received == sent
    assert len(pauses) == len(logs) - 1 >= 2
    check(directory, calls)
