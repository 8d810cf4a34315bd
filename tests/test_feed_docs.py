"""What docs/feed.md says is so: its tables are those of the code, its commands and examples run."""

from __future__ import annotations

import asyncio
import re
import shlex
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from media.feed.selection import Selection
from media.feed.subscription import Limits, WhenSlow
from media.feed.wire import FIELDS, HEADER, Flag
from media.http import pcm
from media.http.api import MAX_READERS
from media.http.calls import DEFAULT_LIMIT, MAX_LIMIT
from media.http.events import MAX_WAITING
from tests.feed.test_tap import call, recorded, recording_server, tap
from tests.media.serving import ENVIRONMENT

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "feed.md").read_text(encoding="utf-8")
EXAMPLES = ROOT / "examples"
MAX_PROGRAM_LINES = 20
TYPES = {"4s": "bytes", "B": "u8", "H": "u16", "I": "u32", "Q": "u64", "q": "i64"}


def format_lines() -> list[str]:
    """Return what the page has to say of a message's bytes."""
    lines, at = ["| at | bytes | type | name | what |", "|---|---|---|---|---|"], 0
    for name, code, meaning in FIELDS:
        size = struct.calcsize("<" + code)
        lines.append(f"| {at} | {size} | {TYPES[code]} | `{name}` | {meaning} |")
        at += size
    lines += [
        f"| {at} | `call_id_bytes` | bytes | call id | UTF-8; zeros follow up to `header_bytes` |",
        "| `header_bytes` | the rest | `format` | samples | |",
        "",
        f"Python: `struct.Struct({HEADER.format!r})`. Flags:",
        "",
    ]
    lines += [f"* {flag.value}, `{(flag.name or '').lower()}`: {_MEANINGS[flag]}" for flag in Flag if flag]
    return lines


_MEANINGS = {
    Flag.LOST: "some of the samples are silence in place of lost packets; `lost_samples` says how many",
    Flag.LATE: "a patch, see below",
    Flag.GAP: "it does not begin where the one before it ended; also the first of a track that nobody had before",
    Flag.END: "the track has ended; there are no samples, and no message of it follows",
}


def test_the_format_is_that_of_the_code() -> None:
    """On failure: what the page should have between its two comments."""
    [made] = re.findall(r"<!-- made from the code[^>]*-->\n(.*?)<!-- end -->", PAGE, re.DOTALL)
    assert made == "\n".join(format_lines()) + "\n"


def rows(heading: str) -> list[list[str]]:
    part = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in part.splitlines() if line.startswith("| `")]


def test_parameters() -> None:
    """Every value is one, and the defaults are the server's."""
    found = {row[0].strip("`"): (row[1].split(", "), row[2]) for row in rows("Selecting")}
    slow, default = found.pop("when_slow")
    assert ({*slow}, default) == ({one.value for one in WhenSlow}, Limits().when_slow.value)
    assert (
        Selection.parse("&".join(f"{name}={default.strip('`')}" for name, (_, default) in found.items()))
        == Selection()
    )
    for name in ("track", "rate", "format"):
        for value in found[name][0]:
            assert f"{name}={value}" in Selection.parse(f"{name}={value}").describe()


def test_paths_and_bounds() -> None:
    paths = {row[0].strip("`").removeprefix("GET ") for row in rows("What there is")}
    assert paths == {
        "/healthz", "/v1/calls", "/v1/calls/{call_id}", "/v1/calls/{call_id}/pcm", "/v1/pcm", "/v1/events",
    }  # fmt: skip
    assert f"({DEFAULT_LIMIT}, at most {MAX_LIMIT})" in PAGE
    assert f"there may be {MAX_READERS} at once" in PAGE
    assert f"at most {pcm.QUEUE_BYTES >> 20} MiB and {pcm.QUEUE_SECONDS:g} s" in PAGE
    assert f"Of events {MAX_WAITING:,} wait" in PAGE
    for code, _ in (*pcm.WHY_CLOSED.values(),):
        assert str(code) in PAGE


def test_commands_are_understood() -> None:
    """Those of this program: what it is called, and that it takes the options."""
    from media.cli import strep
    from media.feed import command
    from media.serve import serve
    from media.terminal.calls import calls

    known = {"serve": serve, "tap": command.tap, "calls": calls}
    commands = re.findall(r"^\$ \.venv/bin/strep (.*)$", PAGE, re.MULTILINE)
    assert {line.split()[0] for line in commands} == known.keys() <= set(strep.list_commands(None))  # type: ignore[arg-type]
    for line in commands:
        name, *words = shlex.split(line.partition("|")[0])
        known[name].make_context(name, words)
    for path in re.findall(r"\]\(\.\./(.*?)[)#]", PAGE):
        assert (ROOT / path).exists()


@pytest.mark.parametrize("name", ["feed_websocket.py", "feed_pipe.py"])
def test_examples_are_short(name: str) -> None:
    program = (EXAMPLES / name).read_text(encoding="utf-8").split('"""')[2]
    assert len([line for line in program.splitlines() if line.strip()]) <= MAX_PROGRAM_LINES


@pytest.mark.realtime
async def test_the_websocket_consumer(tmp_path: Path) -> None:
    async with recording_server(tmp_path) as (server, url):
        target = url.replace("http", "ws") + "/v1/pcm"
        consumer = await asyncio.create_subprocess_exec(
            sys.executable, str(EXAMPLES / "feed_websocket.py"), target, stdout=subprocess.PIPE, env=ENVIRONMENT
        )
        assert consumer.stdout is not None
        assert b'"subscribed"' in await consumer.stdout.readline()
        await call(server, seconds=2)
    output = (await consumer.communicate())[0].decode()
    assert consumer.returncode == 0
    told = [line.split() for line in output.splitlines() if not line.startswith("{")]
    for channel, track in enumerate(("in", "out")):
        loudest = max(int(words[-1]) for words in told if words[1] == track)
        assert loudest == abs(recorded(tmp_path)[:, channel].astype(int)).max()


@pytest.mark.realtime
async def test_the_pipe_consumer(tmp_path: Path) -> None:
    async with recording_server(tmp_path) as (server, url):
        process = await tap(url, "any")
        await call(server, seconds=2)
        raw, _ = await process.communicate()
    consumer = await asyncio.create_subprocess_exec(
        sys.executable, str(EXAMPLES / "feed_pipe.py"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    output, _ = await consumer.communicate(raw)
    loudest = [list(map(int, line.split()[2:])) for line in output.decode().splitlines()]
    assert loudest == abs(recorded(tmp_path).astype(int)).reshape(2, 8000, 2).max(1).tolist()
