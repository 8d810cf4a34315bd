"""What docs/admission.md says is so: its commands run, its tables are those of the code."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from shutil import which

import pytest

from media.http.app import ROUTES
from media.options import OPTIONS
from tests.media.serving import ENVIRONMENT, serving
from tests.patience import wait_until

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "admission.md").read_text(encoding="utf-8")
BLOCKS = [
    [line.removeprefix("$ ") for line in block.splitlines()]
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
]
STREP = [sys.executable, "-m", "media.cli"]


def run(command: list[str], folder: Path, **environment: str) -> str:
    """Return what a command prints."""
    env = ENVIRONMENT | environment
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=True).stdout


@pytest.mark.realtime
def test_the_commands_run(tmp_path: Path) -> None:
    (serve, simulate), curls = BLOCKS
    made = subprocess.run(
        [*STREP, "keys", "carrier.pem"], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, check=True
    )
    said = serve.replace("$(.venv/bin/strep keys carrier.pem)", made.stdout.decode().strip())
    options = [re.sub(r"^127.0.0.1:\d+$", ":0", word) for word in shlex.split(said)[2:]]
    options += ["--udp-leg-wait", "5m", "--drain-timeout", "0"]
    with serving(*options, folder=tmp_path, STREP_HTTP_TOKEN="secret") as (process, addresses):

        def here(command: str) -> str:
            return command.replace("127.0.0.1:9000", addresses["udp"]).replace("127.0.0.1:9080", addresses["http"])

        words = shlex.split(here(simulate))[1:]
        sent = subprocess.run(
            [*STREP, *words], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=True
        )
        assert "not taken" not in sent.stdout
        wait_until(lambda: list((tmp_path / "recordings").glob("*.json")))
        if which("curl"):
            replies = [run(["sh", "-c", here(line)], tmp_path, STREP_HTTP_TOKEN="secret") for line in curls]
            answers = [json.loads(one) for one in replies]
            assert answers[0] == {"call_leg_id": "7f3a1c52-c9d0-11f0-8e41-02420a5b6c7d", "expires_s": 600}
            assert answers[1]["announced"] == 1
            assert answers[2] == {"call_leg_id": answers[0]["call_leg_id"]}
        process.terminate()
        process.communicate(timeout=100)
    [document] = [json.loads(path.read_text()) for path in (tmp_path / "recordings").glob("*.json")]
    assert [track["totals"]["received"] for track in document["tracks"]] == [16_000, 16_000]


def test_options_and_paths_are_there() -> None:
    flags = {option.flag for option in OPTIONS} | {option.variable for option in OPTIONS}
    own = {"--udp", "--key-file", "--announce", "--announce-key", "--announce-delay", "--seconds"}
    named = set(re.findall(r"--[a-z][a-z-]+|STREP_[A-Z_]+", PAGE))
    assert named <= flags | own
    paths = {route.path for routes in ROUTES for route in routes()} | {"/healthz", "/readyz"}
    for path in re.findall(r"`(/(?:v1/)?[a-z]+)", PAGE):
        assert any(one.startswith(path) for one in paths), path
