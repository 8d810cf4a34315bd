"""What `benchmarks.talk` measured, as tables, lines and answers."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from benchmarks.report import Cells, Line, Lines, Spread, Table
from media.talk.rtp_mode import RtpOptions

BOUND_MS = 5.0
"""What p99 of the lateness should stay below."""
MESSAGE_MS = RtpOptions().message_ms
LEAD_MS = RtpOptions().lead_ms
MARGIN_MS = LEAD_MS - RtpOptions().spread_ms
"""How late a message may be before the caller hears a hole: from this to `LEAD_MS`, by a call's phase."""


class Load(msgspec.Struct, frozen=True):
    """How many calls are talked to; the callers talk too, and are recorded, if it goes both ways."""

    calls: int
    both_ways: bool = False

    def __str__(self) -> str:
        """Return it as a row begins."""
        return f"{self.calls:,}{' both ways' if self.both_ways else ''}"


class TalkRun(msgspec.Struct, frozen=True):
    """One load, once."""

    load: Load
    repeat: int
    messages: int = 0
    """Those that were sent while all calls were there, as are the next figures."""
    busy: float = 0.0
    """Processor time of the server per wall time: 1 is a core."""
    carrier_busy: float = 0.0
    """The same of the carrier: near 1, what comes late there is its own doing."""
    message_us: float = 0.0
    """Processor time of the server per message."""
    lateness_ms: dict[str, float] = {}
    """As the server says: from a message's deadline until it was handed to the socket."""
    ramp_ms: dict[str, float] = {}
    """The same while calls begin."""
    left_ms: dict[str, float] = {}
    """What the carrier had not played yet when a message came."""
    holes: int = 0
    """Messages that came after the carrier had played everything before them."""
    silence_ms: dict[str, float] = {}
    """From `clear()` until the carrier has the frame that silences it."""
    answer_ms: dict[str, float] = {}
    """From the caller's digit until then: what a caller waits who interrupts."""
    clears: int = 0
    underruns: int = 0
    caller_late_ms: float = 0.0
    """By how much the latest frame of a caller was late, which is the carrier's doing."""
    complaints: list[str] = []


def line_of(run: TalkRun) -> str:
    """Return one run in a line."""
    if run.complaints:
        return f"{run.repeat}. {run.load} calls  DOES NOT COUNT: {run.complaints[0]}"
    late, silence = run.lateness_ms, run.silence_ms
    return (
        f"{run.repeat}. {run.load} calls"
        f"  late p50 {late['p50']:.1f}  p99 {late['p99']:.1f}  max {late['max']:.1f} ms"
        f"  silence p50 {silence['p50']:.2f}  max {silence['max']:.1f} ms  {run.busy:.0%} of a core"
    )


_COLUMNS = [
    "calls", "late p50 ms", "p99 ms", "max ms", "left p50 ms", "p1 ms", "min ms", "holes",
    "calls begin p99 ms", "max ms", "CPU µs/message", "of a core", "carrier's",
]  # fmt: skip
_NOTE = (
    "Late is from a message's absolute deadline until the server has handed it to the socket. Left is what the "
    f"carrier had not played when it came, {MARGIN_MS} to {LEAD_MS} ms if nothing is late; below 0 the caller "
    'hears a hole. All calls are there, but for the columns from "calls begin" on, which tell of the time before; '
    "holes are of both. Both ways: every caller talks all the time, too, and is recorded."
)
_SILENCE_COLUMNS = [
    "calls", "clears", "clear() to silence p50 ms", "p99 ms", "max ms", "digit to silence p50 ms", "p99 ms", "max ms",
]  # fmt: skip
_SILENCE_NOTE = (
    "Silence is when the carrier has the clear frame: what it has not played it forgets then. From clear(): what the "
    "server takes. From the digit: what the caller waits who interrupts, the application included."
)


def _cells(runs: list[TalkRun], loads: Iterable[Load]) -> Cells:
    cells = []
    for load in loads:
        found = [run for run in runs if run.load == load]
        if not found:
            cells.append([f"{load}", "does not count", *[""] * (len(_COLUMNS) - 2)])
            continue
        row = [f"{load}"]
        row += [Spread.of(run.lateness_ms[name] for run in found).text(".1f") for name in ("p50", "p99", "max")]
        row += [Spread.of(run.left_ms[name] for run in found).text(".0f") for name in ("p50", "p1", "min")]
        row.append(f"{sum(run.holes for run in found)}")
        row += [Spread.of(run.ramp_ms[name] for run in found).text(".1f") for name in ("p99", "max")]
        row.append(Spread.of(run.message_us for run in found).text(".1f"))
        row.append(Spread.of(run.busy for run in found).text(".0%"))
        cells.append([*row, Spread.of(run.carrier_busy for run in found).text(".0%")])
    return cells


def _silence_cells(runs: list[TalkRun], loads: Iterable[Load]) -> Cells:
    cells = []
    for load in loads:
        found = [run for run in runs if run.load == load]
        if not found:
            continue
        row = [f"{load}", f"{sum(run.clears for run in found):,}"]
        for figures in ("silence_ms", "answer_ms"):
            row += [
                Spread.of(getattr(run, figures)[name] for run in found).text(".2f") for name in ("p50", "p99", "max")
            ]
        cells.append(row)
    return cells


def chart(runs: list[TalkRun]) -> Lines:
    """Draw the lateness by the number of calls, for each way."""
    lines = []
    for both_ways in sorted({run.load.both_ways for run in runs}):
        some = [run for run in runs if run.load.both_ways == both_ways]
        x = sorted({run.load.calls for run in some})
        for name in ("p50", "p99"):
            y = [Spread.of(run.lateness_ms[name] for run in some if run.load.calls == calls) for calls in x]
            label = f"{name}, both ways" if both_ways else name
            lines.append(Line(label, [float(calls) for calls in x], y, ours=name == "p99"))
    return Lines("Lateness of messages to calls that are talked to", "calls", "ms", lines, bound=BOUND_MS)


def tables(runs: list[TalkRun], loads: Iterable[Load]) -> list[Table]:
    """Return lateness and barge-in."""
    loads = list(loads)
    return [
        Table(f"Messages of {MESSAGE_MS} ms, RTP mode, PCMU", _COLUMNS, _cells(runs, loads), note=_NOTE),
        Table("Barge-in", _SILENCE_COLUMNS, _silence_cells(runs, loads), note=_SILENCE_NOTE),
    ]


def answer_of(load: Load, runs: list[TalkRun]) -> str:
    """Return the answer in a line."""
    found = [run for run in runs if run.load == load]
    if not found:
        return f"{load} calls: no run counts"
    p99 = Spread.of(run.lateness_ms["p99"] for run in found)
    most, silence = max(run.lateness_ms["max"] for run in found), Spread.of(run.silence_ms["p99"] for run in found)
    return (
        f"{load} calls: a message goes out {p99.text('.1f')} ms late at p99, {most:.1f} ms at most; "
        f"a call is silent {silence.text('.1f')} ms after clear() at p99"
    )
