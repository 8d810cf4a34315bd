"""What docs/listening.md says of recording during the call is so: its program runs, its table is the code's."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from media.sinks.takes.options import TakeOptions
from tests.media.harness import pcm_channels
from tests.media.serving import ENVIRONMENT, serving
from tests.patience import PATIENCE_S

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "listening.md").read_text(encoding="utf-8").partition("\n## Recording during the call\n")[2]
PART = PAGE.partition("\n## ")[0]
PORT = "127.0.0.1:9001"
RATE = 8000


def noise(seconds: float, loudness: float = 5000) -> np.ndarray[Any, Any]:
    return np.random.default_rng(3).normal(0, loudness, round(seconds * RATE)).clip(-30_000, 30_000).astype(np.int16)


def document(path: Path) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(path.read_bytes())
    return said


@pytest.mark.realtime
def test_the_program_runs_and_the_number_is_nowhere(tmp_path: Path) -> None:
    (tmp_path / "media").symlink_to(ROOT / "media")
    [program] = re.findall(r"```python\n(.*?)```", PART, re.DOTALL)
    (tmp_path / "order.py").write_text(program.replace("# number is", "print(number, file=open('charged', 'w'))  #"))
    soundfile.write(tmp_path / "question.wav", noise(0.5), RATE)
    soundfile.write(tmp_path / "answer.wav", noise(1.5), RATE)
    [commands] = re.findall(r"```console\n(.*?)```", PART, re.DOTALL)
    server, caller = (shlex.split(line)[3:] for line in commands.splitlines())
    server = [word.replace(PORT, "127.0.0.1:0") for word in server]
    with serving(*server, folder=tmp_path) as (process, addresses):
        said = [word.replace(PORT, addresses["ws"]) for word in caller]
        command = [sys.executable, "-m", "media.cli", "simulate", *said]
        subprocess.run(command, check=True, env=ENVIRONMENT, capture_output=True, timeout=PATIENCE_S, cwd=tmp_path)
        process.terminate()
        _, log = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, log
    assert (tmp_path / "charged").read_text().strip() == "4111"

    [answer] = (tmp_path / "recordings").glob("*.answer.json")
    call_id = answer.name.removesuffix(".answer.json")
    whole = document(answer.with_name(f"{call_id}.json"))
    take = document(answer)
    assert (take["state"], take["channels"], take["take"]["ended_by"]) == ("complete", 1, "silence")
    heard, call = pcm_channels(answer.with_suffix(".wav")), pcm_channels(answer.with_name(f"{call_id}.wav"))
    start = take["take"]["start_samples"]
    assert np.array_equal(heard[:, 0], call[start : start + len(heard), 0]), "it lies before what was omitted"
    assert np.abs(heard).max() > 5000

    [gone] = whole["omitted"]
    assert len(call) == whole["length_samples"]
    ends = [track["start_samples"] + track["length_samples"] for track in whole["tracks"]]
    assert len(call) == max(ends) - gone["length_samples"]
    paused = [span for track in whole["tracks"] for span in track["ledger"] if span["kind"] == "paused"]
    assert paused == [gone | {"kind": "paused"}] * len(whole["tracks"])

    events = [json.loads(line) for line in answer.with_name(f"{call_id}.events.jsonl").read_text().splitlines()]
    assert [event["digit"] for event in events if event["event"] == "dtmf"] == ["?"] * 5
    names = [event["event"] for event in events if event["event"].startswith("recording_")]
    assert names == [
        "recording_started",
        "recording_saved",
        "recording_paused",
        "recording_resumed",
        "recording_saved",
    ]
    assert [event["digit"] for event in whole["events"] if event["event"] == "dtmf"] == ["?"] * 5
    everything = b"".join(path.read_bytes() for path in (tmp_path / "recordings").glob("*.json*")) + log.encode()
    assert not re.search(rb'"digit": ?"[0-9#]"', everything)


def test_options_of_a_take() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", PART, re.MULTILINE)
    assert rows == [field.name for field in fields(TakeOptions)]
