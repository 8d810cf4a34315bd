"""`strep doctor` on this machine, and that docs/doctor.md is made of its rules."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from media import cli
from media.config import Endpoint, ServerConfig
from media.doctor.check import examine
from media.doctor.checks import CHECKS
from media.doctor.command import USUAL
from media.doctor.demand import Demand
from media.doctor.kernel import Kernel
from media.doctor.readings import measure, read
from strep.clock import ManualClock, SystemClock
from tests.doctor.machines import HEALTHY

PAGE = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text(encoding="utf-8")
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def doctor(*arguments: str, **environment: str) -> Result:
    ours = {name: None for name in os.environ if name.startswith("STREP_")} | environment
    return CliRunner(env=ours).invoke(cli.strep, ["doctor", *arguments])


@linux
def test_readings_of_this_machine(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        config = ServerConfig(udp=Endpoint("127.0.0.1", port), ws=Endpoint("127.0.0.1", 0), record=tmp_path / "new")
        facts = read(Demand(config), SystemClock(), Kernel(), {"OMP_NUM_THREADS": "4"})
    network, machine, disk = facts.network, facts.machine, facts.disk
    assert network.granted_bytes is not None
    assert 0 < network.granted_bytes <= config.receive_buffer_bytes
    assert network.rmem_max_bytes == int(Path("/proc/sys/net/core/rmem_max").read_text())
    udp, ws = network.ports
    assert (udp.refusal, udp.port, udp.drops) == ("EADDRINUSE", port, 0)
    assert f"(pid {os.getpid()})" in udp.holder
    assert (ws.refusal, ws.holder) == ("", "")
    assert network.received is not None
    assert network.buffer_errors is not None
    assert machine.cores == len(os.sched_getaffinity(0))
    assert machine.user == os.getuid()
    assert machine.available_bytes
    assert machine.threads == ("OMP_NUM_THREADS=4",)
    mask = os.umask(0o077)
    os.umask(mask)
    assert machine.umask == mask
    [directory] = disk.directories
    assert (directory.nearest, directory.is_writable, directory.mode) == (str(tmp_path), True, None)
    assert disk.file_system
    assert disk.free_bytes
    assert facts.clock.is_behind is False
    assert {"aiohttp", "av"} <= facts.software.modules
    assert list(tmp_path.iterdir()) == [], "it changes nothing"


def test_measuring_leaves_nothing(tmp_path: Path) -> None:
    speed, sync_s = measure(tmp_path, SystemClock())
    assert speed > 0
    assert sync_s > 0
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError, match="No such file"):
        measure(tmp_path / "gone", ManualClock())


def test_a_port_that_is_taken_is_a_problem_with_exit_code_1(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        result = doctor("--udp", f"127.0.0.1:{taken.getsockname()[1]}", "--calls", "1", "--json")
    document = json.loads(result.output)
    assert (result.exit_code, document["status"], document["calls"]) == (cli.FAILED, "problem", 1)
    [port] = [finding for finding in document["findings"] if finding["name"] == "ports"]
    assert port["level"] == "problem"
    assert port["remedy"].startswith("ss -ulnp")


def test_the_report_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine where one thing is wrong, there is that to be done, and no more."""
    sick = replace(HEALTHY, network=replace(HEALTHY.network, granted_bytes=212_992))
    monkeypatch.setattr("media.doctor.command.read", lambda *_: sick)
    result = doctor()
    assert result.exit_code == cli.FAILED
    assert "For: strep serve --udp 0.0.0.0:9000 --record recordings\n" in result.output
    assert re.findall(r"do: (.*)", result.output)[0] == f"sysctl -w net.core.rmem_max={16 << 20}"
    assert result.output.endswith("2 problems and 0 pieces of advice for 100 calls\n")
    monkeypatch.setattr("media.doctor.command.read", lambda *_: HEALTHY)
    assert doctor().exit_code == cli.OK
    assert doctor("--udp", "0.0.0.0:9000").exit_code == cli.OK


