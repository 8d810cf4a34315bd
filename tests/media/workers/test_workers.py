"""`strep serve --workers N` as processes: who gets what, and what becomes of calls when a worker is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

import pytest

from media import cli, serve
from media.carrier.options import SimulationOptions, Transport
from media.carrier.simulation import Simulation, Target
from media.config import Endpoint, LogConfig, ServerConfig
from media.settings import load
from media.sockets import BoundSockets
from media.workers import supervisor
from media.workers.control import MAX_MESSAGE_BYTES, Assignment, Ready, decode, send_assignment
from media.workers.process import start_process
from media.workers.steering import is_supported
from strep.errors import ConfigurationError
from tests.media.harness import pcm_channels, sidecar
from tests.media.serving import address, run, send, serving
from tests.media.workers.processes import Sender, children, has_open, leg_ids, metrics, writer_of
from tests.patience import PATIENCE_S, wait_until

linux = pytest.mark.skipif(not is_supported(), reason="needs Linux")
LATENESS_SAMPLES = 8000 * round(PATIENCE_S)
"""How late a busy machine may send, and start servers; tests/sinks/test_continuation.py is exact."""


@linux
class TestTogether:
    def test_no_leg_is_split_and_all_end_when_told(self, tmp_path: Path) -> None:
        arguments = ("--udp", ":0", "--ws", ":0", "--rtp", "lab=0,0", "--record", str(tmp_path), "--workers", "2")
        with serving(*arguments) as (process, addresses):
            assert set(addresses) == {"udp", "ws", "rtp"}
            workers = children(process.pid)
            simulation = send(SimulationOptions(calls=50, seconds=0.5), Target(udp=address(addresses["udp"])))
            streams = SimulationOptions(Transport.WEBSOCKET, calls=4, seconds=0.2)
            simulated_streams = send(streams, Target(stream_url=f"ws://{addresses['ws']}/"))
            process.terminate()
            output, errors = process.communicate()
        assert (process.returncode, output) == (cli.OK, "")
        assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
        names = leg_ids(simulation)
        assert len(names) == 50
        documents = [sidecar(tmp_path, name) for name in names]
        assert all(document["state"] == "complete" for document in documents)
        assert all([t["length_samples"] for t in document["tracks"]] == [4000, 4000] for document in documents)
        streams_named = {track.stream_id for track in simulated_streams.plan().truth().tracks}
        assert {path.stem for path in tmp_path.glob("*.wav")} == {*names, *streams_named}
        assert "ended calls=54" in errors.splitlines()[-1]
        assert {line.split("worker=")[1][0] for line in errors.splitlines() if "worker=" in line} == {"0", "1"}

    def test_when_the_supervisor_is_killed_the_workers_finish_their_files(self, tmp_path: Path) -> None:
        with serving("--udp", ":0", "--record", str(tmp_path), "--workers", "2") as (process, addresses):
            simulation = send(SimulationOptions(calls=4, seconds=0.5), Target(udp=address(addresses["udp"])))
            wait_until(lambda: len(list(tmp_path.glob("*.json"))) == 4)
            process.kill()
            for name in leg_ids(simulation):
                wait_until(lambda name=name: sidecar(tmp_path, name)["state"] == "complete")  # type: ignore[misc]

    def test_a_worker_ends_whose_supervisor_died_without_hearing_it(self) -> None:
        """uvloop tells of the reset connection only once."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            worker = start_process(theirs.fileno())
        with worker:
            config = ServerConfig(udp=Endpoint("127.0.0.1", 0))
            send_assignment(ours, Assignment(0, config, LogConfig(level="error"), []), BoundSockets())
            with ours:
                assert decode(ours.recv(MAX_MESSAGE_BYTES)) == Ready()
                assert ours.recv(1, socket.MSG_PEEK)  # its first report is there, and stays unread
            try:
                assert worker.wait(PATIENCE_S) == cli.OK
            finally:
                worker.kill()

    def test_a_second_signal_kills_them_all(self, tmp_path: Path) -> None:
        with serving("--udp", ":0", "--workers", "2", "--drain-timeout", "0") as (process, _):
            workers = wait_until(lambda: len(found := children(process.pid)) == 3 and found)
            for pid in workers:
                os.kill(pid, signal.SIGSTOP)  # they do not end by themselves
            process.terminate()
            process.send_signal(signal.SIGINT)
            assert process.wait() == cli.INTERRUPTED
            for pid in workers:
                wait_until(lambda pid=pid: not Path(f"/proc/{pid}").exists() or _is_zombie(pid))  # type: ignore[misc]


