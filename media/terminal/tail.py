"""Shell: ``strep tail``, a live view of a server's calls on a terminal, or its events as lines."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from queue import Empty
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

import click

from media.cli import EXIT_CODES, INTERRUPTED, OK
from media.terminal.board import SORTS, Board
from media.terminal.client import Door, base_of, server_options
from media.terminal.lines import event_line
from media.terminal.printable import printable
from media.terminal.watching import Failed, FoundAgain, Happened, Lost, Message, Raised, Seen, Watcher
from strep.clock import NS_PER_SECOND, Clock, SystemClock

if TYPE_CHECKING:
    from rich.console import Console

REFRESH_S = 0.5
_PATIENCE_S = 3600.0
_EPILOG = (
    """\b
Examples:
  All calls, on one screen; those with the worst loss first:
    strep tail
  Keys and what is said, as lines, of some calls:
    strep tail --plain --calls 'sales-*' --events dtmf,transcription
  Every event for another program, a JSON object a line:
    strep tail --json | jq -r 'select(.event == "dtmf") | .digit'

\b
Where standard output is no terminal it is --plain. When the server restarts, it
is waited for, and what happened meanwhile is missing.

"""
    + EXIT_CODES
)


def _kinds(ctx: click.Context, param: click.Parameter, value: str) -> frozenset[str]:
    return frozenset(filter(None, (name.strip() for name in value.split(","))))


@click.command(epilog=_EPILOG, context_settings={"max_content_width": 100})
@click.option("--calls", default="*", show_default=True, metavar="PATTERN", help="Ids, with *, ? and [...].")
@click.option("--events", default="", metavar="NAMES", callback=_kinds, help="As in dtmf,call_ended.  [default: all]")
@click.option("--sort", type=click.Choice(list(SORTS)), default="worst", show_default=True, help="What comes first.")
@click.option("--plain", is_flag=True, help="A line for each event, no screen.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object for each event, no screen.")
@server_options
def tail(
    calls: str, events: frozenset[str], sort: str, plain: bool, as_json: bool, url: str, token: str
) -> None:  # fmt: skip
    """Watch the calls of a server as they come and go, their loss and quality, keys, events and alarms."""
    base_of(url)
    door = Door(url, token)
    draws = not plain and not as_json and sys.stdout is not None and sys.stdout.isatty()
    # A screen has all events, for it shows the last one of each call; lines are only of what is wanted.
    watcher = Watcher(door, calls, frozenset() if draws else events, looks=draws)
    watcher.start()
    try:
        if draws:
            from rich.console import Console

            watch(watcher, Board(calls, events), Console(), urlsplit(url).netloc, sort, SystemClock())
        else:
            write_lines(watcher, json_line if as_json else plain_line)
    except BrokenPipeError:  # who reads has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(OK) from None
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    finally:
        watcher.close()


def write_lines(watcher: Watcher, line_of: Callable[[Message], str | None]) -> NoReturn:
    """Write a line for each message that has one, until something ends us."""
    while True:
        message = _next(watcher)
        if isinstance(message, Failed):
            raise message.error
        line = line_of(message)
        if line is not None:
            click.echo(line)  # flushed each time


def _next(watcher: Watcher) -> Message:
    while True:
        try:
            return watcher.messages.get(timeout=_PATIENCE_S)  # without a timeout, Ctrl-C would wait as well
        except Empty:
            continue


def plain_line(message: Message) -> str | None:
    """Return a line for people."""
    match message:
        case Happened(event) if event.get("event") == "dropped":
            return f"-- {event.get('events', 0)} events missed: too slow"
        case Happened(event):
            return event_line(event)
        case Lost(reason, again_in_s):
            return f"-- no connection: {printable(reason)}; trying again in {again_in_s:g} s"
        case FoundAgain():
            return "-- connected again; events of the time between are missing"
    return None


def json_line(message: Message) -> str | None:
    """Return a line for programs."""
    said: dict[str, Any]
    match message:
        case Happened(event):
            said = event
        case Lost(reason, again_in_s):
            said = {"event": "connection_lost", "reason": reason, "again_in_s": again_in_s}
        case FoundAgain():
            said = {"event": "connected_again"}
        case _:
            return None
    return json.dumps(said)


def watch(watcher: Watcher, board: Board, console: Console, place: str, sort: str, clock: Clock) -> NoReturn:
    """Keep a screen up to date until something ends us."""
    from rich.live import Live

    from media.terminal.screen import screen

    began_s = clock.now_ns() / NS_PER_SECOND
    # The first answer is waited for before the screen is taken: an error stays to be read.
    take(board, _next(watcher), began_s)
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            now_s = clock.now_ns() / NS_PER_SECOND
            live.update(screen(board, place, sort, (console.width, console.height), now_s, began_s), refresh=True)
            until_s = now_s + REFRESH_S
            while (left_s := until_s - clock.now_ns() / NS_PER_SECOND) > 0:
                try:
                    take(board, watcher.messages.get(timeout=left_s), clock.now_ns() / NS_PER_SECOND)
                except Empty:
                    break


def take(board: Board, message: Message, now_s: float) -> None:
    """Put a message on the board.

    Raises:
        click.ClickException: nothing more will come.
    """
    match message:
        case Happened(event):
            board.take_event(event, now_s)
        case Seen(total, calls, is_last):
            board.take_page(total, calls, is_last=is_last)
        case Raised(report):
            board.take_alarms(report)
        case Lost(reason, again_in_s):
            board.lose(reason, now_s, again_in_s)
        case FoundAgain():
            board.find_again(now_s)
        case Failed(error):
            raise error
