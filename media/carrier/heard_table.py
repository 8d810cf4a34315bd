"""What the callers heard, for people: a table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import click

from media.carrier.heard import Fate, Heard
from media.carrier.simulation import Outcome
from strep.clock import NS_PER_SECOND

MAX_ROWS = 12
"""Calls that are shown one by one; of more there is only the sum."""
_FATES = ((Fate.PLAYED, "played"), (Fate.AT_ONCE, "at once"), (Fate.CLEARED, "cleared"), (Fate.LOST, "lost"))
_SHOWN_SPURTS = 3


def heard_of(outcome: Outcome) -> list[Heard]:
    """Return what every call heard, in their order."""
    return [playback.heard for playback in outcome.report.playbacks]


def describe_heard(outcome: Outcome) -> dict[str, Any]:
    """Return the sums over all calls, as plain data."""
    sums: Counter[str] = Counter()
    refusals: Counter[int] = Counter()
    fates: Counter[str] = Counter()
    seconds = 0.0
    for heard in heard_of(outcome):
        sums.update(heard.counters())
        refusals.update(heard.refusals)
        fates.update(mark.fate.value for mark in heard.mark_list)
        seconds += heard.samples / heard.rate_hz
    return {
        "seconds": seconds,
        **sums,
        "refusals": {str(code): count for code, count in sorted(refusals.items())},
        "mark_fates": dict(fates),
    }


def heard_lines(outcome: Outcome) -> list[str]:
    """Return what was heard and when, without line ends; nothing if nothing came."""
    all_heard = heard_of(outcome)
    if not any(_has_news(heard) for heard in all_heard):
        return []
    facts = describe_heard(outcome)
    text = [
        f"callers heard {facts['seconds']:.1f} s in {_many(facts['messages'], 'message')}; "
        + ", ".join(_many(facts[f"{thing}s"], thing) for thing in ("underrun", "mark", "clear"))
        + f", {_many(facts['refused'], 'message')} refused{_codes(facts)}"
    ]
    if len(all_heard) <= MAX_ROWS:
        text += [f"call {call}: {line}" for call, heard in enumerate(all_heard) for line in _story(heard)]
    return text


def show_heard(outcome: Outcome) -> None:
    """Print it, if anything came."""
    lines = heard_lines(outcome)
    if not lines or not sys.stdout.isatty():
        if lines:
            click.echo("\n".join(lines))
        return
    from rich.console import Console
    from rich.table import Table

    columns = ("call", "heard", "when", "messages", "underruns", "marks", "clears", "refused")
    table = Table(*columns, title="what the callers heard", title_justify="left")
    for call, heard in list(enumerate(heard_of(outcome)))[:MAX_ROWS]:
        numbers = (heard.messages, heard.underruns, heard.marks, heard.clears, heard.refusals.total())
        table.add_row(str(call), f"{heard.samples / heard.rate_hz:.2f} s", _when(heard), *map("{:,}".format, numbers))
    console = Console()
    console.print(table)
    console.print(lines[0], highlight=False)


def _has_news(heard: Heard) -> bool:
    return bool(heard.messages or heard.marks or heard.clears or heard.refusals or heard.ignored)


def _story(heard: Heard) -> list[str]:
    story = [f"heard {heard.samples / heard.rate_hz:.2f} s: {_when(heard)}"] if heard.samples else []
    fates = Counter(mark.fate for mark in heard.mark_list)
    if fates:
        story.append("marks " + ", ".join(f"{fates[fate]} {name}" for fate, name in _FATES if fates[fate]))
    for cleared in heard.clear_list[:_SHOWN_SPURTS]:
        at = (cleared.came_ns - heard.start_ns) / NS_PER_SECOND
        story.append(f"cleared at {at:.3f} s, {cleared.cut_samples / heard.rate_hz:.2f} s not played")
    for told in heard.refusal_list[:_SHOWN_SPURTS]:
        at = (told.came_ns - heard.start_ns) / NS_PER_SECOND
        story.append(f"refused at {at:.3f} s: {told.code or 'violation'} {told.detail}")
    return story


def _when(heard: Heard) -> str:
    spurts = heard.spurts()
    shown = [f"{s / heard.rate_hz:.3f}-{(s + n) / heard.rate_hz:.3f}" for s, n, _ in spurts[:_SHOWN_SPURTS]]
    more = len(spurts) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _many(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def _codes(facts: dict[str, Any]) -> str:
    known = [f"{count:,} x {code}" for code, count in facts["refusals"].items() if code != "0"]
    return f" ({', '.join(known)})" if known else ""
