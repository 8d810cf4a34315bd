"""What the demonstration looks like: a live table on a terminal, plain lines elsewhere, the verdict at the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Console, Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from media.demo.meter import HISTORY
from media.demo.session import View
from media.demo.talk import Answer
from media.demo.verdict import NAMES, Comparison, Verdict

_BARS = " ▁▂▃▄▅▆▇█"
_COUNTERS = {
    "received": "received",
    "never_arrived": "lost",
    "late": "late",
    "duplicate": "twice",
    "reordered": "reordered",
}
"""Counters of `strep.statistics` by the words that the tables use."""
_WAVE_COLOURS = {"inbound": "blue", "outbound": "green", "heard": "magenta"}
_MOST_ROWS = 16
_MOST_LINES = 10
_ROOMY_WIDTH = 100
_COUNTERS_WIDTH, _COUNTERS_ROOMY_WIDTH = 76, 86
"""What the live table takes without the loudness."""
_VERDICT_TITLE = "What the recordings say, and whether it is what the carrier knows\n"
_VERDICT_CAPTION = "\ncorrect: samples of the file that are what was sent, or silence where nothing arrived"
_TALK_TITLE = "What a caller said to the application parrot, and what she heard back\n"


def can_draw(console: Console) -> bool:
    """Whether the terminal knows block characters and check marks."""
    return console.encoding.lower().startswith("utf")


def sparkline(levels: Iterable[float]) -> str:
    """Return loudnesses of 0 to 1 as block characters."""
    return "".join(_BARS[round(level * (len(_BARS) - 1))] for level in levels)


def _table(width: int, *, call_door_track_and: Iterable[str]) -> Table:
    """Return an empty table for tracks that fits 80 characters, and is airy where there are more."""
    padding = (0, 1, 0, 0) if width >= _ROOMY_WIDTH else 0
    table = Table(box=box.SIMPLE_HEAD, padding=padding, header_style="bold", border_style="dim", show_edge=False)
    for name in ("call", "door", "track"):
        table.add_column(name, no_wrap=True, vertical="bottom")
    for name in call_door_track_and:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def live_table(view: View, seconds: float, width: int, *, draws: bool = True) -> Group:
    """Return all tracks as they are now; of many, the first.

    Args:
        view: what to show.
        seconds: length of the calls.
        width: of the terminal, in characters.
        draws: whether it can show block characters.
    """
    waves = min(HISTORY, width - (_COUNTERS_WIDTH if width < _ROOMY_WIDTH else _COUNTERS_ROOMY_WIDTH)) if draws else 0
    table = _table(width, call_door_track_and=("sent", *_COUNTERS.values(), "jitter ms"))
    if waves > 0:
        table.add_column("loudness"[:waves], width=waves, no_wrap=True)
    for track in view.tracks[:_MOST_ROWS]:
        (call_id, direction), statistics = track.party.key, track.statistics
        counters = [_count(statistics.get(name), name) for name in _COUNTERS]
        jitter = f"{statistics['jitter_ms']:.1f}" if "jitter_ms" in statistics else ""
        wave = Text(sparkline(track.levels[-waves:]).rjust(waves), style=_WAVE_COLOURS[direction])
        names = (call_id[:8], track.party.door, direction)
        sent = "" if track.sent is None else f"{track.sent:,}"
        table.add_row(*names, sent, *counters, jitter, *([wave] if waves > 0 else []))
    hidden = len(view.tracks) - _MOST_ROWS
    more = [Text(f"and {hidden} more tracks", style="dim")] if hidden > 0 else []
    return Group(table, *more, Text(), _progress(view.elapsed_s, seconds))


def _count(value: int | None, name: str) -> Text:
    if value is None:
        return Text("")
    style = {"never_arrived": "red", "late": "yellow"}.get(name, "") if value else "dim"
    return Text(f"{value:,}", style=style)


def _progress(elapsed_s: float, seconds: float) -> Table:
    line = Table.grid(padding=(0, 1))
    line.add_row(ProgressBar(seconds, elapsed_s, width=50), f"{elapsed_s:.1f} of {seconds:g} s")
    return line


def plain_line(view: View) -> str:
    """Return one moment as a line of text: counters by door."""
    parts = []
    for door in dict.fromkeys(track.party.door for track in view.tracks):
        tracks = [track for track in view.tracks if track.party.door == door]
        sent = sum(track.sent or 0 for track in tracks)
        counters = ", ".join(
            f"{sum(track.statistics.get(name, 0) for track in tracks):,} {word}" for name, word in _COUNTERS.items()
        )
        parts.append(f"{door}: {sent:,} sent, {counters}")
    return f"{view.elapsed_s:5.1f} s  " + "; ".join(parts)


def verdict_table(verdicts: Sequence[Verdict], width: int, *, draws: bool = True) -> Table:
    """Return what the recordings say beside what the carrier knows."""
    table = _table(width, call_door_track_and=NAMES)
    table.title, table.title_style, table.title_justify = _VERDICT_TITLE, "bold", "left"
    table.caption, table.caption_style, table.caption_justify = _VERDICT_CAPTION, "dim", "left"
    for verdict in verdicts:
        call_id, direction = verdict.party.key
        cells = [_cell(comparison, draws=draws) for comparison in verdict.comparisons]
        table.add_row(call_id[:8], verdict.party.door, direction, *cells)
    return table


def _cell(comparison: Comparison, *, draws: bool) -> Text:
    good, bad = ("✓", "≠") if draws else ("=", "not")
    found = "nothing" if comparison.found is None else f"{comparison.found:,}"
    if comparison.agrees:
        return Text.assemble(found, " ", (good, "green"))
    return Text(f"{found} {bad} {comparison.truth:,}", style="bold red")


def talk_table(answers: Sequence[Answer], width: int, *, draws: bool = True) -> Table:
    """Return what was said, when it was heard back, and how much of it as it was said."""
    padding = (0, 3, 0, 0) if width >= _ROOMY_WIDTH else (0, 1, 0, 0)
    table = Table(box=box.SIMPLE_HEAD, padding=padding, header_style="bold", border_style="dim", show_edge=False)
    table.title, table.title_style, table.title_justify = _TALK_TITLE, "bold", "left"
    table.add_column("said", no_wrap=True)
    for name in ("at s", "heard at s", "same samples", ""):
        table.add_column(name, justify="right", no_wrap=True)
    for answer in answers:
        phrase, heard_at_s = answer.phrase, answer.heard_at_s
        heard = "never" if heard_at_s is None else f"{heard_at_s:.2f}"
        remark = Text("" if phrase.is_answered_whole else "cut off", style="dim")
        table.add_row(phrase.text, f"{phrase.at_s:.2f}", heard, _share(answer, draws=draws), remark)
    return table


def _share(answer: Answer, *, draws: bool) -> Text:
    good, bad = ("✓", "≠") if draws else ("=", "not")
    mark = (good, "green") if answer.is_right else (bad, "bold red")
    return Text.assemble(f"{answer.same:,} of {answer.phrase.samples:,} ", mark)


def misunderstandings(answers: Iterable[Answer]) -> list[str]:
    """Return a line for every phrase that did not come back as it should have."""
    return [
        f"talking back: of {answer.phrase.text!r}, {answer.same:,} of {answer.phrase.samples:,} samples were heard "
        f"back as they were said; it should be {'all' if answer.phrase.is_answered_whole else 'the first of them'}"
        for answer in answers
        if not answer.is_right
    ]


def disagreements(verdicts: Iterable[Verdict], totals: dict[str, Any]) -> list[str]:
    """Return a line for every figure that is not as the carrier knows it, and where to look."""
    lines = [
        f"{' '.join(verdict.party.key)}: {comparison.name.replace(chr(10), ' ')} is "
        f"{'missing' if comparison.found is None else format(comparison.found, ',')}, "
        f"and the carrier says {comparison.truth:,}"
        for verdict in verdicts
        for comparison in verdict.comparisons
        if not comparison.agrees
    ]
    if len(lines) > _MOST_LINES:
        lines[_MOST_LINES:] = [f"and {len(lines) - _MOST_LINES} more figures"]
    if lines and totals.get("kernel_drops"):
        lines.append(f"This machine was too busy: the kernel dropped {totals['kernel_drops']:,} datagrams.")
    return lines
