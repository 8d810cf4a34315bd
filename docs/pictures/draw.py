"""Draws the pictures of docs/timeline.md from runs of the server's own parts: ``make pictures``, which has those of
docs/terminal.md taken as well."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from docs.pictures import scenes, terminal
from docs.pictures.run import SAMPLES_PER_MS, Run, play
from media.pictures import COLOURS, FAINT, INK, WAVES

HERE = Path(__file__).resolve().parent
_RECEIVED = WAVES[0]
_LOST = COLOURS["lost"]


def places() -> Figure:
    """Arrivals above, the tape below, and where each packet goes."""
    packets = scenes.places()
    run, first = play(packets), packets[0]
    figure, axes = _panel(2.5)
    for packet in packets:
        place = (packet.timestamp - first.timestamp) / SAMPLES_PER_MS
        is_twice = packet is packets[-1]
        is_odd = packet is packets[4]
        colour = FAINT if is_twice else COLOURS["late-patched"] if is_odd else _RECEIVED
        middle = place + packet.length_ms / 2
        axes.plot([packet.arrival_ms, middle], [2, 1], color=colour, lw=1, ls=":" if is_twice else "-", zorder=2)
        axes.plot(packet.arrival_ms, 2, "o", color=colour, ms=5, zorder=3)
        if not is_twice:
            _box(axes, place, packet.length_ms, 0.72, 0.28, colour)
            axes.text(middle, 0.86, str(packet.number), ha="center", va="center", fontsize=7, color="white")
    _note(axes, packets[4].arrival_ms, 2.16, f"{packets[4].number}: overtaken")
    _note(axes, packets[-1].arrival_ms, 2.16, f"{packets[-1].number} again: a duplicate")
    _strip(axes, run, 0, 0.52, 0.1)
    _sides(axes, {2.0: "arrival", 0.86: "tape", 0.57: "ledger"})
    axes.set_xlabel("ms", color=INK, fontsize=9)
    axes.set_ylim(0.4, 2.4)
    return figure


def waiting() -> Figure:
    """How far the tape is settled while packets come, and which blocks sinks get when."""
    packets = scenes.waiting()
    run, first = play(packets), packets[0]
    figure, axes = _panel(3.8)
    for packet in packets:
        place = (packet.timestamp - first.timestamp) / SAMPLES_PER_MS
        is_late = packet.number == first.number + 12
        axes.plot(
            packet.arrival_ms,
            place + packet.length_ms,
            "o",
            color=COLOURS["late-patched"] if is_late else _RECEIVED,
            ms=4,
        )
    times, settled = zip(*run.resolved, strict=True)
    axes.step(times, settled, where="post", color=INK, lw=1.4, label="settled up to here")
    for block in run.blocks:
        if not block.late and block.now_ms < 580:
            axes.plot([block.now_ms, block.now_ms], [block.begin_ms, block.end_ms], color=WAVES[1], lw=3, alpha=0.7)
            axes.annotate("block", (block.now_ms, block.begin_ms), (3, 2), textcoords="offset points", fontsize=7)
    for late in (block for block in run.blocks if block.late):
        axes.annotate(
            "patch",
            (late.now_ms, late.end_ms),
            (12, -14),
            textcoords="offset points",
            fontsize=8,
            color=INK,
            arrowprops={"arrowstyle": "->", "color": FAINT},
        )
    spans = _spans(run, 0)
    for begin, length, kind in spans:
        axes.axhspan(begin, begin + length, color=COLOURS[kind], alpha=0.25, lw=0)
        axes.text(4, begin + length / 2, kind, va="center", fontsize=8, color=INK)
    axes.set_xlim(0, 580)
    axes.set_xlabel("ms since the first packet was sent", color=INK, fontsize=9)
    axes.set_ylabel("place on the tape, ms", color=INK, fontsize=9)
    axes.legend(loc="lower right", frameon=False, fontsize=8)
    return figure


def silence() -> Figure:
    """Numbers that go on over a jump in time, and a jump in the numbers."""
    packets = scenes.silence()
    run, first = play(packets), packets[0]
    figure, axes = _panel(1.7)
    for packet in packets:
        place = (packet.timestamp - first.timestamp) / SAMPLES_PER_MS
        _box(axes, place, packet.length_ms, 0.72, 0.3, _RECEIVED)
        axes.text(
            place + packet.length_ms / 2,
            0.87,
            str(packet.number),
            ha="center",
            va="center",
            fontsize=7,
            color="white",
        )
    _strip(axes, run, 0, 0.5, 0.12)
    for begin, length, kind in _spans(run, 0):
        axes.text(begin + length / 2, 0.42, kind, ha="center", va="top", fontsize=8, color=INK)
    _sides(axes, {0.87: "tape", 0.56: "ledger"})
    axes.set_ylim(0.2, 1.1)
    axes.set_xlabel("ms", color=INK, fontsize=9)
    return figure


def epochs() -> Figure:
    """Timestamps as they came, and where the audio lies."""
    packets = scenes.epochs()
    run, first = play(packets), packets[0]
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    FigureCanvasSVG(figure)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    for axes in (top, bottom):
        _plain(axes)
    arrivals = [packet.arrival_ms - first.arrival_ms for packet in packets]
    top.plot(arrivals, [packet.timestamp / 1e9 for packet in packets], "o", ms=3, color=_RECEIVED)
    top.set_ylabel("RTP timestamp, 10⁹", fontsize=9, color=INK)
    for block in run.blocks:
        _box(bottom, block.begin_ms, block.end_ms - block.begin_ms, 0.6, 0.3, _RECEIVED)
    _strip(bottom, run, 0, 0.35, 0.12)
    _sides(bottom, {0.75: "blocks", 0.41: "ledger"})
    for begin, length, kind in _spans(run, 0):
        bottom.text(begin + length / 2, 0.3, f"{kind}, {length:.0f} ms", ha="center", va="top", fontsize=8, color=INK)
    bottom.set_ylim(0.05, 1.05)
    bottom.set_xlabel("ms; above by arrival, below on the tape", fontsize=9, color=INK)
    return figure


def call() -> Figure:
    """Both tracks of a call on one origin, as the ledger has them."""
    run = play(scenes.call())
    figure, axes = _panel(1.9)
    assert run.report is not None
    for track in run.report.tracks:
        bottom = 1.0 - track.direction * 0.6
        start, length = track.start_samples / SAMPLES_PER_MS / 1000, track.length_samples / SAMPLES_PER_MS / 1000
        _box(axes, start, length, bottom, 0.36, WAVES[track.direction])
        _strip(axes, run, int(track.direction), bottom, 0.36, scale=1000)
    _sides(axes, {1.18: "inbound", 0.58: "outbound"})
    axes.set_ylim(0.3, 1.5)
    axes.set_xlabel("s since the call's origin", fontsize=9, color=INK)
    kinds = dict.fromkeys(kind for track in run.report.tracks for _, _, kind in track.ledger)
    patches = [Patch(color=COLOURS[kind], label=kind) for kind in kinds]
    axes.legend(handles=patches, loc="upper center", bbox_to_anchor=(0.5, 1.22), ncols=6, frameon=False, fontsize=8)
    return figure


def skew() -> Figure:
    """How far the places of two tracks run away from our clock, and from each other."""
    run = play(scenes.skew(), beat_ms=1000)
    figure, axes = _panel(2.4)
    for name, course, colour in zip(
        ("inbound, 200 ppm fast", "outbound, 200 ppm slow"), run.lags, WAVES, strict=True
    ):
        start = course[0][1]
        minutes = [time_ms / 60_000 for time_ms, _ in course]
        axes.plot(minutes, [start - lag for _, lag in course], color=colour, lw=1.2, label=name)
    axes.axhline(0, color=FAINT, lw=0.8)
    axes.set_xlabel("minutes", fontsize=9, color=INK)
    axes.set_ylabel("ms ahead of our clock", fontsize=9, color=INK)
    axes.legend(frameon=False, fontsize=8)
    return figure


PICTURES: dict[str, Callable[[], Figure]] = {
    "places": places,
    "waiting": waiting,
    "silence": silence,
    "epochs": epochs,
    "call": call,
    "skew": skew,
}


def draw(name: str, folder: Path) -> Path:
    """Draw one picture into a folder, as SVG; the same bytes each time."""
    path = folder / f"{name}.svg"
    with mpl.rc_context({"svg.hashsalt": "strep", "svg.fonttype": "none", "font.family": "sans-serif"}):
        PICTURES[name]().savefig(path, format="svg", metadata={"Date": None})
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(line.rstrip() for line in lines) + "\n", encoding="utf-8")
    return path


def _panel(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(9, height), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots()
    _plain(axes)
    return figure, axes


def _plain(axes: Axes) -> None:
    axes.tick_params(labelsize=8, colors=FAINT, labelcolor=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#c9ced6")


def _box(axes: Axes, begin: float, length: float, bottom: float, height: float, colour: str) -> None:
    axes.broken_barh(
        [(begin, length)], (bottom, height), facecolors=colour, edgecolors="white", linewidth=1, zorder=3
    )


def _note(axes: Axes, x: float, y: float, text: str) -> None:
    axes.text(x, y, text, ha="center", va="bottom", fontsize=8, color=INK)


def _sides(axes: Axes, names: dict[float, str]) -> None:
    axes.set_yticks(list(names), list(names.values()))
    axes.tick_params(axis="y", length=0)


def _spans(run: Run, channel: int) -> list[tuple[float, float, str]]:
    """Return begin and length in ms, and the kind, of a track's ledger."""
    assert run.report is not None
    ledger: Any = run.report.tracks[channel].ledger
    return [(begin / SAMPLES_PER_MS, length / SAMPLES_PER_MS, kind) for begin, length, kind in ledger]


def _strip(axes: Axes, run: Run, channel: int, bottom: float, height: float, scale: float = 1) -> None:
    """Draw what the ledger says of a track over a strip of what was received."""
    assert run.report is not None
    track = run.report.tracks[channel]
    whole = track.start_samples / SAMPLES_PER_MS / scale, track.length_samples / SAMPLES_PER_MS / scale
    if scale == 1:
        axes.broken_barh([whole], (bottom, height), facecolors="#dfe7ee", zorder=2)
    for begin, length, kind in _spans(run, channel):
        axes.broken_barh(
            [(begin / scale, max(length / scale, whole[1] / 400))],
            (bottom, height),
            facecolors=COLOURS[kind],
            zorder=4,
        )


def main(folder: Path = HERE) -> None:
    """Draw all of them, and take those of the terminal."""
    for name in PICTURES:
        draw(name, folder)
    terminal.main(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