def _is_zombie(pid: int) -> bool:
    try:
        return b"State:\tZ" in Path(f"/proc/{pid}/status").read_bytes()
    except OSError:
        return True


@linux
@pytest.mark.realtime
class TestKilled:
    SECONDS = 5

    def test_its_calls_go_on_in_the_same_files_and_no_other_notices(self, tmp_path: Path) -> None:
        simulation = Simulation(SimulationOptions(calls=10, seconds=self.SECONDS))
        names = leg_ids(simulation)
        arguments = ("--udp", ":0", "--record", str(tmp_path), "--workers", "2", "--metrics", ":0")
        with serving(*arguments) as (process, addresses):
            sender = Sender(simulation, Target(udp=address(addresses["udp"])))
            audio = [tmp_path / f"{name}.wav" for name in names]
            wait_until(lambda: all(path.exists() and path.stat().st_size > 80 + 4 * 12_000 for path in audio))
            written = sender.sent
            sender.early.set()
            wait_until(lambda: sender.sent > written + 300)  # 0.3 s of it are in memory
            victim = writer_of(process.pid, audio[0])
            its = [name for name, path in zip(names, audio, strict=True) if has_open(victim, path)]
            before = metrics(addresses["metrics"])
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: metrics(addresses["metrics"])["strep_recordings_continued_total"] == len(its))
            sender.late.set()
            sender.join()
            after = metrics(addresses["metrics"])
            process.terminate()
            process.communicate()
        assert process.returncode == cli.OK
        assert sorted(path.stem for path in tmp_path.glob("*.wav")) == names
        assert 0 < len(its) < len(names)
        for name in names:
            self.check(tmp_path, name, was_killed=name in its)
        restarts = {name: value for name, value in after.items() if name.startswith("strep_worker_restarts_total")}
        assert sorted(restarts.values()) == [0, 1]
        assert [after[f'strep_worker_up{{worker="{index}"}}'] for index in (0, 1)] == [1, 1]
        falling = [name for name, value in before.items() if "_total" in name and after[name] < value]
        assert not falling

    def check(self, directory: Path, name: str, *, was_killed: bool) -> None:
        document = sidecar(directory, name)
        assert document["state"] == "complete"
        assert len(pcm_channels(directory / f"{name}.wav")) == document["length_samples"]
        assert len(document["tracks"]) == 2
        if not was_killed:
            assert document["restarts"] == []
            assert [track["totals"]["received"] for track in document["tracks"]] == [8000 * self.SECONDS] * 2
            return
        (gap,) = document["restarts"]
        assert abs(document["length_samples"] - 8000 * self.SECONDS) <= LATENESS_SAMPLES
        for track in document["tracks"]:
            totals = {kind: length for kind, length in track["totals"].items() if length}
            assert not {"lost", "late-patched"} & set(totals), "nothing is lost behind the gap"
            assert totals.get("unaccounted", 0) <= gap["start_samples"] >= 12_000, "its account tells of the rest"
            assert 0 <= totals.get("restart", 0) - gap["length_samples"] <= LATENESS_SAMPLES
            kinds = [span["kind"] for span in track["ledger"] if span["kind"] != "silence"]  # the carrier was late
            assert kinds == [kind for kind in ("unaccounted", "restart") if kind in totals]


