"""Does a packet get cheaper with more calls, and is an idle server idle?

`benchmarks.receive` with two contenders, ours and the floor, under loads from a handful of calls to thousands, and
the processor time of a server to which nobody sends anything.
"""

from __future__ import annotations

import itertools
from contextlib import closing
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from benchmarks import environment, receive, results, table
from benchmarks.contenders import FLOOR, OURS
from benchmarks.course import Course
from benchmarks.kernel import SENDER_CPU, pinned
from benchmarks.load import Load
from benchmarks.progress import Say
from benchmarks.question import Question
from benchmarks.report import Cells, Chart, Line, Lines, Report, Spread, Table
from benchmarks.results import Results, Run, summarize

IDLE_BOUND = 0.005
"""Of a core."""
IDLE_LEGS = 5
LEGS = (10, 100, 1000, 2500)


class Settings(msgspec.Struct, frozen=True):
    """What was asked for."""

    legs: Annotated[tuple[Annotated[int, Meta(ge=1)], ...], Meta(description="Calls at once.")] = (
        10,
        100,
        1000,
        2500,
    )
    ramp: Annotated[float, Meta(ge=1, description="Calls that begin, and end, per second.")] = 250.0
    seconds: Annotated[float, Meta(ge=0.1, description="For how long all of them are there.")] = 6.0
    idle: Annotated[float, Meta(ge=0.1, description="Seconds for which the idle server is watched.")] = 10.0
    repeats: Annotated[int, Meta(ge=1, description="How often, taking turns.")] = 3


def measure(settings: Settings, say: Say, scratch: Path) -> Report:
    """Run both contenders under every load, then watch a server that has nothing to do."""
    where = environment.describe(scratch)
    loads = results.Settings(settings.legs, settings.ramp, settings.seconds, settings.repeats, (FLOOR, OURS))
    measured = summarize(loads, receive.run_all(loads, say, scratch))
    idle = [_watch_idle(settings, repeat, say, scratch) for repeat in range(1, settings.repeats + 1)]
    shares = [run.idle_share for run in idle if not run.complaints and run.idle_share is not None]
    complaints = [f"idle server, repeat {run.repeat}: {text}" for run in idle for text in run.complaints]
    return Report(
        question="scale",
        environment=where,
        answers=[_trend(measured), _idle(shares)],
        tables=[Table("CPU time per packet, by load", _COLUMNS, _cells(measured))],
        runs=len(measured.runs) + len(idle),
        charts=_charts(measured),
        conditions=table.conditions(measured.runs),
        figures={"loads": msgspec.to_builtins(measured), "idle": msgspec.to_builtins(idle)},
        complaints=measured.complaints + complaints,
    )


def _watch_idle(settings: Settings, repeat: int, say: Say, scratch: Path) -> Run:
    """Let a server have nothing to do, and then calls, so that it is known to have been listening."""
    say.doing(f"a server without calls, {settings.idle:g} s", (repeat - 1) / settings.repeats)
    with pinned(SENDER_CPU), closing(Course(Load(IDLE_LEGS, 0.1, 0.5), scratch)) as course:
        run = course.run(OURS, repeat, idle_seconds=settings.idle)
    verdict = "" if not run.complaints else f"  DOES NOT COUNT: {run.complaints[0]}"
    say(f"{repeat}. without calls: {(run.idle_share or 0) * 100:.2f} % of a core{verdict}")
    return run


_COLUMNS = ["calls", "packets/s", "floor, ns/packet", "strep, ns/packet", "strep / floor", "strep, % of a core"]


def _cells(measured: Results) -> Cells:
    cells = []
    for legs in measured.settings.legs:
        floor, ours = measured.row(FLOOR, legs), measured.row(OURS, legs)
        ratio = next((ratio.ratio.text(".2f") for ratio in measured.ratios if ratio.legs == legs), "")
        figures = [row.cpu_ns.text() if row else "does not count" for row in (floor, ours)]
        busy = f"{ours.cpu_ns.median * ours.received_per_s.median / 1e7:.1f}" if ours else ""
        rate = f"{ours.received_per_s.median:,.0f}" if ours else ""
        cells.append([f"{legs:,}", rate, *figures, ratio, busy])
    return cells


def _trend(measured: Results) -> str:
    found = [(row.legs, row.cpu_ns.median) for row in measured.rows if row.contender == OURS]
    found.sort()
    falls = all(after <= before for (_, before), (_, after) in itertools.pairwise(found))
    figures = ", ".join(f"{ns:,.0f} ns at {legs:,}" for legs, ns in found)
    verdict = "a packet gets cheaper with every step" if falls else "cost does NOT fall with every step"
    return f"CPU per packet by calls: {figures or 'no run counts'}: {verdict}"


def _idle(shares: list[float]) -> str:
    if not shares:
        return "an idle server: no run counts"
    spread = Spread.of(share * 100 for share in shares)
    return f"an idle server takes {spread.text('.2f')} % of a core (bound: {IDLE_BOUND:.1%})"


def _charts(measured: Results) -> list[Chart]:
    lines = []
    for name, label in ((OURS, "strep, recording"), (FLOOR, "bare recvmmsg every 5 ms")):
        rows = sorted((row for row in measured.rows if row.contender == name), key=lambda row: row.legs)
        figures = [Spread(*(value / 1000 for value in msgspec.structs.astuple(row.cpu_ns))) for row in rows]
        if rows:
            lines.append(Line(label, [float(row.legs) for row in rows], figures, ours=name == OURS))
    return [Lines("CPU time per packet, by load", "calls", "µs per packet", lines, log=True)] if lines else []


QUESTION = Question(
    name="scale",
    explains="""Ours and the floor ("bare recvmmsg every 5 ms", which drops what it reads) receive more and more
calls. The cost of a beat is shared by the packets that it finds, so a packet should get cheaper as the load grows,
and nothing that is done per call may grow faster than the calls.

Then a server is watched that nobody sends to; calls come afterwards, to show that it was listening. The referee
checks every recording, also of those calls.""",
    settings=Settings,
    quick=Settings(legs=(10, 200), ramp=500.0, seconds=1.0, idle=1.0, repeats=1),
    measure=measure,
)
