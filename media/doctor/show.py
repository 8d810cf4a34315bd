"""The findings for people, as a table with what to do below it, and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from media.doctor.check import Finding, Level, worst

MARKS = {
    Level.OK: ("ok", "green"),
    Level.UNKNOWN: ("?", "dim"),
    Level.ADVICE: ("advice", "yellow"),
    Level.PROBLEM: ("PROBLEM", "bold red"),
}
_BAD = (Level.PROBLEM, Level.ADVICE)


def as_json(findings: Sequence[Finding], calls: int) -> dict[str, Any]:
    """Return the findings as one JSON object: the worst level, for how many calls, and each."""
    names = ("name", "topic", "subject", "found", "meaning", "remedy")
    each = [{name: getattr(f, name) for name in names} | {"level": f.level.value} for f in findings]
    return {"status": worst(findings).value, "calls": calls, "findings": each}


def show(findings: Sequence[Finding], calls: int, out: Console) -> None:
    """Print what was found, then what is to be done, the worst first."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, style in (("", ""), ("check", ""), ("what there is", "")):
        table.add_column(name, style=style, overflow="fold")
    for topic, group in groupby(findings, key=lambda finding: finding.topic):
        table.add_section()
        table.add_row("", Text(topic, "bold"), "")
        for finding in group:
            mark, style = MARKS[finding.level]
            subject = f"{finding.subject}: " if finding.subject else ""
            table.add_row(Text(mark, style), finding.name, Text(subject + finding.found))
    out.print(table)
    bad = sorted((f for f in findings if f.level in _BAD), key=lambda f: _BAD.index(f.level))
    for finding in bad:
        mark, style = MARKS[finding.level]
        out.print()
        title = f"{finding.name} {finding.subject}".strip()
        out.print(Text.assemble((mark, style), f" {title}: {finding.found}"))
        out.print(Text(f"  {finding.meaning}"))
        out.print(Text(f"  do: {finding.remedy}", "bold"))
    out.print()
    problems = sum(finding.level is Level.PROBLEM for finding in findings)
    out.print(f"{problems} problems and {len(bad) - problems} pieces of advice for {calls:,} calls")
