"""The figures of `benchmarks.websocket` as tables, charts and sentences."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.contenders.streams import OURS, STREAM_CONTENDERS
from benchmarks.report import Bar, Bars, Cells, Spread, Table
from benchmarks.websocket_course import StreamRun
from benchmarks.websocket_frames import FRAMES_PER_SECOND_PER_CALL
from benchmarks.websocket_knee import Step, most_carried

Knees = dict[str, list[Step]]


def line(run: StreamRun) -> str:
    """Return what a run came to, for those who wait."""
    label = STREAM_CONTENDERS[run.contender].label
    verdict = "" if not run.complaints else f"  DOES NOT COUNT: {run.complaints[0]}"
    lag = f"lag p99 {run.lag_ms['p99']:,.1f} ms" if run.lag_ms else ""
    return f"{run.repeat}. {run.calls:5,} calls  {label:30} {run.cpu_ns:8,.0f} ns/frame  {lag}{verdict}"


def tables(runs: list[StreamRun], knees: Knees) -> list[Table]:
    """Return a table per load, its ratios, and the knees."""
    found = []
    for calls in _loads(runs):
        columns = ["server", "taken in time", "CPU ns/frame", "until finished", "of a core", "lag p99, ms"]
        found.append(Table(_heading(calls), columns, _figures(runs, calls)))
        found.append(Table("", ["CPU per frame of / over", "times"], _ratios(runs, calls)))
        found.append(Table("", ["of which", "thread", "CPU ns/frame"], _threads(runs, calls), text_columns=2))
    columns = ["server", "then", "calls carried", "of a core", "lag p99, ms"]
    found.append(Table("Calls of two tracks on one core", columns, _knee_cells(knees), text_columns=2))
    return [table for table in found if table.cells]


def charts(runs: list[StreamRun]) -> Iterator[Bars]:
    """Return a chart per load."""
    for calls in _loads(runs):
        bars = []
        for name in _names(runs, calls):
            counting = _counting(runs, name, calls)
            if counting:
                cost = Spread.of(run.cpu_ns / 1000 for run in counting)
                bars.append(Bar(STREAM_CONTENDERS[name].label, cost, name == OURS))
        if bars:
            yield Bars(_heading(calls), "CPU time per received media frame, µs", bars)


def answers(runs: list[StreamRun], knees: Knees, lag_ms: float) -> list[str]:
    """Return a sentence per load and per knee of ours."""
    found = []
    for calls in _loads(runs):
        ours = _counting(runs, OURS, calls)
        if ours:
            cost = Spread.of(run.cpu_ns for run in ours)
            found.append(f"{calls:,} media streams recorded: {cost.text()} ns of CPU per frame")
    step = most_carried(knees.get(OURS, []))
    if step is not None:
        found.append(
            f"One core records {step.run.calls:,} calls of two tracks over WebSocket, "
            f"with a lag below {lag_ms:g} ms at p99"
        )
    return found


def conditions(runs: list[StreamRun]) -> Cells:
    """Return what is to be known about runs besides machine and settings, name and value."""
    timed = [run for run in runs if run.lateness_ms]
    cells = [["a core each", "yes" if timed and all(run.pinned for run in timed) else "no"]]
    if timed:
        late = Spread.of(run.lateness_ms["p99_ms"] for run in timed)
        cells.append(["sender, p99 lateness", f"{late.median:.2f} ms, in the worst run {late.high:.2f} ms"])
    checks = [run.referee_ns for run in timed if run.referee_ns]
    if checks:
        cells.append(
            ["referee's checksum", f"{Spread.of(checks).median:.0f} ns/frame, included in the others' figures"]
        )
    return cells


def _loads(runs: list[StreamRun]) -> list[int]:
    return list(dict.fromkeys(run.calls for run in runs))


def _names(runs: list[StreamRun], calls: int) -> list[str]:
    found = {run.contender for run in runs if run.calls == calls}
    return [name for name in STREAM_CONTENDERS if name in found]


def _counting(runs: list[StreamRun], name: str, calls: int) -> list[StreamRun]:
    """Return the runs of a contender under a load that the referee has nothing against."""
    mine = (run for run in runs if (run.contender, run.calls) == (name, calls))
    return [run for run in mine if run.received and not run.complaints]


def _heading(calls: int) -> str:
    return f"{calls:,} calls x 2 tracks, {calls * FRAMES_PER_SECOND_PER_CALL:,} media frames/s offered"


def _figures(runs: list[StreamRun], calls: int) -> Cells:
    cells = []
    for name in _names(runs, calls):
        counting = _counting(runs, name, calls)
        label = STREAM_CONTENDERS[name].label
        if not counting:
            cells.append([label, "does not count", "", "", "", ""])
            continue
        total = sum((run.contender, run.calls) == (name, calls) for run in runs)
        shown = label if len(counting) == total else f"{label} ({len(counting)} of {total} runs count)"
        columns = [
            Spread.of(run.received_share for run in counting).text(".0%"),
            Spread.of(run.cpu_ns for run in counting).text(),
            Spread.of(run.whole_ns for run in counting).text(),
            Spread.of(run.busy for run in counting).text(".0%"),
            Spread.of(run.lag_ms["p99"] for run in counting).text(",.1f"),
        ]
        cells.append([shown, *columns])
    return cells


def _ratios(runs: list[StreamRun], calls: int) -> Cells:
    """Everybody else over ours, within the same repeat."""
    ours = {run.repeat: run.cpu_ns for run in _counting(runs, OURS, calls)}
    cells = []
    for name in _names(runs, calls):
        pairs = [run.cpu_ns / ours[run.repeat] for run in _counting(runs, name, calls) if run.repeat in ours]
        if name != OURS and pairs:
            labels = f"{STREAM_CONTENDERS[name].label} / {STREAM_CONTENDERS[OURS].label}"
            cells.append([labels, Spread.of(pairs).text(".2f")])
    return cells


def _threads(runs: list[StreamRun], calls: int) -> Cells:
    """CPU ns/frame by thread, of the contenders that have several."""
    cells = []
    for name in _names(runs, calls):
        counting = _counting(runs, name, calls)
        threads = sorted({thread for run in counting for thread in run.threads_ns})
        for thread in threads if len(threads) > 1 else []:
            spread = Spread.of(run.threads_ns.get(thread, 0.0) for run in counting)
            cells.append([STREAM_CONTENDERS[name].label, thread, spread.text()])
    return cells


def _knee_cells(knees: Knees) -> Cells:
    cells = []
    for name, steps in knees.items():
        step = most_carried(steps)
        carried = step.run.calls if step else 0
        refused = [other for other in steps if not other.carried and other.run.calls > carried]
        first = min(refused, key=lambda other: other.run.calls, default=None)
        then = f"with {first.run.calls:,}: {first.why}" if first else "not searched further"
        figures = (
            [f"{step.run.calls:,}", f"{step.run.busy:.0%}", f"{step.run.lag_ms['p99']:,.1f}"]
            if step
            else ["0", "", ""]
        )
        cells.append([STREAM_CONTENDERS[name].label, then, *figures])
    return cells
