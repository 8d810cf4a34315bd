"""`strep serve` as a process: ready, fed, asked to end, and everything that can be in its way."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from media import cli, runtime, serve
from media.carrier.options import SimulationOptions, Transport
from media.carrier.pacing import Instant
from media.carrier.simulation import Outcome, Simulation, Target
from media.config import ServerConfig
from media.options import OPTIONS
from media.settings import load
from strep.g711 import Codec
from tests.media.harness import sidecar
from tests.media.recorded import check
from tests.media.serving import ENVIRONMENT, address, run, send, serving
from tests.patience import PATIENCE_S
from tests.searching import IS_LONG

EXAMPLES = re.findall(r"^    (.*strep serve .*|.*strep serve)$", serve._EPILOG, re.MULTILINE)


class TestManyStreams:
    def test_many_at_once_bit_identical(self, tmp_path: Path) -> None:
        """All that they have to say comes at once, to a process of its own."""
        form = {"calls": 250 if IS_LONG else 50, "seconds": 1, "stagger_ms": 20, "audio": None}
        simulations = [
            Simulation(SimulationOptions(Transport.WEBSOCKET, codec=codec, seed=seed, **form))  # type: ignore[arg-type]
            for seed, codec in enumerate(Codec)
        ]
        for simulation in simulations:
            simulation.plan()
        arguments = ("--ws", "127.0.0.1:0", "--record", str(tmp_path), "--record-format", "passthrough")
        with serving(*arguments, "--log-level", "warning") as (process, addresses):
            target = Target(stream_url=f"ws://{addresses['ws']}/")
            outcomes = asyncio.run(self.send_all(simulations, target))
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0
        for simulation, outcome in zip(simulations, outcomes, strict=True):
            for number, truth in enumerate(outcome.truth.tracks):
                check(tmp_path, truth.stream_id, simulation, number, truth)

    async def send_all(self, simulations: list[Simulation], target: Target) -> list[Outcome]:
        return await asyncio.gather(*(simulation.run(target, Instant()) for simulation in simulations))


class TestProcess:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_ready_then_ended_with_finished_files(self, number: signal.Signals, tmp_path: Path) -> None:
        """A call is going on when the signal comes; what was received is in the file all the same."""
        arguments = (
            "--udp",
            ":0",
            "--ws",
            ":0",
            "--rtp",
            "lab=0,0",
            "--record",
            str(tmp_path / "new" / "recordings"),
        )
        with serving(*arguments, "--log-format", "json") as (process, addresses):
            assert set(addresses) == {"udp", "ws", "rtp"}
            simulation = send(SimulationOptions(seconds=0.5), Target(udp=address(addresses["udp"])))
            process.send_signal(number)
            output, errors = process.communicate()
        assert process.returncode == cli.OK
        assert output == ""  # the one line was read
        truth = simulation.plan().truth().tracks
        document = sidecar(tmp_path / "new" / "recordings", truth[0].call_leg_id)
        assert (document["state"], document["reason"]) == ("complete", "shutdown")
        assert [track["length_samples"] for track in document["tracks"]] == [4000, 4000]
        lines = [json.loads(line) for line in errors.splitlines()]
        ended = lines[-1]
        assert ended["message"] == "ended"
        assert ended["calls"] == 1
        assert ended["packets"] == {"udp": 50, "rtp lab": 0, "ws": 0}
        assert (ended["kernel_drops"], ended["conservation_errors"], ended["rejected"]) == (0, 0, {})
        assert (ended["recordings_failed"], ended["sidecars_failed"]) == (0, 0)
        assert {"signal": number.name}.items() <= next(line for line in lines if "signal" in line).items()

    def test_media_stream_and_options_from_the_environment(self, tmp_path: Path) -> None:
        with serving(STREP_WS=":0", STREP_RECORD=str(tmp_path)) as (process, addresses):
            options = SimulationOptions(Transport.WEBSOCKET, seconds=0.5)
            simulation = send(options, Target(stream_url=f"ws://{addresses['ws']}/"))
            process.terminate()
            process.communicate()
        assert process.returncode == cli.OK
        document = sidecar(tmp_path, simulation.plan().truth().tracks[0].stream_id)
        assert (document["state"], document["reason"]) == ("complete", "stop")

    def test_what_is_refused_is_in_the_last_line(self) -> None:
        with serving("--udp", ":0") as (process, addresses):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.sendto(b"OPTIONS sip:strep SIP/2.0\r\n\r\n", address(addresses["udp"]))
            process.terminate()
            _, errors = process.communicate()
        assert process.returncode == cli.OK
        assert "ended calls=0" in errors.splitlines()[-1]
        assert 'rejected={"SIP":1}' in errors.splitlines()[-1]

    def test_text_lines_on_standard_error(self) -> None:
        with serving("--udp", ":0", STREP_HOUSE="x") as (process, _):
            process.terminate()
            _, errors = process.communicate()
        assert "warning strep.serve: variable STREP_HOUSE is no option" in errors.splitlines()[0]
        assert any("info    strep.server: receiving addresses=" in line for line in errors.splitlines())


class TestFailure:
    """One clear line, exit code 1, no traceback."""

    def check(self, result: Result, says: str) -> None:
        assert result.exit_code == cli.FAILED
        (line,) = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
        assert says in line
        assert "Traceback" not in result.stderr
        assert "Errno" not in line
        assert result.stdout == ""

    def test_udp_address_in_use(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", 0))
            where = f"127.0.0.1:{other.getsockname()[1]}"
            self.check(run("--udp", where), f"cannot receive UDP on {where}: Address already in use")

    def test_tcp_address_in_use(self) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            self.check(run("--udp", ":0", "--ws", f":{other.getsockname()[1]}"), "address already in use")

    @pytest.mark.parametrize(("stream", "name"), [(1, "output"), (2, "error")])
    def test_closed_stream(self, stream: int, name: str, tmp_path: Path) -> None:
        other = tmp_path / "other"
        command = f'exec "{sys.executable}" -m media.cli serve --udp :0 {3 - stream}>"{other}" {stream}>&-'
        assert subprocess.run(["sh", "-c", command], env=ENVIRONMENT, check=False).returncode == cli.FAILED
        assert stream == 2 or f"Error: standard {name} is closed" in other.read_text()

    def test_sink_that_is_not_installed(self) -> None:
        result = run("--udp", ":0", "--sink", "nobody")
        assert result.exit_code == cli.MISUSED
        assert "sink: there is no 'nobody'" in result.stderr

    def test_sink_that_does_not_finish(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def closed(server: Any) -> None:
            await server.close()
            server.unfinished_sinks = ["recording"]

        monkeypatch.setattr("media.server.Server.wait_closed", closed)
        result = run("--udp", ":0")
        assert result.exit_code == cli.FAILED
        assert "not finished within 30 s, files may be incomplete: recording" in result.stderr

    def test_host_that_is_none(self) -> None:
        self.check(run("--udp", "nothing.invalid:9000"), "cannot resolve the host of nothing.invalid:9000: ")

    def test_directory_that_cannot_be(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        directory = tmp_path / "file" / "recordings"
        self.check(run("--udp", ":0", "--record", str(directory)), f"cannot write recordings to {directory}: ")
        self.check(run("--udp", ":0", "--takes", str(directory)), f"cannot write recordings to {directory}: ")


class TestHelp:
    def test_every_option_with_its_default(self) -> None:
        text = " ".join(run("--help").output.split())
        for option in OPTIONS:
            assert f"{option.flag} {option.format.metavar}" in text
            if option.default_text:
                assert f"[default: {option.default_text}]" in text

    def test_sections_in_order(self) -> None:
        lines = run("--help").output.splitlines()
        headings = [line[:-1] for line in lines if line[:1].isalpha() and line.endswith(":")]
        assert headings == [
            "Doors",
            "Who may send",
            "Recording",
            "Delivering recordings",
            "Encryption at rest",
            "For other programs",
            "Observing",
            "Transcription",
            "NATS",
            "Talking back",
            "Webhooks",
            "Timing",
            "Limits",
            "Processes",
            "Logging",
            "Other",
        ]

    def test_teaches(self) -> None:
        text = run("--help").output
        for word in ("Examples:", "STREP_RTP=", "--config strep.toml", "ready {", "Exit codes:", "SIGTERM"):
            assert word in text

    @pytest.mark.parametrize("example", EXAMPLES)
    def test_every_example_is_understood(self, example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        Path("strep.toml").write_text('udp = ":9000"')
        variables, words = shlex.split(example.partition("strep serve")[0]), shlex.split(example)[1:]
        given = serve.serve.make_context("serve", words[words.index("serve") + 1 :]).params
        environment = dict(variable.split("=", 1) for variable in variables)
        assert load(given, environment, given.pop("config")).server != ServerConfig()


class TestSignals:
    async def test_the_second_one_ends_the_process_on_the_spot(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked, ended = asyncio.Event(), asyncio.Event()
        codes: list[int] = []

        def end(code: int) -> None:
            codes.append(code)
            ended.set()

        monkeypatch.setattr(os, "_exit", end)
        serve.end_on_signals(asked.set)
        loop = asyncio.get_running_loop()
        try:
            signal.raise_signal(signal.SIGTERM)
            await asked.wait()
            assert not codes
            signal.raise_signal(signal.SIGINT)
            await ended.wait()
        finally:
            loop.remove_signal_handler(signal.SIGTERM)
            loop.remove_signal_handler(signal.SIGINT)
        assert codes == [cli.INTERRUPTED]


class TestEventLoop:
    def test_asyncio_where_there_is_no_uvloop(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "uvloop", None)
        assert runtime.loop_factory() is None

    def test_uvloop_where_there_is(self) -> None:
        uvloop = pytest.importorskip("uvloop")
        assert runtime.loop_factory() is uvloop.new_event_loop
