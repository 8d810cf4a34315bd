"""Commands of the pages that have no test of their own: run as printed, but for addresses, tokens and lengths."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from shutil import which
from typing import IO, Any

import pytest
import soundfile
from click.testing import CliRunner

from media import cli
from tests.captures.making import simulated, write
from tests.docs.carrier_api import CarrierApi
from tests.docs.pages import ROOT, examples, spans
from tests.media.serving import ENVIRONMENT, serving
from tests.patience import PATIENCE_S, wait_until

pytestmark = pytest.mark.realtime
STREP = ".venv/bin/strep"
SERVERS = ("README.md", "docs/feed.md", "docs/page.md")
"""Whose first command is a server, which all that follow ask."""


def commands(page: str, *begins: str) -> list[str]:
    """Return the commands of a page's blocks, or of one of its sections, that begin so."""
    found = [one.text for one in examples() if page in (one.page, one.place) and one.language in ("console", "sh")]
    return [text for text in found if text.startswith(begins)] if begins else found


def environment(folder: Path) -> dict[str, str]:
    """Return that of a shell which finds this program and this Python under the names that the pages have."""
    (folder / ".venv" / "bin").mkdir(parents=True, exist_ok=True)
    for path, command in ((STREP, f"{sys.executable} -m media.cli"), (".venv/bin/python", sys.executable)):
        if not (folder / path).exists():  # another one may just be read
            (folder / path).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
            (folder / path).chmod(0o755)
    return ENVIRONMENT | {"PYTHONPATH": str(ROOT), "PATH": f"{folder}/.venv/bin:{ENVIRONMENT['PATH']}"}


def shell(command: str, folder: Path, **variables: str) -> str:
    """Return what a command prints; it has to end well."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command], cwd=folder, env=environment(folder) | variables,
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def called(command: str, *codes: int) -> str:
    """Return what a command of this program prints, which is run in this process."""
    outer = CliRunner(env=dict.fromkeys(os.environ.keys() - ENVIRONMENT.keys()))
    done = outer.invoke(cli.strep, shlex.split(command)[1:])
    assert done.exit_code in (codes or (cli.OK,)), done.output
    return done.output


@contextmanager
def shown(command: str, folder: Path, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command beside us, as long as the block lasts."""
    process = subprocess.Popen(
        ["bash", "-c", command], cwd=folder, env=environment(folder) | variables, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # all of a pipe
        process.communicate()


def lines(pipe: IO[str] | None) -> Callable[[], str]:
    """Return what reads the next line of a process."""
    assert pipe is not None
    return pipe.readline


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Any, dict[str, str], Path]]]:
    """Yield the server of each page, where it listens and its folder; all begin at once."""
    with ExitStack() as stack, ThreadPoolExecutor(len(SERVERS)) as at_once:

        def start(page: str) -> tuple[Any, dict[str, str], Path]:
            [_, serve, *options], folder = shlex.split(commands(page)[0]), folders[page]
            assert serve == "serve"
            options = [re.sub(r"^127\.0\.0\.1:\d+$", "127.0.0.1:0", word) for word in options]
            return *stack.enter_context(serving(*options, folder=folder)), folder

        folders = {page: tmp_path_factory.mktemp("served") for page in SERVERS}
        yield dict(zip(SERVERS, at_once.map(start, SERVERS), strict=True))


@pytest.mark.peer
@pytest.mark.skipif(which("soxi") is None or which("ffprobe") is None, reason="no sox or ffmpeg here: make peers")
def test_a_first_call(servers: dict[str, tuple[Any, dict[str, str], Path]]) -> None:
    """README's two commands leave what it says, and those of docs/recordings.md open it."""
    process, addresses, folder = servers["README.md"]
    _, simulate = commands("README.md")[:2]
    shell(simulate.replace("127.0.0.1:9000", addresses["udp"]).replace("--seconds 10", "--seconds 1"), folder)
    process.terminate()
    assert process.wait(PATIENCE_S) == 0
    recordings = folder / "recordings"
    waves = sorted(path.stem for path in recordings.glob("*.wav"))
    assert len(waves) == 2
    assert sorted(path.stem for path in recordings.glob("*.json")) == waves
    for document in map(json.loads, (path.read_text() for path in recordings.glob("*.json"))):
        assert document["state"] == "complete"
        for track in document["tracks"]:
            assert sum(track["totals"].values()) == track["length_samples"] == 8000
    soxi, ffprobe = commands("docs/recordings.md")
    assert shell(soxi, folder).count("Channels       : 2") == 2
    assert re.search(r"duration=1\.0\d+", shell(ffprobe.replace("CALL", waves[0]), folder))


