"""What docs/listening.md says of lost packets is so: its commands run, its figures are those that are kept."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.conceal import REPETITION, SILENCE, TWO_SIDED
from benchmarks.report import Report
from strep.concealment import MOST_MS
from tests.media.serving import ENVIRONMENT, serving
from tests.patience import PATIENCE_S

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "listening.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("\n## Lost packets\n")[2].partition("\n## ")[0]


@pytest.mark.realtime
def test_its_commands(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    [block] = re.findall(r"```console\n(.*?)```", SECTION, re.DOTALL)
    served, called = (line.removeprefix("$ .venv/bin/strep ") for line in block.splitlines())
    arguments = served.replace(":9000", ":0").replace(":9080", ":0").removeprefix("serve ")
    with serving(*shlex.split(arguments), folder=tmp_path) as (process, addresses):
        command = [
            sys.executable,
            "-m",
            "media.cli",
            *shlex.split(called.replace("127.0.0.1:9000", addresses["udp"])),
        ]
        subprocess.run(command, check=True, env=ENVIRONMENT, capture_output=True, timeout=PATIENCE_S)
        process.terminate()
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert len(list(tmp_path.glob("recordings/*.wav"))) == 2
    assert not any("loss_concealed" in path.read_text() for path in tmp_path.glob("recordings/*.json"))


def test_its_figures_are_those_that_are_kept() -> None:
    report = Report.from_json((ROOT / "benchmarks" / "results" / "conceal.json").read_bytes())
    heard = [row for row in report.figures["heard"] if row["burst"] == 1]
    for label, way in (("silence", SILENCE), ("the last packet again", REPETITION), ("`--conceal`", TWO_SIDED)):
        means = [
            np.mean([row["pesq"][way] for row in heard if row["loss_percent"] == percent])
            for percent in (1, 3, 5, 10)
        ]
        assert f"| {label} | {' | '.join(f'{mean:.2f}' for mean in means)} |" in SECTION
    [cost] = re.findall(r"(\d+) us of processor time", SECTION)
    assert f"a lost packet takes {cost} (" in report.answers[-1]
    assert f"within {MOST_MS} ms" in SECTION
