"""The command line: what it understands, what it says, what it leaves behind."""

from __future__ import annotations

import json
import re
import shlex
import socket
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from media.carrier import command
from media.carrier.datagrams import DatagramTable
from media.carrier.options import BLeg, TimestampUnit, Transport
from media.carrier.pacing import Instant
from media.carrier.report import SendReport
from media.carrier.sendmmsg import BatchSocket
from media.carrier.simulation import Outcome, Simulation
from media.carrier.truth import Truth
from media.codecs import Encoding
from strep.clock import NS_PER_SECOND

EXAMPLES = re.findall(r"^    strep simulate (.*)$", command.EPILOG.replace("\\\n", ""), re.MULTILINE)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media.carrier.simulation.RealTime", Instant)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(command.simulate, arguments)


@pytest.fixture
def port() -> Any:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        yield receiver.getsockname()[1]


class TestRun:
    def test_sends_and_tells_the_truth(self, tmp_path: Path, port: int) -> None:
        path = tmp_path / "truth.json"
        result = invoke("--udp", f"127.0.0.1:{port}", "--seconds", "1", "--loss", "10%", "--truth", str(path))
        assert result.exit_code == 0, result.output
        truth = Truth.from_json(path.read_bytes())
        assert f"{truth.total('lost')} lost" in result.output
        assert truth.total("sent") == 100

    def test_json(self, port: int) -> None:
        result = invoke("--rtp", f"127.0.0.1:{port},{port}", "--seconds", "0.2", "--calls", "3", "--json")
        facts = json.loads(result.stdout)
        assert (facts["transport"], facts["tracks"], facts["sent"]) == ("rtp", 6, 60)


class TestIds:
    def legs(self, folder: Path, port: int, *arguments: str) -> tuple[list[str], list[Any], str]:
        """Return the ids of a run, what was lost of each track, and what was said."""
        path = folder / "truth.json"
        given = ["--udp", f"127.0.0.1:{port}", "--seconds", "1", "--loss", "10%", "--truth", str(path), *arguments]
        result = invoke(*given)
        assert result.exit_code == 0, result.output
        tracks = Truth.from_json(path.read_bytes()).tracks
        return [track.call_leg_id for track in tracks], [track.lost_packets for track in tracks], result.output

    def test_two_runs_are_two_calls_with_the_same_faults(self, tmp_path: Path, port: int) -> None:
        (first, first_lost, said), (second, second_lost, _) = (self.legs(tmp_path, port) for _ in range(2))
        assert not set(first) & set(second)
        assert first_lost == second_lost == self.legs(tmp_path, port, "--seed", "1")[1]
        number = re.search(r"^ids of this run: (\d+); --ids \1 repeats it$", said, re.MULTILINE)
        assert number is not None
        assert self.legs(tmp_path, port, "--ids", number[1])[:2] == (first, first_lost)

    def test_a_seed_repeats_everything(self, tmp_path: Path, port: int) -> None:
        first, second = (self.legs(tmp_path, port, "--seed", "8123") for _ in range(2))
        assert first[:2] == second[:2]
        assert "--ids" not in first[2]
        assert self.legs(tmp_path, port, "--seed", "8123", "--ids", "4")[0] != first[0]


class TestStatus:
    @pytest.mark.parametrize(("reason", "status"), [((1008, "no token"), 1), ((1000, "hung up"), 0)])
    def test_the_far_end_closes(self, reason: tuple[int, str], status: int, monkeypatch: pytest.MonkeyPatch) -> None:
        async def run(simulation: Simulation, *_: Any, **__: Any) -> Outcome:
            plan = simulation.plan()
            made = dict.fromkeys(range(len(plan.scripts)), 2)
            return Outcome(plan.truth(made), SendReport(closings=Counter([reason])))

        monkeypatch.setattr(Simulation, "run", run)
        result = invoke("--ws", "ws://h/", "--seconds", "2")
        assert result.exit_code == status
        assert "4 packets" in result.output
        assert f"the far end closed 1 call early: {reason[0]} {reason[1]}\n" in result.output

    def test_nobody_takes_datagrams(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Deserted(BatchSocket):
            def send(self, table: DatagramTable) -> int:
                self.messages += len(table.lengths)
                self.refused = self.messages
                return len(table.lengths)

        def connect(*_: Any, **__: Any) -> Deserted:
            return Deserted(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))

        monkeypatch.setattr("media.carrier.simulation.connect", connect)
        result = invoke("--udp", "127.0.0.1:9", "--seconds", "1")
        assert result.exit_code == 1
        assert "nobody listened: 100 datagrams refused" in result.output

    def test_help_tells(self) -> None:
        assert "Exit status: 1 if" in invoke("--help").output


