"""Puts figures into `README.md`: what is between a question's marker lines is written by this file alone."""

from __future__ import annotations

from pathlib import Path

from benchmarks.report import Report, Table


def markers(question: str) -> tuple[str, str]:
    """Return the lines before and after the figures of a question."""
    return (
        f"<!-- begin {question}: written by `strep bench {question} --write-readme` -->",
        f"<!-- end {question} -->",
    )


def update(report: Report, path: Path) -> None:
    """Replace what is between the markers of the report's question.

    Raises:
        ValueError: the file has none.
    """
    text = path.read_text(encoding="utf-8")
    first, last = markers(report.question)
    before, begin, rest = text.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"{path} has no lines {first} and {last}")
    path.write_text(f"{before}{begin}\n\n{section(report)}\n{end}{after}", encoding="utf-8")


def section(report: Report) -> str:
    """Return answers, picture and tables in Markdown."""
    parts = [_bullets(report.answers)]
    if report.charts:
        parts.append(f"![{report.charts[0].title}](results/{report.question}.png)\n")
    for table in [*report.tables, Table("Conditions", [], report.all_conditions(), text_columns=2)]:
        if table.title:
            parts.append(f"### {table.title}\n")
        parts.append(_table(table))
        if table.note:
            parts.append(f"{table.note}\n")
    parts.append(_verdict(report))
    return "\n".join(part for part in parts if part)


def _verdict(report: Report) -> str:
    if not report.complaints:
        return f"The referee checked all {report.runs} runs and had no complaint.\n"
    return "The referee complained; these runs do not count:\n\n" + _bullets(report.complaints)


def _bullets(lines: list[str]) -> str:
    return "".join(f"* {line}\n" for line in lines)


def _table(table: Table) -> str:
    if not table.cells:
        return ""
    width = len(table.cells[0])
    rule = ["---" if number < table.text_columns else "---:" for number in range(width)]
    lines = [table.columns or [""] * width, rule, *table.cells]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