@pytest.mark.peer
@pytest.mark.skipif(None in map(which, ("sox", "curl", "jq")), reason="no sox, curl or jq here: make peers")
def test_programs_are_fed(servers: dict[str, tuple[Any, dict[str, str], Path]]) -> None:
    """Everybody who wants it gets the one call: two pipes, a WebSocket, events; then it is listed, and ended."""
    _, addresses, folder = servers["docs/feed.md"]
    if not (folder / "examples").exists():
        (folder / "examples").symlink_to(ROOT / "examples")
    url = f"http://{addresses['http']}"
    _, calls, into_sox, websocket, into_python, curl = commands("docs/feed.md")
    assert commands("README.md#Listen, control, feed, deliver") == [into_sox]
    run = partial(shown, folder=folder, STREP_URL=url)
    with (
        run(into_sox) as sox,
        run(into_python) as pipe,
        run(websocket.replace("127.0.0.1:9080", addresses["http"])) as reader,
        run(curl.replace("127.0.0.1:9080", addresses["http"]).replace("curl", "curl --silent --include")) as events,
    ):
        for tap in (sox, pipe):
            assert lines(tap.stderr)() == "listening\n"
        assert '"subscribed"' in lines(reader.stdout)()
        assert "text/event-stream" in "".join(iter(lines(events.stdout), "\n")), "its head, up to the empty line"
        caller = f"{STREP} simulate --ws ws://{addresses['ws']}/ --ws-track both --seconds 300"
        with run(caller):
            wait_until(lambda: shell(calls, folder, STREP_URL=url))
            assert len(shell("strep calls | cut -f 1", folder, STREP_URL=url).split()) == 1
            assert re.fullmatch(r"\d+ s \d+ \d+\n", lines(pipe.stdout)())
            shell("strep call any hangup", folder, STREP_URL=url)
            assert sox.wait(PATIENCE_S) == 0
        assert pipe.wait(PATIENCE_S) == 0
        assert any("call_ended" in line for line in iter(lines(events.stdout), ""))
        assert any(re.search(r" (in|out) \d+\.\d{3} s \d+$", line) for line in iter(lines(reader.stdout), ""))
    assert soundfile.info(folder / "out.wav").channels == 2
    assert soundfile.info(folder / "out.wav").duration > 1


def test_the_page_is_served(servers: dict[str, tuple[Any, dict[str, str], Path]]) -> None:
    _, addresses, _ = servers["docs/page.md"]
    assert addresses.keys() == {"udp", "ws", "http"}
    with urllib.request.urlopen(f"http://{addresses['http']}/") as page:
        assert page.headers.get_content_type() == "text/html"
    with urllib.request.urlopen(f"http://{addresses['http']}/v1/recordings") as answer:
        assert json.load(answer) == {"total": 0, "recordings": []}


def test_a_second_process_takes_over(tmp_path: Path) -> None:
    """docs/operation.md: the same command twice; the first one ends, and all is well."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    [line] = commands("docs/operation.md#One process to the next")
    line = line.replace("0.0.0.0:9000", f"127.0.0.1:{port}").replace("/run/strep/hand-over", "hand-over")
    words = shlex.split(line)[2:]
    with serving(*words, folder=tmp_path) as (first, _), serving(*words, folder=tmp_path) as (second, _):
        assert first.wait(PATIENCE_S) == 0
        second.terminate()
        assert second.wait(PATIENCE_S) == 0
        assert "took over" in "".join(iter(lines(second.stderr), ""))


@pytest.mark.parametrize("page", ["docs/quickstart.md", "docs/capacity.md"])
def test_doctors(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    [line] = commands(page, f"{STREP} doctor")
    words = [re.sub(r":(9000|9001)$", ":0", word) for word in shlex.split(line)[1:]]
    assert " receive_buffer " in called(shlex.join([STREP, *words]), cli.OK, cli.FAILED)
    assert not list(tmp_path.iterdir()), "it changes nothing"


def test_a_token_nobody_else_reads(tmp_path: Path) -> None:
    [in_block] = commands("docs/quickstart.md", "(umask")
    [in_text] = {span for _, span in spans() if span.startswith("(umask")}
    assert in_block.replace(".venv/bin/", "") == in_text
    shell(in_block, tmp_path)
    assert stat.S_IMODE((tmp_path / "tokens.txt").stat().st_mode) == 0o600
    assert re.fullmatch(r"[\w-]{20,}\n", (tmp_path / "tokens.txt").read_text())


@pytest.mark.peer
@pytest.mark.skipif(which("curl") is None, reason="no curl here")
def test_requests_to_carriers_are_sent(tmp_path: Path) -> None:
    """By curl, to somebody who takes what a carrier would take."""
    lines = commands("docs/quickstart.md", "curl")
    secrets = {name: name.lower() for name in re.findall(r"\$([A-Z_]+)", "".join(lines))}
    with CarrierApi() as api:
        script = re.sub(
            r"https://(?:\$SPACE\.)?[a-z.]+\.(?:com)(?=/)", api.url, "\n".join(lines).replace("CALL", "c1")
        )
        answers = shell(script.replace(f"=wss://{api.url}", "=wss://media.example.com"), tmp_path, **secrets)
    assert answers.count('"ok"') == len(lines) == len(api.taken) == 8
    for request in api.taken:
        assert request.refusal() == "", request


@pytest.mark.peer
@pytest.mark.skipif(which("espeak-ng") is None, reason="no espeak-ng here: make peers")
def test_a_prompt_is_made(tmp_path: Path) -> None:
    [line] = {span for page, span in spans() if page == "docs/control.md" and "espeak-ng" in span and " -w" in span}
    shell(line, tmp_path)
    assert soundfile.info(tmp_path / "prompts" / "hello.wav").duration > 0.5


def test_a_capture_is_looked_at_and_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/troubleshooting.md: what tcpdump wrote is here from the simulated carrier."""
    monkeypatch.chdir(tmp_path)
    _, datagrams = simulated(seconds=0.2)
    write(tmp_path / "calls.pcap", datagrams)
    [inspect] = commands("docs/troubleshooting.md", STREP)
    assert f"{len(datagrams)} " in called(inspect)
    [replay] = {span for _, span in spans() if span.startswith("strep replay calls.pcap")}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(PATIENCE_S)
        called(replay.replace(":9000", f":{receiver.getsockname()[1]}"))
        assert {receiver.recv(4096) for _ in range(10)} <= {datagram.payload for datagram in datagrams}