class TestHelp:
    def test_teaches_by_example(self) -> None:
        result = invoke("--help")
        assert result.exit_code == 0
        assert "strep simulate --udp 127.0.0.1:9000" in result.output
        assert "strep simulate --ws ws://127.0.0.1:9001/" in result.output

    @pytest.mark.parametrize("example", EXAMPLES)
    def test_every_example_is_understood(self, example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        for name in ("greeting.mp3", "hello.wav"):
            Path(name).touch()
        assert TestOptions().options(monkeypatch, *shlex.split(example)) is not None


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            ([], "--udp, --rtp and --ws"),
            (["--udp", "h:9", "--ws", "ws://h"], "--udp, --rtp and --ws"),
            (["--udp", "h:9", "--loss", "99%"], "loss"),
            (["--udp", "h:9", "--loss", "x"], "--loss"),
            (["--udp", "h:9", "--ssrc-change", "30"], "ssrc-change"),
            (["--udp", "h:9", "--tones", "--audio", __file__], "exclude"),
            (["--udp", "h:9", "--audio", __file__], "audio: cannot read"),
            (["--ws", "ws://h", "--ws-dtmf", "x"], "dtmf"),
        ],
    )
    def test_usage(self, arguments: list[str], text: str) -> None:
        result = invoke(*arguments)
        assert result.exit_code == 2
        assert text in result.output

    def test_nobody_there(self) -> None:
        result = invoke("--ws", "ws://127.0.0.1:1/", "--seconds", "1")
        assert result.exit_code == 1
        assert "ws: cannot open" in result.output


class TestOptions:
    def options(self, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
        taken: list[Any] = []

        class Stop(Exception):
            """Taken; nothing is to be sent."""

        def take(options: Any) -> None:
            taken.append(options)
            raise Stop

        monkeypatch.setattr(command, "Simulation", take)
        assert isinstance(invoke(*arguments).exception, Stop)
        return taken[0]

    def test_every_option_reaches_its_field(self, monkeypatch: pytest.MonkeyPatch) -> None:
        arguments = (
            "--udp h:9 --calls 7 --seconds 30 --stagger 3 --tones --codec pcma --ptime 30 --b-leg own-id --loss 2% "
            "--burst-loss 4 --reorder 1% --duplicate 3% --jitter 15 --stall 1+2 --dtx 30% --hold 4+5 "
            "--ssrc-change 10 --sequence-reset 11 --timestamp-jump 12 --wrap --extras 5% --header-length 28 "
            "--malformed 1% --seed 9"
        )
        options = self.options(monkeypatch, *arguments.split())
        network, faults = options.network, options.faults
        assert (options.transport, options.calls, options.seconds) == (Transport.STREP, 7, 30)
        assert (options.stagger_ms, options.audio, options.encoding) == (3, None, Encoding("PCMA"))
        assert (options.ptime_ms, options.b_leg, options.seed) == (30, BLeg.OWN_ID, 9)
        assert (network.loss, network.burst_loss, network.reorder) == (0.02, 4, 0.01)
        assert (network.duplicate, network.jitter_ms) == (0.03, 15)
        assert network.stall == (NS_PER_SECOND, 2 * NS_PER_SECOND)
        assert (faults.dtx, faults.hold) == (0.3, (4 * NS_PER_SECOND, 5 * NS_PER_SECOND))
        assert faults.restarts_at_ns == [second * NS_PER_SECOND for second in (10, 11, 12)]
        assert (faults.near_wrap, faults.extras, faults.header_bytes, faults.malformed) == (True, 0.05, 28, 0.01)

    def test_web_socket(self, monkeypatch: pytest.MonkeyPatch) -> None:
        arguments = (
            "--ws ws://h/ --ws-token t --ws-track inbound --ws-drop 5 --ws-dtmf 42# --ws-numbers "
            "--ws-shared-chunks --ws-timestamp samples --ws-mime --ws-oddities --ws-no-stop"
        )
        options = self.options(monkeypatch, *arguments.split()).websocket
        assert (options.auth_token, options.tracks) == ("t", ("inbound",))
        assert (options.drop_at_ns, options.timestamp_unit) == (5 * NS_PER_SECOND, TimestampUnit.SAMPLES)
        assert options.shared_chunks
        assert options.mime_encoding
        assert options.oddities
        assert not options.numbers_as_strings
        assert not options.stop_frame
