"""docs/alarms.md has every alarm as the code has it, and its fields are those that are there."""

from __future__ import annotations

import re
from pathlib import Path

from media.alarms.rules import RULES
from media.serve import _summary
from tests.alarms.test_rules import healthy

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "alarms.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    part = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in part.splitlines() if "|" in line][2:]


def test_the_table_is_the_one_of_the_code() -> None:
    expected = [[f"`{r.name}`", r.severity, r.threshold, f"{r.clear_after} s", r.meaning, r.remedy] for r in RULES]
    assert rows("All of them") == expected


def test_the_last_line_has_these_fields() -> None:
    named = {name for row in rows("Reconciliation") for name in re.findall(r"`(\w+)`", row[0])}
    assert named <= _summary({**healthy(), "doors": {}}).keys()
    assert {"calls", "recordings_finished", "recordings_missing"} <= named
