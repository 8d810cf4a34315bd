"""docs/troubleshooting.md names log lines, metrics, alarms, options, checks that there are; README has every page."""

from __future__ import annotations

import re
from pathlib import Path

import click

from media.admission.capacity import SPARE_DESCRIPTORS
from media.alarms.rules import RULES
from media.cli import strep
from media.config import ServerConfig
from media.doctor import demand
from media.doctor.checks import CHECKS
from media.handover import room
from media.options import BY_NAME
from strep.reject import Reject

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
OTHERS_OPTIONS = {"gaps", "to"}
"""Of `strep inspect` and `strep replay`."""


def source() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "media").rglob("*.py"))


def test_options_exist() -> None:
    named = {flag.replace("-", "_") for flag in re.findall(r"--([a-z][a-z0-9-]+)", PAGE)}
    assert named - OTHERS_OPTIONS <= BY_NAME.keys()
    assert set(re.findall(r"\bstrep ([a-z]+)[ `]", PAGE)) <= {*strep.list_commands(click.Context(strep)), "plays"}


def test_metrics_exist() -> None:
    written = source()
    for name in re.findall(r"\bstrep_[a-z0-9_]+", PAGE):
        assert f'"{name.removesuffix("_total")}' in written, name


def test_alarms_and_checks_exist() -> None:
    alarms = {
        name for names in re.findall(r"alarms? (`\w+`(?:, `\w+`)*)", PAGE) for name in re.findall(r"\w+", names)
    }
    assert len(alarms) > 5
    assert alarms <= {rule.name for rule in RULES}
    checks = {name for text in re.findall(r"`strep doctor`(?:: | \()`(\w+)`", PAGE) for name in [text]}
    assert checks
    assert checks <= {check.name for check in CHECKS}


def test_reasons_exist() -> None:
    named = {
        word
        for row in re.findall(r"^\| ((?:`[A-Z_0-9]+`(?:, )?)+) \|", PAGE, re.MULTILINE)
        for word in row.split(", ")
    }
    assert len(named) > 5
    assert {name.strip("`") for name in named} <= {reason.name for reason in Reject}


def test_log_lines_exist() -> None:
    written = source()
    lines = re.findall(r"log `([^`]+)`", PAGE)
    assert len(lines) > 3
    for line in lines:
        start = re.split(r"[:\d]", line.strip())[0].strip()
        assert start in written, line


def test_every_page_is_in_the_readme_and_every_link_leads_somewhere() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.partition("\n## Documentation\n")[2].partition("\n## ")[0]
    pages = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert pages - set(re.findall(r"\]\((docs/[^)#]+)\)", section)) == set()
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for link in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8")):
            assert "://" in link or (path.parent / link).exists(), f"{path.name}: {link}"


def test_figures_of_capacity_are_those_of_the_code() -> None:
    page = (ROOT / "docs" / "capacity.md").read_text(encoding="utf-8")
    assert f"x {room.PACKET_BYTES} / 2 bytes" in page
    assert f"| {room.PACKETS_PER_CALL} N |" in page
    assert f"{demand.PROCESS_BYTES >> 20} MiB for each process, {demand.CALL_BYTES >> 10} KiB a call" in page
    assert f"and {SPARE_DESCRIPTORS} to spare" in page
    recorded = demand.Demand(ServerConfig(record=ROOT), calls=1)
    assert f"{recorded.recorded_bytes_per_s:,} N bytes a second" in page
