"""A capture's summary for people: a table of tracks, the totals of everything else, and the gaps one by one."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from media.captures.inspect import OTHER_UDP
from media.captures.layers import Skip
from media.captures.summary import CaptureSummary, GapFigures, TrackSummary, codec_text
from strep.reject import Reject

PLAIN_WIDTH = 240
"""Columns where the output is no terminal: nothing is cut off."""
_GAP_COLUMNS = ("lost", "silence", "restart")


def console() -> Console:
    """Return a console for standard output, wide enough for the table if that is no terminal."""
    terminal = Console(highlight=False)
    return terminal if terminal.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)


def show(summary: CaptureSummary, out: Console, *, gaps: bool = False) -> None:
    """Print `summary` to `out`, with every gap if `gaps`."""
    out.print(
        f"{summary.file}: {summary.frames:,} frames, {summary.datagrams:,} UDP datagrams, "
        f"{summary.duration_ms / 1000:.3f} s from {summary.start or 'never'}",
        markup=False,
    )
    if summary.tracks:
        out.print(track_table(summary.tracks))
    else:
        out.print("No call audio was found. Name its port (--udp, --rtp), or look for all payload types (--all).")
    _show_totals(summary, out)
    if gaps:
        _show_gaps(summary, out)
    if summary.conservation_errors:
        out.print(f"[red]{summary.conservation_errors} tracks whose packets do not add up: please report this[/red]")


def track_table(tracks: list[TrackSummary]) -> Table:
    """Return the table of tracks."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("track", overflow="fold")
    table.add_column("payload", overflow="fold")
    table.add_column("start s", justify="right")
    table.add_column("duration s", justify="right")
    for name in ("packets", "lost", "dup", "reord", "late"):
        table.add_column(name, justify="right")
    table.add_column("jitter ms\nmean max", justify="right")
    table.add_column("epochs", justify="right")
    for kind in _GAP_COLUMNS:
        table.add_column(f"{kind}\nn, total, longest ms", justify="right")
    for track in tracks:
        table.add_row(*_row(track))
    return table


def _row(track: TrackSummary) -> list[Text | str]:
    lost = Text(f"{track.lost} ({track.lost_percent:.1f} %)", style="red" if track.gaps["lost"].count else "")
    return [
        Text(_name(track)),
        Text(codec_text(track)),
        f"{track.start_ms / 1000:.3f}",
        f"{track.duration_ms / 1000:.3f}",
        str(track.packets),
        lost,
        str(track.duplicates),
        str(track.reordered),
        str(track.late),
        f"{track.jitter_mean_ms:.3f} {track.jitter_max_ms:.3f}",
        str(track.epochs),
        *(_gap_text(track.gaps[kind]) for kind in _GAP_COLUMNS),
    ]


def _name(track: TrackSummary) -> str:
    if track.protocol == "strep":
        return f"{track.call_leg_id} {track.leg} {track.direction}"
    return f"{track.source} > {track.destination} {track.ssrc}"


def _gap_text(figures: GapFigures) -> str:
    if not figures.total_ms:
        return "-"
    return f"{figures.count}, {figures.total_ms:g}, {figures.longest_ms:g}"


def _show_totals(summary: CaptureSummary, out: Console) -> None:
    if not summary.rejected and not summary.skipped:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("no call audio")
    table.add_column("count", justify="right")
    for reason, count in summary.rejected.items():
        text = "other UDP: neither STREP nor RTP" if reason == OTHER_UDP else Reject[reason].text
        table.add_row(Text(text), f"{count:,}")
    for reason, count in summary.skipped.items():
        table.add_row(Text(f"frame: {Skip[reason].value}"), f"{count:,}")
    out.print(table)


def _show_gaps(summary: CaptureSummary, out: Console) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("time", "after s", "ms", "gap", "track"):
        table.add_column(name, justify="right" if name in ("after s", "ms") else "left")
    for track in summary.tracks:
        for gap in track.ledger:
            after = f"{gap.start_ms / 1000:.3f}"
            table.add_row(gap.time, after, f"{gap.duration_ms:g}", gap.kind, Text(_name(track)))
    out.print(table if table.row_count else "No gaps.")
