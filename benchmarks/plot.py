"""The figures as a picture: CPU time per packet, a panel per load."""

from __future__ import annotations

from pathlib import Path

from benchmarks.contenders import CONTENDERS, RECORDING
from benchmarks.results import Results, Row
from benchmarks.table import heading

_OURS, _OTHERS = "#1f6f8b", "#b0b7bd"


def draw(results: Results, path: Path) -> None:
    """Write a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    loads = results.settings.legs
    figure = Figure(figsize=(7.6, 2.3 * len(loads)), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(loads), 1, sharex=True, squeeze=False)[:, 0]
    for panel, legs in zip(panels, loads, strict=True):
        rows = [row for row in results.rows if row.legs == legs]
        medians = [row.cpu_ns.median / 1000 for row in rows]
        spread = [
            [(row.cpu_ns.median - row.cpu_ns.low) / 1000 for row in rows],
            [(row.cpu_ns.high - row.cpu_ns.median) / 1000 for row in rows],
        ]
        colours = [_OURS if row.contender in RECORDING else _OTHERS for row in rows]
        bars = panel.barh([_label(row) for row in rows], medians, xerr=spread, color=colours, ecolor="#555555")
        panel.bar_label(bars, [f"{value:.1f}" for value in medians], padding=6, fontsize=8)
        panel.invert_yaxis()
        panel.set_title(heading(legs), fontsize=9, loc="left")
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    panels[-1].set_xlabel("CPU time per received packet, µs (median; whiskers: lowest and highest run)", fontsize=8)
    figure.savefig(path)


def _label(row: Row) -> str:
    share = row.received_share.median
    label = CONTENDERS[row.contender].label
    return label if row.received_share.low == 1 else f"{label} (received {share:.0%})"
