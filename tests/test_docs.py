"""What docs/talking-back.md says is so: its commands and its program run, its tables are those of the code."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from shutil import which

import numpy as np
import pytest
import soundfile

from media.apps import BUILT_IN
from media.carrier.dialects import DIALECTS as CARRIERS
from media.codecs import PCMU
from media.options import OPTIONS, TALKING
from media.talk.handle import PlayState
from media.talk.mode import CODECS, MODES, PlaybackMode, mode_of
from media.ws.dialects.choosing import DIALECTS
from media.ws.host import Handshake, StreamStart
from tests.media.serving import ENVIRONMENT, serving
from tests.patience import PATIENCE_S

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "talking-back.md").read_text(encoding="utf-8")
STREP = ".venv/bin/strep"
PORT = "127.0.0.1:9001"
LOUD = 1000
NOTHING = '""'


def commands() -> list[tuple[str, str]]:
    """Return each ``strep simulate`` of the page with the ``strep serve`` that it calls."""
    pairs, server = [], ""
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL):
        for line in block.splitlines():
            prompt, program, command, rest = line.split(" ", 3)
            assert (prompt, program) == ("$", STREP)
            if command == "serve":
                server = rest
            else:
                assert command == "simulate"
                pairs.append((server, rest))
    return pairs


def listed(heading: str) -> list[list[str]]:
    """Return the cells of the first table under a heading, without its head."""
    part = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"(?:^\|.*\n)+", part, re.MULTILINE)[0].splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


def asked_by(stream_url: str) -> PlaybackMode:
    """Return how a stream that dials this wants to be played to, by its own word."""
    path = stream_url.removeprefix("wss://").partition("/")[2]
    return mode_of(StreamStart("s1", PCMU, handshake=Handshake(path=f"/{path}")), PlaybackMode())


@pytest.mark.peer
@pytest.mark.realtime
@pytest.mark.skipif(which("espeak-ng") is None, reason="no espeak-ng here: make peers")
def test_every_command_runs_and_every_caller_hears_something(tmp_path: Path) -> None:
    """All of them at once, so that they last no longer than the longest."""
    (tmp_path / "media").symlink_to(ROOT / "media")
    [program] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "greeter.py").write_text(program)

    def heard(pair: tuple[str, str]) -> int:
        server, caller = pair
        folder = tmp_path / f"heard {pairs.index(pair)}"
        words = shlex.split(caller.replace(PORT, where[server]))
        command = [sys.executable, "-m", "media.cli", "simulate"]
        command += [str(folder) if word == "heard" else word for word in words]
        subprocess.run(command, check=True, env=ENVIRONMENT, capture_output=True, timeout=PATIENCE_S)
        [path] = folder.glob("*.wav")
        return int(np.abs(soundfile.read(path, dtype="int16")[0]).max())

    pairs, where = commands(), dict[str, str]()
    with ExitStack() as servers, ThreadPoolExecutor(len(pairs)) as at_once:
        for server in dict(pairs):
            arguments = shlex.split(server.replace(PORT, "127.0.0.1:0"))
            _, addresses = servers.enter_context(serving(*arguments, folder=tmp_path))
            where[server] = addresses["ws"]
        loudness = dict(zip(pairs, at_once.map(heard, pairs), strict=True))
    assert {re.search(r"--app (\w+)", server)[1] for server, _ in pairs} >= {"parrot", "ivr", "greeter"}  # type: ignore[index]
    assert not [pair for pair, loudest in loudness.items() if loudest < LOUD]


def test_applications() -> None:
    assert all(f"`{name}`" in PAGE for name in BUILT_IN)


def test_states_of_a_handle() -> None:
    assert [row[0] for row in listed("What the handle tells")] == [f"`{state.name}`" for state in PlayState]


def test_playback_options() -> None:
    """Flags, values and defaults are the server's; names in a query are those that it reads."""
    rows = listed("How a stream wants to be played to")
    flags = [option for option in OPTIONS if option.section == TALKING and option.name.startswith("playback")]
    assert [row[1] for row in rows] == [f"`{option.flag}`" for option in flags]
    assert [row[4] for row in rows] == [option.default_text for option in flags]
    for option, row in zip(flags, rows, strict=True):
        assert row[0] in ("", f"`{option.name}`")
        if option.name != "playback_rate":
            assert row[3].split(", ") == option.format.metavar.split("|")
    assert {row[0] for row in rows if row[0]} == {"`playback`", "`playback_codec`", "`playback_rate`"}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("codec", CODECS)
def test_a_query_is_understood(mode: str, codec: str) -> None:
    rate_hz = 8000 if codec in ("PCMU", "PCMA") else 16_000
    asked = asked_by(f"wss://h/?playback={mode}&playback_codec={codec.lower()}&playback_rate={rate_hz}")
    assert (asked.mode, asked.codec, asked.rate_hz) == (mode, codec, rate_hz)


def test_the_request_says_the_same_to_both() -> None:
    [text] = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    request = json.loads(text)
    asked = asked_by(request["stream_url"])
    assert asked.mode == request["stream_bidirectional_mode"]
    assert asked.codec == request["stream_bidirectional_codec"]
    assert asked.rate_hz == request["stream_bidirectional_sampling_rate"]


def dialect_lines() -> list[str]:
    """Return what the page has to say of the dialects: a table of differences, and what is sent."""
    lines = ["| | path | takes | raw audio it has | in a message | on streams of |", "|---|---|---|---|---|---|"]
    for dialect in DIALECTS:
        carrier = CARRIERS[dialect.name]
        codecs = ", ".join(carrier.writer.encodings)
        least_ms, most_ms = carrier.message_ms
        length = f"{least_ms:g} ms to {most_ms / 1000:g} s" if most_ms < float("inf") else "any length"
        tracks = {" and ".join(tracks) for tracks in carrier.talks_back_on}
        streams = " or ".join(sorted(tracks, key=len)) if len(tracks) < 3 else "any tracks"
        back = (codecs, length, streams) if dialect.media else ("", "", "")
        cells = (f"**{dialect.name}**", f"`{dialect.path}`", dialect.playback.value, *back)
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "What is sent:", "", "```"]
    for dialect in DIALECTS:
        if dialect.media and dialect.mark and dialect.clear:
            sent = (dialect.media("ID", b""), dialect.mark("ID", "NAME"), dialect.clear("ID"))
            lines += [f"{dialect.name:<12}" + message.replace(NOTHING, '"BASE64"') for message in sent]
    return [re.sub(" +\\|", " |", line) for line in [*lines, "```"]]


def test_the_table_of_the_dialects_is_that_of_the_code() -> None:
    """On failure: what the page should have between its two comments."""
    [made] = re.findall(r"<!-- made from the code[^>]*-->\n(.*?)<!-- end -->", PAGE, re.DOTALL)
    assert made == "\n".join(dialect_lines()) + "\n"
