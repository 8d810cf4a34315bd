"""What docs/terminal.md says is so: its commands run against a server with a call, and all actions are named."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from media.cli import OK, strep
from media.control.commands import MAX_CONTENT_BYTES
from media.terminal.board import NEWEST_CALLS, PAGE_CALLS
from media.terminal.call import call
from media.terminal.client import Door
from media.terminal.completion import SHELLS
from media.terminal.errand import OTHERWISE
from media.terminal.lines import LINE_WIDTH
from media.terminal.reading import DIRECTIONS, level_db_of
from tests.media.serving import ENVIRONMENT, serving
from tests.patience import PATIENCE_S
from tests.terminal.test_show import shown

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = (DOCS / "terminal.md").read_text(encoding="utf-8")
BLOCKS = [
    re.findall(r"^\$ (.*)$", block, re.MULTILINE) for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
]
STREP = (sys.executable, "-m", "media.cli")
_LOOK_S = 0.1
Process = subprocess.Popen[str]
Run = Callable[..., AbstractContextManager[Process]]
DIGITS = "1234" * 90
"""A caller who never ceases to press keys, so that whoever asks gets some."""


@contextmanager
def running(*words: str, **options: Any) -> Iterator[Process]:
    process = subprocess.Popen([*STREP, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Door, Path]]:
    """Yield the door of a server that listens to a call, and the folder where it runs."""
    folder = tmp_path_factory.mktemp("terminal")
    soundfile.write(folder / "greeting.mp3", np.zeros(800), 8000, format="MP3")
    listens = ("--ws", "127.0.0.1:0", "--http", "127.0.0.1:0", "--record", "rec", "--quality", "audio")
    with serving(*listens, folder=folder) as (_, addresses):
        calls = ("simulate", "--ws", f"ws://{addresses['ws']}/telnyx",
                 "--seconds", "300", "--ws-track", "both", "--loss", "10%", "--dtmf", DIGITS)  # fmt: skip
        with running(*calls, env=ENVIRONMENT, cwd=folder):
            door = Door(f"http://{addresses['http']}")
            until(lambda: [one for one in door.calls() if _is_known(one)])
            yield door, folder


def until(condition: Callable[[], object]) -> None:
    for _ in range(round(PATIENCE_S / _LOOK_S)):
        if condition():
            return
        time.sleep(_LOOK_S)
    pytest.fail("it has not come")


def _is_known(document: dict[str, Any]) -> bool:
    """Whether something was lost on both tracks, and their audio heard."""
    tracks = document["tracks"]
    heard = [level_db_of(document, direction) for direction in DIRECTIONS]
    return None not in heard and all(track["never_arrived"] for track in tracks)


@pytest.mark.realtime
class TestBesideAServer:
    """In this order: the last command ends the call."""

    def test_a_call_is_shown_with_the_figures_of_the_server(self, door: tuple[Door, Path]) -> None:
        asked, _ = door
        document = asked.get(f"/v1/calls/{asked.calls()[0]['call_id']}")
        lines = shown(document, 140)
        [head] = [line.split() for line in lines if line.startswith("track")]
        for track in document["tracks"]:
            quality = track["quality"]
            [row] = [line for line in lines if line.startswith(track["direction"])]
            cells = dict(zip(head, re.split(r"  +", row), strict=True))
            assert cells["packets"] == f"{track['received']:,}"
            assert cells["lost"] == f"{quality['lost_packets']:,}" == f"{track['never_arrived']:,}"
            assert cells["loss"] == f"{quality['loss_percent']:.2f} %"
            assert cells["late"] == str(track["late"])
            assert cells["jitter"] == f"{quality['jitter_mean_ms']:.1f} ms"
            assert cells["MOS"] == f"{quality['mos']:.2f}"
            assert cells["dBFS"] == f"{quality['audio']['level_dbfs']:.1f}"
            bursts = quality["bursts"]
            assert cells["bursts"].partition(" ")[0] == str(bursts["count"] or "none")
        assert document["call_id"] in lines[0]
        assert "from +15550000000 to +15550100" in lines[1]
        assert [sink["name"] for sink in document["sinks"] if sink["name"] not in "\n".join(lines)] == []
        assert lines[-1].endswith("lost")

    def test_every_command(self, door: tuple[Door, Path]) -> None:
        """As they stand there, one after the other; those that go on run until the call has ended."""
        asked, folder = door
        run = partial(running, env=ENVIRONMENT | {"STREP_URL": asked.url}, cwd=folder)
        commands = [shlex.split(line)[1:] for line in BLOCKS[0]]
        assert [words[0] for words in commands[:2]] == ["calls", "tail"]
        assert commands[-1][-1] == "hangup"
        with ExitStack() as stack, run(*commands[1]) as tail:
            assert tail.stdout is not None
            tail.stdout.readline()  # the next key
            recording = self.all_but_the_last(commands, run, asked, stack)
            self.done(commands[-1], run)
            saved, _ = recording.communicate(timeout=PATIENCE_S)
            assert recording.returncode == OK
            assert saved.strip().endswith(".mp3")
            lines = iter(tail.stdout.readline, "")
            ended = next(line for line in lines if "call_ended" in line)
            assert len(ended.rstrip()) <= LINE_WIDTH
            assert "MOS" in ended
            tail.send_signal(signal.SIGINT)

    def all_but_the_last(self, commands: list[list[str]], run: Run, asked: Door, stack: ExitStack) -> Process:
        """Run them; return that which records."""
        recording: Process | None = None
        for words in (commands[0], *commands[2:-1]):
            if words[2:4] == ["record", "start"]:
                recording = stack.enter_context(run(*words))
                call_id = asked.calls()[0]["call_id"]
                until(partial(self.is_recorded, asked, call_id, recording))
            elif words[2:3] != ["gather"] or which("espeak-ng"):
                self.done(words, run)
        assert recording is not None
        return recording

    def is_recorded(self, asked: Door, call_id: str, recording: Process) -> bool:
        assert recording.poll() is None, recording.communicate()
        return bool(asked.get(f"/v1/calls/{call_id}")["recordings"])

    def done(self, words: list[str], run: Run) -> None:
        """Run a command to its end."""
        with run(*words) as process:
            output, errors = process.communicate(timeout=PATIENCE_S)
        slow = {OTHERWISE} if "gather" in words else set()  # no key came in time
        assert process.returncode in {OK} | slow, (words, output, errors)


@pytest.mark.skipif(which("sh") is None, reason="no sh here")
@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("text", ["docs/terminal.md", "--help"])
def test_completion_is_installed(shell: str, text: str, tmp_path: Path) -> None:
    """By the very lines, in a home that has nothing; bash then completes."""
    if text == "--help":
        said = CliRunner().invoke(strep, ["completion", "--help"]).output
        lines = re.findall(r"^ +(mkdir -p .*|strep completion \w+ > .*)$", said, re.MULTILINE)
        lines = next(
            [made, line] for made, line in zip(lines[::2], lines[1::2], strict=True) if f" {shell} >" in line
        )
    else:
        [lines] = [block for block in BLOCKS if f"completion {shell} >" in "".join(block)]
    script = "\n".join(lines).replace(".venv/bin/", "")
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "strep"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m media.cli "$@"\n')
    program.chmod(0o755)
    environment = ENVIRONMENT | {"HOME": str(tmp_path), "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(["sh", "-ec", script], env=environment, cwd=DOCS.parent, check=True, timeout=PATIENCE_S)
    [made] = [path for path in tmp_path.rglob("*strep*") if path.is_file() and path != program]
    assert "_STREP_COMPLETE" in made.read_text()
    if shell == "bash":
        loaded = ["bash", "--norc", "-ec", f"source {shlex.quote(str(made))}; complete -p strep"]
        assert "_strep_completion" in subprocess.run(loaded, capture_output=True, text=True, check=True).stdout


def test_actions_bounds_and_pictures() -> None:
    assert all(f"`{name}" in PAGE for name in call.commands)
    assert f"at most {PAGE_CALLS + NEWEST_CALLS} calls a second" in PAGE
    assert f"({MAX_CONTENT_BYTES >> 20} MiB at most)" in PAGE
    assert f"of {LINE_WIDTH} columns" in PAGE
    pictures = re.findall(r"!\[[^\]]+\]\((pictures/[^)]+)\)", PAGE)
    assert len(pictures) == 2
    for picture in pictures:
        text = (DOCS / picture).read_text(encoding="utf-8")
        assert text.startswith("<svg")
        assert "url(http" not in text, "it needs nothing from elsewhere"
