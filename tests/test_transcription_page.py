"""What docs/listening.md says of transcription is so: its commands, its programs, its table, its figures."""

from __future__ import annotations

import inspect
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest

from media.transcribing.limits import Limits
from media.transcribing.messages import Finish, Give
from media.transcribing.plugins import BUILT_IN, EngineChoice, make_engine
from media.transcribing.recognizers import Recognizers
from tests.media.serving import ENVIRONMENT, serving
from tests.patience import PATIENCE_S
from tests.transcribing.webvtt import read

ROOT = Path(__file__).resolve().parent.parent
PART = (ROOT / "docs" / "listening.md").read_text(encoding="utf-8").partition("\n## Transcription\n")[2]
PART = PART.partition("\n## ")[0]
PORT = "127.0.0.1:9000"
PROGRAM, ENGINE = re.findall(r"```python\n(.*?)```", PART, re.DOTALL)


@pytest.mark.peer
@pytest.mark.realtime
@pytest.mark.skipif(which("flite") is None, reason="flite is not installed: make peers")
def test_the_commands_say_what_the_page_says(tmp_path: Path) -> None:
    pytest.importorskip("pocketsphinx", reason="pip install strep[transcribe]")
    commands, _ = re.findall(r"```console\n(.*?)```", PART, re.DOTALL)
    speak, server, caller = (shlex.split(line)[1:] for line in commands.splitlines())
    subprocess.run(speak, check=True, cwd=tmp_path, timeout=PATIENCE_S)
    arguments = [word.replace(PORT, "127.0.0.1:0") for word in server[2:]]
    with serving(*arguments, folder=tmp_path) as (process, addresses):
        call = [word.replace(PORT, addresses["udp"]) for word in caller[1:]]
        command = [sys.executable, "-m", "media.cli", *call]
        subprocess.run(command, check=True, env=ENVIRONMENT, capture_output=True, timeout=PATIENCE_S, cwd=tmp_path)
        process.terminate()
        _, log = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, log
    [lines] = (tmp_path / "recordings").glob("*.transcript.jsonl")
    head, *said = [json.loads(line) for line in lines.read_text().splitlines()]
    assert head["event"] == "call"
    shown = json.loads(re.findall(r"```json\n(.*?)```", PART, re.DOTALL)[0])
    assert " ".join(one["text"] for one in said).split()[-3:] == shown["text"].split()[-3:]
    assert set(said[0]) == set(shown)
    assert set(said[0]["words"][0]) == set(shown["words"][0])
    [cues] = (tmp_path / "recordings").glob("*.vtt")
    assert [cue.text for cue in read(cues)[0]] == [one["text"] for one in said]


@pytest.mark.realtime
def test_the_command_for_actions_is_one(tmp_path: Path) -> None:
    pytest.importorskip("pocketsphinx", reason="pip install strep[transcribe]")
    _, command = re.findall(r"```console\n(.*?)```", PART, re.DOTALL)
    arguments = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:0", command.strip()).split()[3:]
    with serving(*arguments, folder=tmp_path) as (process, addresses):
        assert addresses.keys() == {"udp", "http"}
        process.terminate()
        process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0


def test_the_table_is_that_of_the_engines() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| ([^|]+) \|", PART, re.MULTILINE)
    assert [name for name, _ in rows] == list(BUILT_IN)
    for name, options in rows:
        module, _, attribute = BUILT_IN[name].partition(":")
        factory: Callable[..., Any] = getattr(import_module(module), attribute)
        known = [
            parameter.name
            for parameter in inspect.signature(factory).parameters.values()
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        ]
        assert set(re.findall(r"`(\w+)`", options)) == set(known)


def test_the_figures_are_those_of_the_limits() -> None:
    limits = Limits()
    assert f"`--transcribe-timeout` ({limits.hang_s:g} s)" in PART
    assert f"`--transcribe-backlog` ({limits.backlog_s:g} s)" in PART
    assert f"waited for, {limits.close_s:g} s at most" in PART
    assert limits.strikes == 3


def test_the_program_is_one() -> None:
    scope: dict[str, Any] = {}
    exec(compile(PROGRAM, "listening.md", "exec"), scope)
    assert inspect.iscoroutinefunction(scope["listen"])


def test_the_engine_of_your_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(ENGINE.splitlines()) <= 30
    (tmp_path / "loudness.py").write_text(ENGINE)
    info = tmp_path / "loudness-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: loudness\nVersion: 1\n")
    [point] = re.findall(r"```toml\n\[project\.entry-points\.\"(.*?)\"\]\n(\w+) = \"(.*?)\"\n```", PART)
    group, name, value = point
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {value}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    engine = make_engine(EngineChoice(name))
    engine.load()
    recognizers = Recognizers(engine)
    heard = []
    for item, loudness in enumerate((200, 20_000)):
        recognizers.obey(Give(2 * item, 1, 8000, np.full(800, loudness, np.int16).tobytes()))
        done = recognizers.obey(Finish(2 * item + 1, 1))
        assert done is not None
        heard += [(r.text, r.words[0].start_samples, r.words[0].end_samples) for r in done.results]
    assert heard == [("quiet", 0, 1600), ("LOUD", 1600, 3200)]
