"""The screen of ``strep tail``: a picture of a `Board`, and of nothing else."""

from __future__ import annotations

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from media.terminal.board import Board, CallRow
from media.terminal.lines import ID_WIDTH, event_line
from media.terminal.printable import clock_text, printable, shortened
from media.terminal.styles import loss_style, mos_style, percent_text

QUIET_DB, LOUD_DB = -60.0, 0.0
_BAR_CELLS, _FEW_CELLS = 6, 3
MOST_ALARMS = 3
LEAST_EVENTS, SHARE_OF_EVENTS = 3, 4
"""A fourth of the screen is for events, but so many lines at least."""
_FRAME_LINES = 5
"""Head, the table's head with its line, and a blank line each around the events."""
_ROOMY_WIDTH, _WIDE_WIDTH = 112, 140


def screen(board: Board, place: str, sort: str, size: tuple[int, int], now_s: float, since_s: float) -> Group:
    """Return what is to be seen now.

    Args:
        board: what is known.
        place: of the server, for the head.
        sort: one of `media.terminal.board.SORTS`.
        size: columns and lines of the terminal.
        now_s: time, and when the view began, on one clock.
        since_s: see `now_s`.
    """
    width, height = size
    alarms = _alarms(board, width)
    event_lines = max(LEAST_EVENTS, height // SHARE_OF_EVENTS)
    most = max(height - _FRAME_LINES - event_lines - len(alarms) - 1, 1)
    rows = board.rows(sort, most, now_s)
    table = _table(rows, width)
    hidden = len(board.calls) - len(rows)
    known = f"{hidden:,} more calls" if hidden > 0 else ""
    below = _cut(", ".join(filter(None, (known, f"sorted by {sort}", "Ctrl-C ends"))), width, "dim")
    recent = list(board.recent)[-event_lines:]
    events = [_cut(event_line(event, ID_WIDTH), width) for event in recent]
    return Group(_head(board, place, width, now_s, now_s - since_s), *alarms, table, below, Text(), *events)


def _head(board: Board, place: str, width: int, now_s: float, watched_s: float) -> Text:
    head = Text.assemble(
        ("strep ", "bold"), printable(place), "  ", (f"{board.total:,} calls", "bold"),
        f"  +{board.begun:,} -{board.ended:,}  loss ", (percent_text(board.loss), loss_style(board.loss)),
        f"  {board.events:,} events  watched {clock_text(watched_s)}",
    )  # fmt: skip
    if board.missed:
        head.append(f"  {board.missed:,} events missed", "yellow")
    if board.trouble:
        again_s = max(board.again_s - now_s, 0)
        head = Text(f"no connection: {printable(board.trouble)}; trying again in {again_s:.0f} s", style="bold red")
    elif board.notice:
        head.append(f"  {printable(board.notice)}", "yellow")
    head.truncate(width, overflow="ellipsis")
    return head


def _alarms(board: Board, width: int) -> list[Text]:
    style = {"critical": "bold red", "warning": "yellow"}
    lines = [
        _cut(
            f"{alarm.get('severity', '')}: {alarm.get('name', '')}: {alarm.get('meaning', '')} "
            f"({alarm.get('detail', '')})",
            width,
            style.get(str(alarm.get("severity")), "yellow"),
        )
        for alarm in board.alarms[:MOST_ALARMS]
    ]
    hidden = len(board.alarms) - MOST_ALARMS
    return [*lines, _cut(f"and {hidden} more alarms: GET /v1/alarms", width, "yellow")] if hidden > 0 else lines


def _table(rows: list[CallRow], width: int) -> Table:
    has_level = any(level is not None for row in rows for level in row.level_db.values())
    has_mos = any(row.mos is not None for row in rows)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style="bold", border_style="dim", show_edge=False)
    table.add_column("call", no_wrap=True, width=_id_width(width))
    table.add_column("door", no_wrap=True, width=5)
    is_roomy = width >= _ROOMY_WIDTH
    counts, late = ([("packets", 9), ("lost", 7)], [("late", 5)]) if is_roomy else ([], [])
    for name, least in (("time", 7), *counts, ("loss", 7), *late, ("jitter", 7)):
        table.add_column(name, justify="right", no_wrap=True, min_width=least)
    if has_mos:
        table.add_column("MOS", justify="right", no_wrap=True, width=4)
    if has_level:
        table.add_column("in", no_wrap=True, width=_bar_cells(width))
        table.add_column("out", no_wrap=True, width=_bar_cells(width))
    table.add_column("last event", no_wrap=True, ratio=1, overflow="ellipsis")
    table.expand = True
    for row in rows:
        table.add_row(*_cells(row, width, has_mos=has_mos, has_level=has_level), style="dim" if row.ended_s else "")
    return table


def _cells(row: CallRow, width: int, *, has_mos: bool, has_level: bool) -> list[Text]:
    is_roomy = width >= _ROOMY_WIDTH
    cells = [
        Text(shortened(row.call_id, _id_width(width))),
        Text(shortened(row.door, 5)),
        Text(clock_text(row.length_s)),
        *([Text(f"{row.received:,}"), Text(f"{row.lost:,}", style="" if row.lost else "dim")] if is_roomy else []),
        Text(percent_text(row.loss), style=loss_style(row.loss)),
        *([Text(f"{row.late:,}", style="" if row.late else "dim")] if is_roomy else []),
        Text("" if row.jitter_ms is None else f"{row.jitter_ms:.1f} ms"),
    ]
    if has_mos:
        cells.append(Text("" if row.mos is None else f"{row.mos:.2f}", style=mos_style(row.mos)))
    if has_level:
        most = _bar_cells(width)
        cells += [_bar(row.level_db.get("inbound"), "blue", most), _bar(row.level_db.get("outbound"), "green", most)]
    return [*cells, Text(printable(row.happened))]


def _id_width(width: int) -> int:
    """Return the columns for an id: all of a UUID, where there is room."""
    return ID_WIDTH if width < _WIDE_WIDTH else 36


def _bar_cells(width: int) -> int:
    return _BAR_CELLS if width >= _ROOMY_WIDTH else _FEW_CELLS


def _bar(level_db: float | None, style: str, most_cells: int) -> Text:
    """Return a loudness as a bar of eighths; nothing, if nobody knows."""
    if level_db is None:
        return Text("")
    share = min(max((level_db - QUIET_DB) / (LOUD_DB - QUIET_DB), 0.0), 1.0)
    full, rest = divmod(round(share * most_cells * 8), 8)
    return Text("█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else ""), style=style)


def _cut(line: str, width: int, style: str = "") -> Text:
    return Text(shortened(line, max(width, 1)), style=style)
