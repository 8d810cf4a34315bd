"""Puts figures into `README.md`: what is between a question's marker lines is written by this file alone."""

from __future__ import annotations

from pathlib import Path

from benchmarks.question import GOALS, QUESTIONS
from benchmarks.report import Report, Table

OVERVIEW = ("<!-- begin overview: written by `strep bench QUESTION --write-readme` -->", "<!-- end overview -->")


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
    _replace(path, markers(report.question), section(report))


def update_overview(path: Path, results: Path) -> None:
    """Replace what is between the markers of the overview by what `results` has.

    Raises:
        ValueError: the file has none.
    """
    _replace(path, OVERVIEW, overview(results))


def _replace(path: Path, lines: tuple[str, str], by: str) -> None:
    text = path.read_text(encoding="utf-8")
    first, last = lines
    before, begin, rest = text.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"{path} has no lines {first} and {last}")
    path.write_text(f"{before}{begin}\n\n{by}\n{end}{after}", encoding="utf-8")


def overview(results: Path) -> str:
    """Return a table of all questions, what is wanted of them and what was answered last, in Markdown.

    Args:
        results: the directory with a JSON file per question that was answered.
    """
    cells = []
    for name, line in QUESTIONS.items():
        path = results / f"{name}.json"
        answer, when = "not kept yet", ""
        if path.exists():
            report = Report.from_json(path.read_bytes())
            answer = "<br>".join(report.answers)
            when = f"{report.environment.date[:10]}, {report.environment.commit}"
        cells.append([f"[`strep bench {name}`](#{name})", line, GOALS.get(name, ""), answer, when])
    return _table(Table("", ["command", "question", "wanted", "answer", "when, commit"], cells, text_columns=5))


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
