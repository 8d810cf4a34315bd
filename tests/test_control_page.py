"""What docs/control.md says is so: its table is made from the types, and its commands run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from shutil import which

import msgspec
import pytest

from media.control.commands import Command
from media.control.table import ACTIONS, Action
from tests.control.acting import wav
from tests.media.serving import ENVIRONMENT, serving
from tests.patience import PATIENCE_S

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "control.md").read_text(encoding="utf-8")
BOTH = {part.name for part in msgspec.structs.fields(Command)}


def parameters(action: Action) -> str:
    """Return the names of what a body has, and the defaults."""
    shown = []
    for part in msgspec.structs.fields(action.command):
        if part.name in BOTH:
            continue
        if part.required:
            shown.append(f"**`{part.name}`**")
        elif part.default in (None, msgspec.UNSET, msgspec.NODEFAULT, "", ()):
            shown.append(f"`{part.name}`")
        else:
            shown.append(f"`{part.name}`={json.dumps(part.default)}")
    return ", ".join(shown)


def action_lines() -> list[str]:
    lines = ["| action | what | parameters | events |", "|---|---|---|---|"]
    for name, action in ACTIONS.items():
        events = ", ".join(f"`{event}`" for event in action.events)
        lines.append(f"| `{name}` | {action.summary} | {parameters(action)} | {events} |")
    return [re.sub(" +\\|", " |", line) for line in lines]


def test_the_table_is_that_of_the_code() -> None:
    """On failure: what the page should have between its two comments."""
    [made] = re.findall(r"<!-- made from the code[^>]*-->\n(.*?)<!-- end -->", PAGE, re.DOTALL)
    assert made == "\n".join(action_lines()) + "\n"


def test_every_code_is_listed() -> None:
    sources = [*(ROOT / "media" / "control").glob("*.py"), ROOT / "media/http/actions.py"]
    raised = set[str]()
    for source in sources:
        raised |= set(re.findall(r'(?:ActionError|ApiError)\([\w. ]+, "(\w+)"', source.read_text(encoding="utf-8")))
    assert raised
    assert not [code for code in raised if f"`{code}`" not in PAGE]


def commands() -> list[str]:
    [serve, talk] = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    return [line.removeprefix("$ ") for line in (serve + talk).splitlines() if line.startswith("$ ")]


@pytest.mark.peer
@pytest.mark.realtime
@pytest.mark.skipif(which("curl") is None or which("jq") is None, reason="no curl or jq here")
def test_its_commands_run(tmp_path: Path) -> None:
    serve, simulate, *talk = commands()
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "hello.wav").write_bytes(wav(8000))
    options = serve.replace("9001", "0").replace("9080", "0").split()[2:]
    with serving(*options, folder=tmp_path) as (_, addresses):

        def run(script: str) -> str:
            script = script.replace("127.0.0.1:9080", addresses["http"])
            shell = ["bash", "-euc", script]
            return subprocess.run(shell, check=True, capture_output=True, text=True, timeout=PATIENCE_S).stdout

        caller = simulate.replace("127.0.0.1:9001", addresses["ws"]).split()[1:]
        with subprocess.Popen([sys.executable, "-m", "media.cli", *caller], env=ENVIRONMENT) as carrier:
            try:
                while json.loads(run("curl -s http://127.0.0.1:9080/v1/calls"))["total"] == 0:
                    pass
                said = [json.loads(line) for line in run("\necho\n".join(talk)).splitlines() if line]
            finally:
                carrier.kill()
    assert [one["data"]["result"] for one in said if "data" in one] == ["ok"] * (len(talk) - 2)
    assert os.listdir(tmp_path / "recordings")
