"""What docs/listening.md says of formats and stores is so: its commands run, its tables are those of the code."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile

from media.delivery.keys import FIELDS
from media.delivery.options import DELIVERY_OPTIONS
from tests.delivery import s3
from tests.delivery.recordings import read_json
from tests.media.serving import ENVIRONMENT, serving
from tests.patience import PATIENCE_S

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "listening.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("\n## Formats and stores\n")[2].partition("\n## ")[0]
COMMANDS = [block.splitlines() for block in re.findall(r"```console\n(.*?)```", SECTION, re.DOTALL)]
PORT, ENDPOINT = "127.0.0.1:9000", "http://127.0.0.1:9090"


def run(serve: str, simulate: str, folder: Path, **variables: str) -> None:
    """Run both lines in a folder, then let the server end, which delivers what it was given."""
    assert serve.startswith("$ .venv/bin/strep serve ")
    assert simulate.startswith("$ .venv/bin/strep simulate ")
    arguments = shlex.split(serve.replace(PORT, "127.0.0.1:0"))[3:]
    with serving(*arguments, folder=folder, **variables) as (process, addresses):
        caller = shlex.split(simulate.replace(PORT, addresses["udp"]))[3:]
        command = [sys.executable, "-m", "media.cli", "simulate", *caller]
        subprocess.run(command, check=True, env=ENVIRONMENT, capture_output=True, timeout=PATIENCE_S)
        process.terminate()
        assert process.wait(PATIENCE_S) == 0


@pytest.mark.realtime
def test_a_directory(tmp_path: Path, eager: str) -> None:
    serve, simulate = COMMANDS[0]
    run(serve, simulate, tmp_path, PYTHONPATH=eager)
    [day] = (tmp_path / "archive").iterdir()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", day.name)
    assert sorted(path.suffix for path in day.iterdir()) == [".flac"] * 2 + [".json"] * 2 + [".mp3"] * 2
    for sidecar in day.glob("*.json"):
        for file in read_json(sidecar)["files"]:
            assert soundfile.info(day / file["file"]).duration == pytest.approx(5.0, abs=0.05)
    assert [path.name for path in (tmp_path / "recordings").iterdir()] == [".delivery"]


@pytest.mark.peer
@pytest.mark.realtime
@pytest.mark.skipif(not s3.IS_HERE, reason="no moto or no s3fs here: make peers")
def test_an_s3_server(tmp_path: Path, server: s3.S3Server, eager: str) -> None:
    export, serve, simulate = COMMANDS[1]
    words = shlex.split(export.replace(ENDPOINT, server.url))
    assert words[:2] == ["$", "export"]
    run(serve, simulate, tmp_path, PYTHONPATH=eager, **dict(word.split("=", 1) for word in words[2:]))
    keys = sorted(server.objects())
    today = time.strftime("%m/%d/", time.gmtime())
    names = sorted(path.name for path in (tmp_path / "recordings").iterdir() if path.is_file())
    assert keys == [f"2026/{today}{name}" for name in names]
    assert [name.rpartition(".")[2] for name in names] == ["json", "wav"] * 2


def test_the_options_are_those_of_the_server() -> None:
    rows = re.findall(r"^\| `(--deliver-[a-z-]+)` \| (.*) \| (.*) ?\|$", SECTION, re.MULTILINE)
    assert [(flag, default.strip()) for flag, _, default in rows] == [
        (option.flag, option.default_text) for option in DELIVERY_OPTIONS
    ]
    key = next(text for flag, text, _ in rows if flag == "--deliver-key")
    assert re.findall(r"`\{(\w+)\}`", key) == list(FIELDS)