@linux
@pytest.mark.realtime
class TestServerThatIsKilled:
    def test_the_next_one_continues_the_recording(self, tmp_path: Path, unused_udp_port: int) -> None:
        """One process, no supervisor: what comes while nobody is there is lost, and the file is one all the same."""
        simulation = Simulation(SimulationOptions(seconds=5))
        (name,) = leg_ids(simulation)
        arguments = ("--udp", f"127.0.0.1:{unused_udp_port}", "--record", str(tmp_path))
        audio = tmp_path / f"{name}.wav"
        with serving(*arguments) as (process, _):
            sender = Sender(simulation, Target(udp=("127.0.0.1", unused_udp_port)))
            wait_until(lambda: audio.exists() and audio.stat().st_size > 80 + 4 * 6000)
            process.kill()
        sender.early.set()
        with serving(*arguments) as (process, _):
            sender.late.set()
            sender.join()
            process.terminate()
            process.communicate()
        document = sidecar(tmp_path, name)
        assert [path.name for path in tmp_path.glob("*.wav")] == [audio.name]
        assert (document["state"], len(document["restarts"])) == ("complete", 1)
        assert abs(document["length_samples"] - 40_000) <= LATENESS_SAMPLES
        assert len(pcm_channels(audio)) == document["length_samples"]


@linux
class TestHanging:
    def test_it_is_killed_and_replaced(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(supervisor, "SILENT_S", 3.0)

        async def hang() -> None:
            config = ServerConfig(udp=Endpoint("127.0.0.1", 0))
            async with supervisor.Supervisor(config, LogConfig(level="error"), 2) as running:
                totals = running.totals
                os.kill(running._live[1].pid, signal.SIGSTOP)
                await asyncio.to_thread(wait_until, lambda: totals.restarts[1] > 0 and all(totals.is_up))

        asyncio.run(hang())


@linux
class TestBeginning:
    """What a worker cannot do is known before the server says that it is ready."""

    def test_sink_that_is_not_installed(self) -> None:
        result = run("--udp", ":0", "--sink", "nobody", "--workers", "2")
        assert (result.exit_code, result.stdout) == (cli.MISUSED, "")
        assert "sink: there is no 'nobody'" in result.stderr

    def test_address_in_use(self) -> None:
        with serving("--udp", ":0", "--workers", "2") as (_, addresses):
            result = run("--udp", addresses["udp"], "--workers", "2")
        assert result.exit_code == cli.FAILED
        assert f"cannot receive UDP on {addresses['udp']}: Address already in use" in result.stderr

    def test_metrics_address_in_use(self) -> None:
        with serving("--udp", ":0", "--metrics", ":0") as (_, addresses):
            result = run("--udp", ":0", "--metrics", addresses["metrics"])
        assert result.exit_code == cli.FAILED
        assert f"cannot serve metrics on {addresses['metrics']}: Address already in use" in result.stderr

    def test_fewer_pairs_of_rtp_ports_than_workers(self) -> None:
        with serving("--rtp", "lab=0,0", "--workers", "3") as (process, addresses):
            assert list(addresses) == ["rtp"]
            process.terminate()
            _, errors = process.communicate()
        assert "a pair of plain RTP ports needs one worker" in errors


@pytest.mark.parametrize(("asked", "got"), [(0, 6), (1, 1), (3, 3)])
def test_none_is_one_per_core(asked: int, got: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "count_cores", lambda: 6)
    assert serve.count_workers(load({"udp": ":0", "workers": str(asked)}, {})) == got


def test_metrics_and_media_streams_need_a_port_each() -> None:
    with pytest.raises(ConfigurationError, match=r"ws and metrics are both on TCP 127\.0\.0\.1:9001"):
        load({"ws": ":9001", "metrics": ":9001"}, {})


def test_elsewhere_it_is_refused_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "is_supported", lambda: False)
    result = run("--udp", ":0", "--workers", "2")
    assert result.exit_code == cli.MISUSED
    assert "only Linux" in result.stderr
    assert "workers 1" in result.stderr
