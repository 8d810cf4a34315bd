"""The figures of `benchmarks.receive` and its kin as tables and charts."""

from __future__ import annotations

from benchmarks.contenders import CONTENDERS, RECORDING
from benchmarks.load import PACKETS_PER_SECOND_PER_LEG
from benchmarks.report import Bar, Bars, Cells, Spread, Table
from benchmarks.results import Results, Row, Run


def share(spread: Spread) -> str:
    """Return median and range of a part, as percents, "all" if it was all in every run."""
    if spread.low == 1:
        return "all"
    return spread.text(".0%")


def heading(legs: int) -> str:
    """Return what a load is, in words."""
    return f"{legs:,} legs x 2 directions, {legs * PACKETS_PER_SECOND_PER_LEG:,} packets/s offered"


def tables(results: Results) -> list[Table]:
    """Return all tables, load by load."""
    found = []
    for legs in results.settings.legs:
        columns = ["receiver", "received", "packets/s", "CPU ns/packet", "first to last", "until finished"]
        found.append(Table(heading(legs), columns, figures(results, legs)))
        found.append(Table("", ["CPU per packet of / over", "times"], ratios(results, legs)))
        found.append(Table("", ["of which", "thread", "CPU ns/packet"], threads(results, legs), text_columns=2))
    return [table for table in found if table.cells]


def charts(results: Results) -> list[Bars]:
    """Return a chart per load."""
    unit = "CPU time per received packet, µs"
    return [Bars(heading(legs), unit, _bars(results, legs)) for legs in results.settings.legs]


def _bars(results: Results, legs: int) -> list[Bar]:
    rows = [row for row in results.rows if row.legs == legs]
    return [Bar(_label(row), _microseconds(row.cpu_ns), row.contender in RECORDING) for row in rows]


def _microseconds(spread: Spread) -> Spread:
    return Spread(spread.median / 1000, spread.low / 1000, spread.high / 1000)


def _label(row: Row) -> str:
    label = CONTENDERS[row.contender].label
    return label if row.received_share.low == 1 else f"{label} (received {row.received_share.median:.0%})"


def figures(results: Results, legs: int) -> Cells:
    """Return a line per contender under a load."""
    cells = []
    for name in results.names(legs):
        kind, row = CONTENDERS[name], results.row(name, legs)
        if row is None:
            cells.append([kind.label, "does not count", "", "", "", ""])
            continue
        cpu = [spread.text() for spread in (row.cpu_ns, row.between_ns, row.whole_ns)]
        if name == "prefilled":
            cpu[1:] = ["", ""]
        label = kind.label
        if row.runs < results.settings.repeats:  # the others failed, which the median does not tell
            label += f" ({row.runs} of {results.settings.repeats} runs count)"
        cells.append([label, share(row.received_share), f"{row.received_per_s.median:,.0f}", *cpu])
    return cells


def ratios(results: Results, legs: int) -> Cells:
    """Return a line per ratio under a load: what over what, and how much."""
    return [
        [f"{CONTENDERS[ratio.over].label} / {CONTENDERS[ratio.under].label}", ratio.ratio.text(".2f")]
        for ratio in results.ratios
        if ratio.legs == legs
    ]


def threads(results: Results, legs: int) -> Cells:
    """Return CPU ns/packet by thread, of the contenders that have several."""
    cells = []
    for name in results.names(legs):
        row = results.row(name, legs)
        if row is not None and len(row.threads_ns) > 1:
            cells += [[CONTENDERS[name].label, thread, f"{ns:,.0f}"] for thread, ns in sorted(row.threads_ns.items())]
    return cells


def conditions(runs: list[Run], *, offered: bool = True) -> Cells:
    """Return what is to be known about runs besides machine and settings, name and value.

    Args:
        runs: all that were made.
        offered: also what the sender achieved, load by load.
    """
    timed = [run for run in runs if run.lateness_ms]
    allowed = [run.conditions for run in runs if run.conditions is not None]
    buffers = {(c.buffer_bytes, c.forced) for c in allowed}
    checks = [run.referee_ns for run in runs if run.referee_ns]
    lines = [
        ["a core each", "yes" if all(c.pinned for c in allowed) else "NO: this system does not allow it"],
        ["receive buffer", "; ".join(_buffer(*buffer) for buffer in sorted(buffers))],
    ]
    if timed:
        p99 = Spread.of(run.lateness_ms["p99_ms"] for run in timed)
        lines.append(["sender, p99 lateness", f"{p99.median:.2f} ms, in the worst run {p99.high:.2f} ms"])
        for legs in dict.fromkeys(run.legs for run in timed if offered):
            rate = Spread.of(run.offered_per_s for run in timed if run.legs == legs)
            lines.append([f"sender, {legs:,} legs", f"{rate.text()} packets/s offered"])
    if checks:
        cost = f"{Spread.of(checks).median:.0f} ns/packet, included in the figures of the protocols"
        lines.append(["referee's checksum", cost])
    return lines


def _buffer(size_bytes: int, forced: bool) -> str:
    how = "SO_RCVBUFFORCE, as root" if forced else "SO_RCVBUF; rmem_max allows no more"
    return f"{size_bytes / 2**20:.2f} MiB ({how})"
