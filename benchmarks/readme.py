"""Puts figures into `README.md`: everything between two marker lines is written by this file and by nobody else."""

from __future__ import annotations

from pathlib import Path

from benchmarks import table
from benchmarks.results import Results
from benchmarks.table import Cells

BEGIN = "<!-- begin: written by `python -m benchmarks --write-readme` -->"
END = "<!-- end -->"


def update(results: Results, path: Path) -> None:
    """Replace what is between the markers of the file.

    Raises:
        ValueError: it has no markers.
    """
    text = path.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} has no lines {BEGIN} and {END}")
    path.write_text(f"{before}{BEGIN}\n\n{section(results)}\n{END}{after}", encoding="utf-8")


def section(results: Results) -> str:
    """Return tables in Markdown, and the picture."""
    parts = ["![CPU time per packet of each receiver](results/receive.png)\n"]
    for legs in results.settings.legs:
        parts.append(f"### {table.heading(legs)}\n")
        parts.append(_table(table.COLUMNS, table.figures(results, legs), text_columns=1))
        parts.append(_table(("CPU per packet of / over", "times"), table.ratios(results, legs), text_columns=1))
        parts.append(_table(("of which", "thread", "CPU ns/packet"), table.threads(results, legs), text_columns=2))
    parts.append("### Conditions\n")
    parts.append(_table(("", ""), table.machine(results), text_columns=2))
    parts.append(_verdict(results))
    return "\n".join(part for part in parts if part)


def _verdict(results: Results) -> str:
    if not results.complaints:
        return f"The referee checked all {len(results.runs)} runs and had no complaint.\n"
    return "The referee complained; these runs do not count:\n\n" + "".join(f"* {c}\n" for c in results.complaints)


def _table(columns: tuple[str, ...], cells: Cells, text_columns: int) -> str:
    if not cells:
        return ""
    rule = ["---" if number < text_columns else "---:" for number in range(len(columns))]
    lines = [list(columns), rule, *cells]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
