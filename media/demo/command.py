"""Shell: ``strep demo``."""

from __future__ import annotations

import asyncio
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click
from rich.console import Console
from rich.live import Live

from media.config import LogConfig
from media.demo.session import NETWORK, Session, View
from media.demo.tables import (
    can_draw,
    disagreements,
    live_table,
    misunderstandings,
    plain_line,
    talk_table,
    verdict_table,
)
from media.demo.talk import BOTH, QUERY, Answer
from media.demo.verdict import Verdict, judge
from media.logs import logging_to
from media.runtime import loop_factory
from strep.clock import NS_PER_SECOND, SystemClock
from strep.errors import ConfigurationError

PLACE = Path("demo-output")
"""Where a run gets a directory of its own, unless it is given one."""
_PLAIN_WIDTH = 130
_PLAIN_EVERY_S = 5.0
_MOST_PICTURES = 6
_EPILOG = """\b
Examples:
  strep demo
  strep demo --seconds 5 --calls 3 --directory /tmp/demo

Exit codes: 0 when carrier and recordings agree exactly and the caller heard her answers, 1 when not.
"""


@click.command(epilog=_EPILOG)
@click.option(
    "--seconds", type=click.FloatRange(1, 600), default=20.0, show_default="20", help="How long the calls last."
)
@click.option(
    "--calls",
    type=click.IntRange(1, 50),
    default=1,
    show_default=True,
    help="Conversations by each of the two doors.",
)
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    help=f"Where the recordings go; new or empty.  [default: a new one in {PLACE}/]",
)
def demo(seconds: float, calls: int, directory: Path | None) -> None:
    """Watch it work: a server and a simulated carrier on this machine, over a bad line.

    A conversation arrives as STREP over UDP and another over WebSocket, at the same time, with packets lost,
    repeated and out of order. Both are recorded and drawn, and everything that the recordings say about them is
    compared with what the carrier knows, to the packet and to the sample.

    Meanwhile a caller talks with the application parrot, which says back what it hears and falls silent when it
    is interrupted: what she heard is compared with what she said.
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=_PLAIN_WIDTH)
    place = _fresh(directory)
    session = Session(place, seconds, calls)
    try:
        _watch(session, console)
    except OSError as error:
        raise click.ClickException(error.strerror or str(error)) from error
    verdicts, answers = judge(session.parties, place), session.talk.answers()
    for table in (
        verdict_table(verdicts, console.width, draws=can_draw(console)),
        talk_table(answers, console.width, draws=can_draw(console)),
    ):
        console.print()
        console.print(table)
    _show_files(session, answers, console)
    _conclude(verdicts, answers, session, console)


def _fresh(directory: Path | None) -> Path:
    """Return a directory without recordings, which would be taken for ours.

    Raises:
        ConfigurationError: there is something in `directory`.
    """
    if directory is None:
        moment = datetime.fromtimestamp(SystemClock().wall_ns() / NS_PER_SECOND, UTC).astimezone()
        directory = stem = PLACE / f"{moment:%Y-%m-%d_%H%M%S}"
        number = 1
        while directory.exists():
            number += 1
            directory = stem.with_name(f"{stem.name}_{number}")
    elif directory.exists() and any(directory.iterdir()):
        raise ConfigurationError(f"directory: {directory} is not empty; name a new one, or leave --directory out")
    return directory


def _watch(session: Session, console: Console) -> None:
    draws = can_draw(console)
    next_line_s = _PLAIN_EVERY_S

    def announce() -> None:
        what = f"{session.calls} conversation{'s' if session.calls > 1 else ''}"
        say = partial(console.print, highlight=False)
        say(f"A server listens, and a simulated carrier sends it {what} of {session.seconds:g} s each by")
        say(f"  STREP over UDP   {session.addresses['udp']}")
        say(f"  WebSocket        ws://{session.addresses['ws']}/")
        say(
            f"over a line that loses {NETWORK.loss:.0%} of the packets, brings {NETWORK.duplicate:.0%} twice, and "
            f"holds {NETWORK.reorder:.0%} back by up to {NETWORK.reorder_delay_ms:g} ms."
        )
        say("Over another WebSocket a caller talks with the application parrot, which says back what it hears:")
        say(f"  WebSocket        ws://{session.addresses['ws']}/{QUERY}\n")

    def show_line(view: View) -> None:
        nonlocal next_line_s
        if view.is_last or next_line_s <= view.elapsed_s < session.length_s:
            console.print(plain_line(view), soft_wrap=True, highlight=False)
            next_line_s += _PLAIN_EVERY_S

    with ExitStack() as stack:
        stack.enter_context(logging_to(sys.stderr, LogConfig(level="error")))
        on_view = show_line
        if console.is_terminal:
            live = Live(console=console, auto_refresh=False)

            def on_view(view: View) -> None:
                if not live.is_started:  # below the announcement
                    stack.enter_context(live)
                live.update(live_table(view, session.length_s, console.width, draws=draws), refresh=True)

        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(session.run(announce, on_view))


def _show_files(session: Session, answers: list[Answer], console: Console) -> None:
    """Draw the recordings and the talk, and say where everything is."""
    from media.demo.talk_picture import draw_talk
    from media.pictures import draw_recording

    call_ids = list(dict.fromkeys(party.key[0] for party in session.parties))
    by_door = sorted(call_ids, key=lambda call_id: (call_ids.index(call_id) % session.calls, call_ids.index(call_id)))
    console.print(f"\nRecordings, left inbound and right outbound, are in {session.directory}/", highlight=False)
    drawn = set()
    for call_id in by_door[:_MOST_PICTURES]:
        stem = session.directory / call_id
        try:
            draw_recording(stem.with_suffix(".wav"), stem.with_suffix(".json"), stem.with_suffix(".png"))
            drawn.add(call_id)
        except (ConfigurationError, OSError) as error:
            console.print(f"  no picture: {error}", highlight=False)
            break
    for call_id in by_door[:_MOST_PICTURES]:
        picture = "  .png (its picture)" if call_id in drawn else ""
        console.print(f"  {call_id}  .wav  .json (its ledger){picture}", highlight=False, soft_wrap=True)
    if len(by_door) > _MOST_PICTURES:
        console.print(f"  and {len(by_door) - _MOST_PICTURES} more, without pictures")
    talk = session.talk.folder / BOTH
    console.print("What the caller said (left) and heard (right) is in", highlight=False)
    if drawn:
        draw_talk(talk, answers, talk.with_suffix(".png"))
    picture = "  .png (its picture)" if drawn else ""
    console.print(f"  {talk.with_suffix('')}  .wav{picture}", highlight=False, soft_wrap=True)


def _conclude(verdicts: list[Verdict], answers: list[Answer], session: Session, console: Console) -> None:
    lines = [*disagreements(verdicts, session.totals), *misunderstandings(answers)]
    if session.totals["conservation_errors"]:
        lines.append(f"{session.totals['conservation_errors']} tracks do not conserve their packets.")
    if lines:
        raise click.ClickException("that is not what happened:\n  " + "\n  ".join(lines))
    samples = sum(verdict.comparisons[-1].truth for verdict in verdicts)
    console.print(
        f"\nAll {samples:,} samples are where they belong, everything that was lost on the way is in the ledger, "
        "and the caller heard back what she said.",
        style="bold green",
        highlight=False,
        soft_wrap=True,
    )
