"""The figures as tables on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from benchmarks.contenders import CONTENDERS
from benchmarks.load import PACKETS_PER_SECOND_PER_LEG
from benchmarks.results import Results, Spread

Cells = list[list[str]]


def whole(spread: Spread) -> str:
    """Return the median of a figure without decimals, and the range if there is one."""
    text = f"{spread.median:,.0f}"
    return text if spread.low == spread.high else f"{text} ({spread.low:,.0f}-{spread.high:,.0f})"


def share(spread: Spread) -> str:
    """Return median and range of a part, as percents, "all" if it was all in every run."""
    if spread.low == 1:
        return "all"
    low, high = f"{spread.low:.0%}", f"{spread.high:.0%}"
    return f"{spread.median:.0%}" if low == high else f"{spread.median:.0%} ({low}-{high})"


def times(spread: Spread) -> str:
    """Return the same of a ratio."""
    text = f"{spread.median:.2f}"
    return text if spread.low == spread.high else f"{text} ({spread.low:.2f}-{spread.high:.2f})"


COLUMNS = ("receiver", "received", "packets/s", "CPU ns/packet", "first to last", "until finished")


def figures(results: Results, legs: int) -> Cells:
    """Return a line per contender under a load, cells as in `COLUMNS`."""
    cells = []
    for name in results.settings.contenders:
        kind, row = CONTENDERS[name], results.row(name, legs)
        if row is None:
            cells.append([kind.label, "does not count", "", "", "", ""])
            continue
        cpu = [whole(spread) for spread in (row.cpu_ns, row.between_ns, row.whole_ns)]
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
        [f"{CONTENDERS[ratio.over].label} / {CONTENDERS[ratio.under].label}", times(ratio.ratio)]
        for ratio in results.ratios
        if ratio.legs == legs
    ]


def threads(results: Results, legs: int) -> Cells:
    """Return CPU ns/packet by thread, of the contenders that have several."""
    cells = []
    for name in results.settings.contenders:
        row = results.row(name, legs)
        if row is not None and len(row.threads_ns) > 1:
            cells += [[CONTENDERS[name].label, thread, f"{ns:,.0f}"] for thread, ns in sorted(row.threads_ns.items())]
    return cells


def machine(results: Results) -> Cells:
    """Return what is to be known about the measurement, name and value."""
    where, settings = results.environment, results.settings
    packages = ", ".join(f"{name} {version}" for name, version in where.packages.items())
    timed = [run for run in results.runs if run.lateness_ms]
    conditions = [run.conditions for run in results.runs if run.conditions is not None]
    buffers = {(c.buffer_bytes, c.forced) for c in conditions}
    checks = [run.referee_ns for run in results.runs if run.referee_ns]
    lines = [
        ["when", f"{where.date}, commit {where.commit}"],
        ["machine", f"{where.cpu}, {where.cpus} cores, {where.memory_gib:g} GiB, {where.kernel}"],
        ["programs", f"{where.python}, {packages}"],
        ["runs", f"{settings.repeats} per line, contenders taking turns"],
        ["calls", f"{settings.calls_per_second:g} begin per second; {settings.plateau_seconds:g} s with all of them"],
        ["a core each", "yes" if all(c.pinned for c in conditions) else "NO: this system does not allow it"],
        ["receive buffer", "; ".join(_buffer(*buffer) for buffer in sorted(buffers))],
        ["recordings on", where.scratch],
        ["load average before", f"{where.load_average_before:g}"],
    ]
    if timed:
        p99 = Spread.of(run.lateness_ms["p99_ms"] for run in timed)
        lines.append(["sender, p99 lateness", f"{p99.median:.2f} ms, in the worst run {p99.high:.2f} ms"])
        for legs in settings.legs:
            offered = Spread.of(run.offered_per_s for run in timed if run.legs == legs)
            lines.append([f"sender, {legs:,} legs", f"{whole(offered)} packets/s offered"])
    if checks:
        cost = f"{Spread.of(checks).median:.0f} ns/packet, included in the figures of the protocols"
        lines.append(["referee's checksum", cost])
    return lines


def _buffer(size_bytes: int, forced: bool) -> str:
    how = "SO_RCVBUFFORCE, as root" if forced else "SO_RCVBUF; rmem_max allows no more"
    return f"{size_bytes / 2**20:.2f} MiB ({how})"


def heading(legs: int) -> str:
    """Return what a load is, in words."""
    return f"{legs:,} legs x 2 directions, {legs * PACKETS_PER_SECOND_PER_LEG:,} packets/s offered"


def show(results: Results, console: Console) -> None:
    """Print everything."""
    for legs in results.settings.legs:
        _print(console, heading(legs), COLUMNS, figures(results, legs), text_columns=1)
        _print(console, "CPU per packet, over", ("", "times"), ratios(results, legs), text_columns=1)
        _print(console, "of which", ("", "thread", "CPU ns/packet"), threads(results, legs), text_columns=2)
    _print(console, "", ("", ""), machine(results), text_columns=2)
    for complaint in results.complaints:
        console.print(f"REFEREE: {complaint}", style="red", markup=False)
    if not results.complaints:
        console.print(f"referee: {len(results.runs)} runs checked, no complaint")


def _print(console: Console, title: str, columns: tuple[str, ...], cells: Cells, text_columns: int) -> None:
    if not cells:
        return
    table = Table(title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.show_header = any(columns)
    for number, name in enumerate(columns):
        table.add_column(name, justify="left" if number < text_columns else "right")
    for line in cells:
        table.add_row(*line)
    console.print(table)
    console.print()
