"""What a question is answered with: tables, charts and sentences, the same for all questions.

A question fills a `Report`; printing it, writing it into `README.md`, drawing it and keeping it as JSON is the
business of `benchmarks.show`, `benchmarks.readme`, `benchmarks.plot` and of nobody else.
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import Any

import msgspec

from benchmarks.environment import Environment

Cells = list[list[str]]


class Spread(msgspec.Struct, frozen=True):
    """A figure over the repeats."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Return median, lowest and highest."""
        figures = list(values)
        return cls(median(figures), min(figures), max(figures))

    def text(self, form: str = ",.0f") -> str:
        """Return the median in a format, and the range if there is one: "3 (2-5)"."""
        middle, low, high = (format(value, form) for value in (self.median, self.low, self.high))
        return middle if low == high else f"{middle} ({low}-{high})"


class Table(msgspec.Struct, frozen=True):
    """Figures in rows; units are in the column names.

    Attributes:
        title: one line, may be empty.
        columns: names, may be empty.
        cells: rows of text, as long as `columns`.
        text_columns: so many from the left are words, the rest numbers.
        note: what has to be known to read it.
    """

    title: str
    columns: list[str]
    cells: Cells
    text_columns: int = 1
    note: str = ""


class Bar(msgspec.Struct, frozen=True):
    """A labelled figure; `ours` has the colour."""

    label: str
    value: Spread
    ours: bool = False


class Bars(msgspec.Struct, frozen=True, tag=True):
    """Horizontal bars, one below the other."""

    title: str
    unit: str
    bars: list[Bar]


class Line(msgspec.Struct, frozen=True):
    """A figure that depends on another."""

    label: str
    x: list[float]
    y: list[Spread]
    ours: bool = False


class Lines(msgspec.Struct, frozen=True, tag=True):
    """Curves over one axis, `bound` is a line that should not be crossed."""

    title: str
    x_label: str
    unit: str
    lines: list[Line]
    bound: float | None = None
    log: bool = False
    """Both axes."""
    is_course: bool = False
    """Over time: many points, which nobody reads one by one."""


Chart = Bars | Lines


class Report(msgspec.Struct, frozen=True):
    """The answer to a question, as it is kept in JSON.

    Attributes:
        question: its name.
        environment: machine and programs.
        answers: one sentence each, with figure and unit: what the measurement comes to.
        tables: in order.
        charts: panels of one picture, from top to bottom.
        conditions: name and value of what else is to be known of the measurement.
        figures: everything measured, run by run, for those who want to calculate on.
        runs: how many runs the referee has judged.
        complaints: what it found; a run with any counts in no table.
        settings: what was asked for, option by option; filled in by `benchmarks.command`.
    """

    question: str
    environment: Environment
    answers: list[str]
    tables: list[Table]
    runs: int
    charts: list[Chart] = []
    conditions: Cells = []
    figures: Any = None
    complaints: list[str] = []
    settings: dict[str, Any] = {}

    def to_json(self) -> bytes:
        """Return the inverse of `from_json`."""
        return msgspec.json.format(msgspec.json.encode(_rounded(msgspec.to_builtins(self))), indent=1) + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> Report:
        """Parse what `to_json` wrote."""
        return msgspec.json.decode(data, type=cls)

    def all_conditions(self) -> Cells:
        """Return name and value of everything that is to be known about the measurement."""
        return [*self.environment.rows(), *self.conditions, ["asked for", _asked(self.settings)]]


def _asked(settings: dict[str, Any]) -> str:
    told = [f"{name.replace('_', ' ')} {_plain(value)}" for name, value in settings.items()]
    return ", ".join(text for text in told if len(text) < 40)  # long lists are in the tables


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "/".join(map(_plain, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, 4) if isinstance(value, float) else value
