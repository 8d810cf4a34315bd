"""The command lines: what they understand and what they say."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from media.captures import command
from media.captures.tables import console
from media.carrier.faults import Faults
from media.carrier.network import NetworkModel
from media.carrier.options import Transport
from strep.clock import NS_PER_SECOND
from tests.captures.making import PORT, at_time, noise, simulated, write


def inspect(*arguments: object) -> Result:
    return CliRunner().invoke(command.inspect, [str(argument) for argument in arguments])


def replay(*arguments: object) -> Result:
    return CliRunner().invoke(command.replay, [str(argument) for argument in arguments])


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    faults = Faults(malformed=0.02, dtx=0.2, ssrc_change_at_ns=3 * NS_PER_SECOND)
    _, strep = simulated(calls=2, seconds=5, network=NetworkModel(loss=0.1), faults=faults)
    _, plain = simulated(Transport.RTP, seconds=5)
    plain = [d._replace(destination=(d.destination[0], d.destination[1] + 1000)) for d in plain]
    return write(tmp_path / "x.pcap", at_time([*strep, *plain, *noise(5)]))


class TestInspect:
    def test_table(self, capture: Path) -> None:
        result = inspect(capture)
        assert result.exit_code == 0, result.output
        plan, _ = simulated(calls=2, seconds=5)
        assert str(plan.scripts[0].call_leg_id) in result.output
        for said in ("192.0.2.10:41000", "PCMU (0)", "other UDP: neither STREP nor RTP", "SIP or other text"):
            assert said in result.output
        assert result.stderr == ""

    def test_json(self, capture: Path) -> None:
        document = json.loads(inspect(capture, "--json").stdout)
        assert [track["protocol"] for track in document["tracks"]].count("strep") == 4
        assert len(document["tracks"]) == 6
        assert document["rejected"]["OTHER_UDP"] == 20

    def test_gaps(self, capture: Path) -> None:
        tracks = json.loads(inspect(capture, "--json").stdout)["tracks"]
        times = [gap["time"] for track in tracks for gap in track["ledger"]]
        assert len(times) > 20
        listed, table = inspect(capture, "--gaps").output, inspect(capture).output
        assert all(time in listed for time in times)
        assert not any(time in table for time in times)

    def test_wav(self, capture: Path, tmp_path: Path) -> None:
        assert inspect(capture, "--wav", tmp_path / "new" / "wav").exit_code == 0
        assert len(list((tmp_path / "new" / "wav").glob("*.wav"))) == 4

    def test_named_ports(self, capture: Path) -> None:
        document = json.loads(inspect(capture, "--rtp", f"lab={PORT + 1000},{PORT + 1002}", "--json").stdout)
        assert {t["destination"] for t in document["tracks"] if t["protocol"] == "rtp"} == {"lab rx", "lab tx"}

    def test_nothing_found(self, tmp_path: Path) -> None:
        result = inspect(write(tmp_path / "x.pcap", noise(3)))
        assert result.exit_code == 0
        assert "No call audio was found" in result.output

    def test_a_cut_file_is_read_as_far_as_it_goes(self, capture: Path) -> None:
        capture.write_bytes(capture.read_bytes()[:-7])
        result = inspect(capture, "--json")
        assert result.exit_code == 0
        assert "warning: the file ends" in result.stderr
        document = json.loads(result.stdout)
        assert document["tracks"]
        assert "the file ends" in document["warnings"][0]

    @pytest.mark.parametrize("data", [b"", b"hello, this is no capture", b"\x1f\x8b\x08compressed"])
    def test_no_capture(self, tmp_path: Path, data: bytes) -> None:
        (tmp_path / "x").write_bytes(data)
        for run in (inspect(tmp_path / "x"), replay(tmp_path / "x", "--to", ":9000")):
            assert run.exit_code == 1
            assert "NOT_A_CAPTURE" in run.stderr
            assert "Traceback" not in run.output

    @pytest.mark.parametrize("arguments", [["--rtp", "lab=1"], ["--udp", "0"], ["--idle-timeout", "soon"], ["/none"]])
    def test_wrong_arguments(self, capture: Path, arguments: list[str]) -> None:
        assert inspect(capture, *arguments).exit_code == 2


class TestReplay:
    def test_summary(self, capture: Path) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.bind(("127.0.0.1", 0))
            port = receiver.getsockname()[1]
            result = replay(capture, "--to", f":{port}", "--fast")
        assert result.exit_code == 0, result.output
        assert f"to 127.0.0.1:{port}" in result.output
        assert "datagrams of the capture were not chosen" in result.output

    def test_json(self, capture: Path) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.bind(("127.0.0.1", 0))
            target = "{}:{}".format(*receiver.getsockname())
            facts = json.loads(
                replay(
                    capture, "--map", f"5060={target}", "--map", f"53={target}", "--fast", "--loop", 2, "--json"
                ).stdout
            )
        assert facts["targets"] == {target: 20}
        assert facts["lateness"] is None

    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            ([], "where to?"),
            (["--to", "nowhere"], "is not HOST:PORT"),
            (["--to", ":0"], "port 0"),
            (["--map", "9000"], "OLDPORT=HOST:PORT"),
            (["--map", "9=:9", "--port", "9"], "--port says what goes to --to"),
            (["--to", ":9000", "--speed", "0"], "--speed"),
            (["--rtp-to", ":9000", "--only-call", "x"], "not a valid UUID"),
        ],
    )
    def test_wrong_arguments(self, capture: Path, arguments: list[str], text: str) -> None:
        result = replay(capture, *arguments)
        assert result.exit_code == 2
        assert text in result.output

    def test_no_strep(self, tmp_path: Path) -> None:
        result = replay(write(tmp_path / "x.pcap", noise(3)), "--to", ":9000")
        assert result.exit_code == 2
        assert "no STREP in this capture" in result.output


@pytest.mark.parametrize(
    ("name", "example"), [("inspect", "strep inspect calls.pcap --gaps"), ("replay", "--only-call")]
)
def test_help_teaches_by_example(name: str, example: str) -> None:
    result = CliRunner().invoke(getattr(command, name), ["--help"])
    assert result.exit_code == 0
    assert example in result.output


def test_a_table_is_not_cut_where_nobody_looks() -> None:
    assert console().width >= 200
