"""The charts of a report as one picture, a panel each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.report import Bars, Chart, Lines, Report, Spread

_OURS, _OTHERS, _EDGE = "#1f6f8b", "#b0b7bd", "#555555"
_GREYS = ("#7d878e", "#b0b7bd", "#4b5358", "#cfd4d8")


def draw(report: Report, path: Path) -> None:
    """Write a PNG; a report without charts leaves nothing."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not report.charts:
        return
    heights = [_height(chart) for chart in report.charts]
    figure = Figure(figsize=(7.6, sum(heights)), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    for panel, chart in zip(panels, report.charts, strict=True):
        if isinstance(chart, Bars):
            _bars(panel, chart)
        else:
            _lines(panel, chart)
        panel.set_title(chart.title, fontsize=9, loc="left")
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def _height(chart: Chart) -> float:
    return 0.7 + 0.23 * len(chart.bars) if isinstance(chart, Bars) else 2.8


def _bars(panel: Any, chart: Bars) -> None:
    values = [bar.value for bar in chart.bars]
    bars = panel.barh(
        [bar.label for bar in chart.bars],
        [value.median for value in values],
        xerr=_whiskers(values),
        color=[_OURS if bar.ours else _OTHERS for bar in chart.bars],
        ecolor=_EDGE,
    )
    panel.bar_label(bars, [f"{value.median:,.3g}" for value in values], padding=6, fontsize=8)
    panel.invert_yaxis()
    panel.set_xlabel(f"{chart.unit} (median; whiskers: lowest and highest run)", fontsize=8)


def _lines(panel: Any, chart: Lines) -> None:
    greys = iter(_GREYS * len(chart.lines))
    for line in chart.lines:
        colour = _OURS if line.ours else next(greys)
        middle = [value.median for value in line.y]
        if chart.is_course:
            panel.plot(line.x, middle, color=colour, label=line.label)
            low, high = ([getattr(value, name) for value in line.y] for name in ("low", "high"))
            panel.fill_between(line.x, low, high, color=colour, alpha=0.25, lw=0)
            continue
        panel.errorbar(line.x, middle, yerr=_whiskers(line.y), color=colour, marker="o", ms=4, label=line.label)
        for x, value in zip(line.x, middle, strict=True):
            panel.annotate(f"{value:,.3g}", (x, value), (0, 6), textcoords="offset points", fontsize=7, ha="center")
    if chart.bound is not None:
        panel.axhline(chart.bound, color=_EDGE, lw=0.8, ls="--")
    if chart.log:
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.yaxis.set_major_formatter("{x:,g}")
    else:
        panel.set_ylim(bottom=0)
    if not chart.is_course:
        ticks = sorted({x for line in chart.lines for x in line.x})
        panel.set_xticks(ticks, [f"{tick:,g}" for tick in ticks], minor=False)
        panel.set_xticks([], minor=True)
    panel.set_xlabel(chart.x_label, fontsize=8)
    panel.set_ylabel(chart.unit, fontsize=8)
    panel.legend(fontsize=8, frameon=False)


def _whiskers(values: list[Spread]) -> list[list[float]]:
    return [[value.median - value.low for value in values], [value.high - value.median for value in values]]
