"""A call at a glance, on a terminal: see ``strep call ID``. All that the server tells of it is in ``--json``."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from media.terminal.calls import QUIET_MS
from media.terminal.lines import caller_of
from media.terminal.printable import clock_text, printable, shortened
from media.terminal.reading import level_db_of, mos_of, seconds_of, tracks_of
from media.terminal.styles import loss_style, mos_style, percent_text

_ROOMY_WIDTH = 100
_MOST_GAPS, _MOST_PLAYS = 6, 3
_LAGS_MS: Final = 1000.0
"""What a sink has not finished with for so long is worth a colour."""
_TOLD = {
    "lost": "{} lost",
    "silence": "{} of silence: the sender sent nothing",
    "late-patched": "{} came late: recorded, not heard live",
    "restart": "{} until the sender began anew",
    "paused": "{} paused: not kept",
}


def picture_of(call: dict[str, Any], width: int) -> Group:
    """Return what an operator wants to see of a call in a terminal of so many columns.

    Args:
        call: what ``/v1/calls/{id}`` says of it.
        width: columns.
    """
    parts: list[RenderableType] = [*_head(call)]
    tracks = tracks_of(call)
    if tracks:
        parts += [Text(), _tracks(call, tracks, width)]
    parts += [Text(), _labelled("now", _now(call))]
    if call.get("sinks"):
        parts += [Text(), _sinks(call["sinks"])]
    return Group(*parts, *_gaps(call))


def _head(call: dict[str, Any]) -> Iterator[Text]:
    mos, identity = mos_of(call), call.get("identity") or {}
    yield Text.assemble(
        (printable(call.get("call_id", "")), "bold"), "  live ", (clock_text(seconds_of(call)), "bold"),
        *(() if mos is None else ("  MOS ", (f"{mos:.2f}", mos_style(mos)))),
    )  # fmt: skip
    way = " ".join(str(call[name]) for name in ("dialect", "door") if call.get(name))
    began = _time_of(call, 0)
    codecs = "/".join(dict.fromkeys(track["codec"] for track in tracks_of(call) if track.get("codec")))
    form = f"{codecs} {call.get('sample_rate_hz', '')} Hz".strip()
    facts = [way, caller_of(identity), f"since {began}" if began else "", form]
    yield Text(printable(", ".join(filter(None, facts))), overflow="fold")
    quiet_ms = min((track.get("quiet_ms", 0) for track in tracks_of(call)), default=0)
    if quiet_ms > QUIET_MS:
        yield Text(f"nothing has come for {quiet_ms / 1000:.0f} s", style="bold yellow")
    heard = call.get("quality") or {}
    said = {"one_way": "one side is silent while the other speaks", "echo": "one side is heard again in the other"}
    trouble = [words for name, words in said.items() if heard.get(name)]
    if trouble:
        yield Text("; ".join(trouble), style="bold yellow")


def _tracks(call: dict[str, Any], tracks: list[dict[str, Any]], width: int) -> Table:
    """Return a row of figures for each track; those that nobody knows of any have no column."""
    columns: dict[str, list[Text]] = {}
    for track in tracks:
        for name, cell in _figures(call, track, is_roomy=width >= _ROOMY_WIDTH):
            columns.setdefault(name, []).append(cell)
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    known = {name: cells for name, cells in columns.items() if any(cell.plain for cell in cells)}
    for name in known:
        table.add_column(name, justify="left" if name == "track" else "right", no_wrap=True)
    for row in zip(*known.values(), strict=True):
        table.add_row(*row)
    return table


def _figures(call: dict[str, Any], track: dict[str, Any], *, is_roomy: bool) -> Iterator[tuple[str, Text]]:
    quality: dict[str, Any] = track.get("quality") or {}
    rate_hz, lost, late = call.get("sample_rate_hz") or 8000, track.get("never_arrived", 0), track.get("late", 0)
    expected = track.get("expected", 0)
    loss = quality["loss_percent"] / 100 if "loss_percent" in quality else lost / expected if expected else 0.0
    yield "track", Text(printable(track.get("direction", "")))
    yield "time", Text(clock_text(track.get("length_samples", 0) / rate_hz))
    yield "packets", Text(f"{track.get('received', 0):,}")
    if is_roomy:
        yield "lost", Text(f"{lost:,}", loss_style(loss))
    yield "loss", Text(percent_text(loss), loss_style(loss))
    yield "bursts", Text(_bursts(quality.get("bursts")))
    yield "late", Text(f"{late:,}", "" if late else "dim")
    if is_roomy:
        yield "reordered", Text(f"{track.get('reordered', 0):,}")
    yield "jitter", Text(f"{track.get('jitter_mean_ms', 0.0):.1f} ms")
    if is_roomy:
        yield "max", Text(f"{track.get('jitter_max_ms', 0.0):.1f} ms")
    mos, level_db = quality.get("mos"), level_db_of(call, str(track.get("direction")))
    yield "MOS", Text("" if mos is None else f"{mos:.2f}", mos_style(mos))
    yield "dBFS", Text("" if level_db is None else f"{level_db:.1f}")


def _bursts(bursts: dict[str, Any] | None) -> str:
    if bursts is None:
        return ""
    return f"{bursts['count']} of {_length(bursts['mean_ms'])}" if bursts["count"] else "none"


def _now(call: dict[str, Any]) -> Text:
    """Return what is going on."""
    plays: list[dict[str, Any]] = call.get("plays") or []
    doing = [_play(play) for play in plays[:_MOST_PLAYS]]
    if len(plays) > _MOST_PLAYS:
        doing.append(f"{len(plays) - _MOST_PLAYS} more plays wait")
    doing += ["gathers digits"] if call.get("is_gathering") else []
    doing += [f"records {recording_id}" for recording_id in call.get("recordings") or []]
    doing += ["is transcribed"] if call.get("is_transcribed") else []
    text = Text(printable("; ".join(doing)) or "nothing plays, nothing is gathered", style="" if doing else "dim")
    if call.get("is_paused"):
        text.append("; paused: nothing is kept", "bold yellow")
    if call.get("can_play") is False:
        text.append("; cannot be played to", "dim")
    return text


def _play(play: dict[str, Any]) -> str:
    verb = {"speak": "speaks", "keys": "presses keys"}.get(str(play.get("kind")), "plays")
    state = {"playing": "", "paused": "paused, "}.get(str(play.get("state")), f"{play.get('state')}, ")
    volume_db = play.get("volume_db") or 0
    volume = f", {volume_db:+g} dB" if volume_db else ""
    return (
        f"{verb} {shortened(play.get('label', ''), 40)} ({state}{play.get('heard_ms', 0) / 1000:.1f} s heard{volume})"
    )


def _sinks(sinks: list[dict[str, Any]]) -> Group:
    """Return a row for each sink that has something to do or is in trouble; the others are named in one."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("sink", "state", "blocks", "waiting", "lag"):
        table.add_column(name, justify="left" if name in ("sink", "state") else "right", overflow="ellipsis")
    idle: list[str] = []
    for sink in sinks:
        state = _trouble(sink)
        name, lag_ms = printable(sink.get("name", "")), sink.get("lag_ms", 0.0)
        if not (state or sink.get("delivered_blocks") or sink.get("waiting_blocks")):
            idle.append(name)
            continue
        table.add_row(
            name,
            Text(state or "ok", "bold red" if state else "green"),
            f"{sink.get('delivered_blocks', 0):,}",
            f"{sink.get('waiting_blocks', 0):,}",
            Text(f"{lag_ms:,.1f} ms", "yellow" if lag_ms >= _LAGS_MS else ""),
        )
    parts: list[RenderableType] = [table] if table.row_count else []
    return Group(*parts, *([_labelled("idle sinks", Text(", ".join(idle), "dim"))] if idle else []))


