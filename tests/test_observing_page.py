"""What docs/observing.md says is so: its commands run, its options and metrics are there."""

from __future__ import annotations

import json
import re
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path
from shutil import which

import pytest

from media.alarms.rules import RULES
from media.cdr import outbox
from media.options import OPTIONS
from strep.clock import NS_PER_SECOND
from tests.cdr.records import lines
from tests.deploy.exposition import exposed_names
from tests.media.serving import ENVIRONMENT, serving
from tests.patience import PATIENCE_S, wait_until

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "observing.md").read_text(encoding="utf-8")
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]


@pytest.mark.realtime
def test_the_commands_run(tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy")
    serve, simulate, *others = [command for command in COMMANDS if "--otlp" not in command]
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    options = [re.sub(r"^127.0.0.1:\d+$", ":0", word) for word in shlex.split(serve)[2:]]
    ran = []
    with serving(*options, "--idle-timeout", "0.5", folder=tmp_path) as (process, addresses):

        def run(command: str) -> str:
            for port, door in ((9000, "udp"), (9100, "metrics")):
                command = command.replace(f"127.0.0.1:{port}", addresses[door])
            command = command.replace(".venv/bin/strep", f"{sys.executable} -m media.cli")
            done = subprocess.run(
                ["bash", "-o", "pipefail", "-c", command],
                cwd=tmp_path,
                env=ENVIRONMENT | {"PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        run(simulate)
        wait_until(lambda: (tmp_path / "calls.jsonl").read_bytes().count(b"\n") == 2)
        for command in others:
            programs = {words[0] for part in command.split("|") if (words := shlex.split(part))}
            if all(which(program) or program.startswith(".venv") for program in programs):
                ran.append((command, run(command)))
        process.terminate()
        process.communicate(timeout=PATIENCE_S)
    assert len(lines(tmp_path / "calls.jsonl")) == 2
    assert any("2 call records are in the database" in said for _, said in ran)
    [query] = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    for name in ("calls.db", "again.db"):
        [[_, calls, minutes, loss]] = sqlite3.connect(tmp_path / name).execute(query).fetchall()
        assert calls == 2
        assert minutes > 0
        assert 0 < loss < 50


def test_what_it_names_is_there() -> None:
    flags = {option.flag for option in OPTIONS} | {option.variable for option in OPTIONS}
    own = {"--database", "--calls", "--seconds", "--loss"}
    assert set(re.findall(r"(?<![A-Z_])(?:--[a-z][a-z-]+|STREP_[A-Z_]+)", PAGE)) <= flags | own
    assert set(re.findall(r"strep_(?!calls`)\w+", PAGE)) - {"strep_calls"} <= exposed_names()
    assert {"cdr_late", "cdr_lost"} <= {rule.name for rule in RULES}
    assert f"{outbox.MAX_WAITING:,} records" in PAGE
    assert (outbox.FIRST_BACK_OFF_NS, outbox.LONGEST_BACK_OFF_NS) == (NS_PER_SECOND, 60 * NS_PER_SECOND)
    schema = json.loads((ROOT / "media" / "cdr" / "cdr.schema.json").read_bytes())
    assert "digits" in schema["properties"]


@pytest.mark.realtime
def test_it_starts_without_a_collector(tmp_path: Path) -> None:
    pytest.importorskip("opentelemetry.sdk")
    [command] = [command for command in COMMANDS if "--otlp" in command]
    options = [re.sub(r"^127.0.0.1:\d+$", ":0", word) for word in shlex.split(command)[2:]]
    with serving(*options, folder=tmp_path) as (process, _):
        process.terminate()
        process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0
