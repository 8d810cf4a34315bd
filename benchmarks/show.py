"""A report on a terminal."""

from __future__ import annotations

import rich.table
from rich.console import Console

from benchmarks.report import Report, Table


def show(report: Report, console: Console) -> None:
    """Print everything."""
    for table in [*report.tables, Table("Conditions", [], report.all_conditions(), text_columns=2)]:
        _print(console, table)
    for complaint in report.complaints:
        console.print(f"REFEREE: {complaint}", style="red", markup=False)
    if not report.complaints:
        console.print(f"referee: {report.runs} runs checked, no complaint")
    for answer in report.answers:
        console.print(answer, style="bold", markup=False)


def _print(console: Console, table: Table) -> None:
    if not table.cells:
        return
    if table.title:
        console.print(table.title, style="bold", markup=False)
    shown = rich.table.Table(box=None)
    shown.pad_edge, shown.show_header = False, any(table.columns)
    for number in range(len(table.cells[0])):
        name = table.columns[number] if table.columns else ""
        shown.add_column(name, justify="left" if number < table.text_columns else "right")
    for line in table.cells:
        shown.add_row(*line)
    console.print(shown)
    if table.note:
        console.print(table.note, markup=False)
    console.print()
