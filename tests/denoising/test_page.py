"""What docs/listening.md says of noise suppression is so: its application runs behind its command."""

from __future__ import annotations

import json
import math
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from media.denoising.gains import FLOOR, LEAST_MS, START_MS, TONE_HOLD_MS
from tests.media.serving import ENVIRONMENT, serving
from tests.patience import PATIENCE_S

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "listening.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("\n## Noise\n")[2].partition("\n## ")[0]


@pytest.mark.realtime
def test_the_application_and_its_command(tmp_path: Path) -> None:
    [program] = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
    [command] = re.findall(r"```console\n\$ .venv/bin/strep serve (.*?)\n```", SECTION, re.DOTALL)
    (tmp_path / "media").symlink_to(ROOT / "media")
    (tmp_path / "quiet.py").write_text(program)
    with serving(*shlex.split(command.replace(":9001", ":0")), folder=tmp_path) as (process, addresses):
        caller = [sys.executable, "-m", "media.cli", "simulate", "--ws", f"ws://{addresses['ws']}/?playback=rtp"]
        subprocess.run(
            [*caller, "--seconds", "3"], check=True, env=ENVIRONMENT, capture_output=True, timeout=PATIENCE_S
        )
        process.terminate()
        said = process.communicate(timeout=PATIENCE_S)[0]
    call_id = re.search(r"^(\S+): \d+$", said, re.MULTILINE)
    assert call_id, said
    [path] = tmp_path.glob("recordings/*.events.jsonl")
    events = [json.loads(line) for line in path.read_text().splitlines()]
    told = [event for event in events if event["event"] == "noise_suppression"]
    assert {(event["sink"], event["track"], event["state"]) for event in told} >= {
        ("hearing", "inbound", "started"),
        ("applications", "inbound", "started"),
    }


def test_its_figures_are_those_of_the_code() -> None:
    assert f"up to {-20 * math.log10(FLOOR):.0f} dB" in SECTION
    assert f"first {START_MS / 1000:g} s" in SECTION
    assert f"{LEAST_MS / 1000:g} to {2 * LEAST_MS / 1000:g} s" in SECTION
    assert TONE_HOLD_MS == 5000
    assert "more than five seconds" in SECTION