def _trouble(sink: dict[str, Any]) -> str:
    said = [
        "detached" if sink.get("detached") else "",
        f"{sink['dropped_seconds']:.1f} s dropped" if sink.get("dropped_seconds") else "",
        f"{sink['errors']} errors" if sink.get("errors") else "",
        f"{sink['restarts']} restarts" if sink.get("restarts") else "",
    ]
    return ", ".join(filter(None, said))


def _gaps(call: dict[str, Any]) -> Iterator[RenderableType]:
    """Yield the last entries of both ledgers, in words, the newest last."""
    ledgers: dict[str, dict[str, Any]] = call.get("ledgers") or {}
    spans = [(span, direction) for direction, ledger in ledgers.items() for span in ledger.get("newest", ())]
    if not spans:
        return
    spans.sort(key=lambda entry: (entry[0]["start_ms"], entry[1]))
    counts = ", ".join(f"{ledger.get('spans', 0):,} {direction}" for direction, ledger in ledgers.items())
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for span, direction in spans[-_MOST_GAPS:]:
        what = _TOLD.get(span["kind"], f"{{}} {printable(span['kind'])}").format(_length(span["duration_ms"]))
        place = Text(f"at {clock_text(span['start_ms'] / 1000)}.{int(span['start_ms'] % 1000):03}")
        style = "yellow" if span["kind"] == "lost" else ""
        table.add_row(Text(_time_of(call, span["start_ms"]), "dim"), place, printable(direction), Text(what, style))
    yield Text()
    yield _labelled("ledger", Text(f"spans not received as they came: {counts}; the newest", "dim"))
    yield table


def _length(duration_ms: float) -> str:
    return f"{duration_ms:g} ms" if duration_ms < 1000 else f"{duration_ms / 1000:.2f} s"


def _time_of(call: dict[str, Any], place_ms: float) -> str:
    """Return the time of day, of UTC, of a place in a call, to the second; blank if the call does not say."""
    try:
        began = datetime.fromisoformat(str(call.get("started_at", "")))
    except ValueError:
        return ""
    return f"{began + timedelta(milliseconds=place_ms):%H:%M:%S} UTC"


def _labelled(label: str, text: Text) -> Text:
    return Text.assemble((f"{label}  ", "dim"), text)