def test_it_takes_what_serve_takes(tmp_path: Path) -> None:
    (tmp_path / "strep.toml").write_text('udp = "127.0.0.1:0"\nmax_calls = 7\n')
    told = json.loads(doctor("--config", str(tmp_path / "strep.toml"), "--json").output)
    assert told["calls"] == 7
    assert json.loads(doctor("--json", STREP_UDP="127.0.0.1:0", STREP_MAX_CALLS="8").output)["calls"] == 8
    refused = doctor("--udp", "9000")
    assert (refused.exit_code, refused.output.count("\n")) == (cli.MISUSED, 1)


def test_the_command_of_the_page_runs(tmp_path: Path) -> None:
    [command] = re.findall(r"^\$ \.venv/bin/strep (doctor .*)$", PAGE, re.MULTILINE)
    words = [word.replace("/var/lib/strep/recordings", str(tmp_path)) for word in command.split()]
    done = doctor(*words[1:])
    assert done.exit_code in (cli.OK, cli.FAILED), done.output
    for check in CHECKS:
        assert f" {check.name} " in done.output


def lines() -> list[str]:
    """Return what the page says of the rules."""
    made = ["| check | when | what it means | what to do |", "|---|---|---|---|"]
    for topic in dict.fromkeys(check.topic for check in CHECKS):
        made.append(f"| **{topic}** | | | |")
        for check in CHECKS:
            if check.topic == topic:
                remedy = re.sub(r"\{(\w+)\}", lambda value: value[1].upper(), check.remedy)
                remedy = "as the report says" if remedy == "WHAT" else remedy
                made.append(f"| `{check.name}` | {check.bad} | {check.meaning} | {remedy} |")
    return made


def test_the_table_of_the_page_is_that_of_the_code() -> None:
    """On failure: what the page should have between its two comments."""
    [made] = re.findall(r"<!-- made from the code[^>]*-->\n(.*?)<!-- end -->", PAGE, re.DOTALL)
    assert made == "\n".join(lines()) + "\n"


def test_the_page_says_what_is_looked_at_by_itself() -> None:
    assert "`strep serve " + " ".join(f"--{name} {value}" for name, value in USUAL.items()) + "`" in PAGE
    assert list(examine(HEALTHY, Demand(ServerConfig(udp=Endpoint("0.0.0.0", 9000))), CHECKS))


def test_what_is_said_is_looked_at(tmp_path: Path) -> None:
    """Also where no door is named; and directories are read as they are."""
    recordings = tmp_path / "calls"
    recordings.mkdir(mode=0o755)
    said = CliRunner().invoke(
        cli.strep, ["doctor", "--record", str(recordings), "--calls", "1"], env={"COLUMNS": "200"}
    )
    assert f"For: strep serve --udp 0.0.0.0:9000 --record {recordings}" in said.output.replace("\n", "")
    said = CliRunner().invoke(cli.strep, ["doctor", "--calls", "1", "--json"], env={"STREP_RECORD": str(recordings)})
    assert f"record {recordings}" in said.output


@linux
@pytest.mark.parametrize(("is_there", "is_writable"), [("nothing", True), ("file", True), ("directory", False)])
def test_where_only_a_file_is_written_to_it_looks_at_that(is_there: str, is_writable: bool, tmp_path: Path) -> None:
    path = tmp_path / "calls-2023-11-14.jsonl"
    if is_there == "file":
        path.touch()
    elif is_there == "directory":
        path.mkdir()
    demand = Demand(ServerConfig(cdr=tmp_path / "calls-{date}.jsonl"))
    [directory] = read(demand, ManualClock(), Kernel(), {}).disk.directories
    assert (directory.option, directory.is_writable) == ("cdr", is_writable)


@linux
@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_for_root_a_service_users_directory_is_to_be_closed_and_not_roots(tmp_path: Path) -> None:
    record, takes = tmp_path / "record", tmp_path / "takes"
    record.mkdir()
    takes.mkdir()
    os.chown(record, 65534, 65534)
    facts = read(Demand(ServerConfig(record=record, takes=takes)), SystemClock(), Kernel(), {})
    assert [directory.is_own for directory in facts.disk.directories] == [True, False]
