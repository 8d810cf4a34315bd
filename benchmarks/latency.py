"""How long does audio take from the kernel to a sink?

Measured on every block of audio, from the kernel's stamp on the last packet that the block needs until a sink has
it in its hands. `benchmarks.probe` says how, to the letter.
"""

from __future__ import annotations

import itertools
from contextlib import closing
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from benchmarks import environment, table
from benchmarks.course import Course
from benchmarks.kernel import SENDER_CPU, pinned
from benchmarks.load import Load
from benchmarks.observed import ObservedOptions
from benchmarks.progress import Say
from benchmarks.question import Question
from benchmarks.receiver import OBSERVED
from benchmarks.report import Cells, Line, Lines, Report, Spread, Table
from benchmarks.results import Latency, Run

BOUND_MS = 8.0
"""What p99 should stay below."""
OBSERVED_CALLS = 128
MOST_ONE_IN = 128


class Settings(msgspec.Struct, frozen=True):
    """What was asked for."""

    calls: Annotated[tuple[Annotated[int, Meta(ge=1)], ...], Meta(description="Calls at once.")] = (100, 1000, 2500)
    ramp: Annotated[float, Meta(ge=1, description="Calls that begin, and end, per second.")] = 150.0
    seconds: Annotated[float, Meta(ge=1, description="For how long all of them are there.")] = 10.0
    repeats: Annotated[int, Meta(ge=1, description="How often, loads taking turns.")] = 3


def probing(calls: int) -> str:
    """Return options of the observed server: note the packets of about `OBSERVED_CALLS` calls."""
    one_in = 1
    while calls // one_in > OBSERVED_CALLS and one_in < MOST_ONE_IN:
        one_in *= 2
    return msgspec.json.encode(ObservedOptions(probe_one_in=one_in)).decode()


def measure(settings: Settings, say: Say, scratch: Path) -> Report:
    """Observe the server under every load, in every repeat."""
    where = environment.describe(scratch)
    runs: list[Run] = []
    total = settings.repeats * len(settings.calls)
    with pinned(SENDER_CPU):
        for repeat, calls in itertools.product(range(1, settings.repeats + 1), settings.calls):
            say.doing(f"{calls:,} calls", len(runs) / total)
            with closing(Course(Load(calls, calls / settings.ramp, settings.seconds), scratch)) as course:
                runs.append(course.run(OBSERVED, repeat, probing(calls)))
            say(_line(runs[-1]))
    counting = [run for run in runs if not run.complaints and run.latency is not None]
    silent = [f"{run.legs:,} calls: no block was observed" for run in runs if not (run.complaints or run.latency)]
    return Report(
        question="latency",
        environment=where,
        answers=[_answer(calls, _latencies(counting, calls)) for calls in settings.calls],
        tables=[Table("From the kernel's stamp to the sink", _COLUMNS, _cells(counting, settings.calls))],
        runs=len(runs),
        charts=[_chart(counting, settings.calls)] if counting else [],
        conditions=table.conditions(runs),
        figures=msgspec.to_builtins(runs),
        complaints=[f"{run.legs:,} calls, repeat {run.repeat}: {text}" for run in runs for text in run.complaints]
        + silent,
    )


def _line(run: Run) -> str:
    if run.complaints or run.latency is None:
        return f"{run.repeat}. {run.legs:5,} calls  DOES NOT COUNT: {(run.complaints or ['no block observed'])[0]}"
    latency = run.latency
    figures = f"p50 {latency.p50_ms:.1f}  p99 {latency.p99_ms:.1f}  max {latency.max_ms:.1f} ms"
    return f"{run.repeat}. {run.legs:5,} calls  {figures}  ({latency.blocks:,} blocks observed)"


_COLUMNS = ["calls", "p50 ms", "p99 ms", "max ms", "max while calls begin and end, ms", "blocks observed"]


def _latencies(runs: list[Run], calls: int) -> list[Latency]:
    return [run.latency for run in runs if run.legs == calls and run.latency is not None]


def _cells(runs: list[Run], loads: tuple[int, ...]) -> Cells:
    cells = []
    for calls in loads:
        found = _latencies(runs, calls)
        if not found:
            cells.append([f"{calls:,}", "does not count", "", "", "", ""])
            continue
        columns = [
            Spread.of(latency.p50_ms for latency in found),
            Spread.of(latency.p99_ms for latency in found),
            Spread.of(latency.max_ms for latency in found),
            Spread.of(latency.whole_max_ms for latency in found),
        ]
        blocks = sum(latency.blocks for latency in found)
        cells.append([f"{calls:,}", *(spread.text(".1f") for spread in columns), f"{blocks:,}"])
    return cells


def _chart(runs: list[Run], loads: tuple[int, ...]) -> Lines:
    found = {calls: latencies for calls in loads if (latencies := _latencies(runs, calls))}
    x = [float(calls) for calls in found]
    p50 = [Spread.of(latency.p50_ms for latency in latencies) for latencies in found.values()]
    p99 = [Spread.of(latency.p99_ms for latency in latencies) for latencies in found.values()]
    lines = [Line("p50", x, p50), Line("p99", x, p99, ours=True)]
    return Lines("Age of audio when a sink gets it", "calls", "ms", lines, bound=BOUND_MS)


def _answer(calls: int, found: list[Latency]) -> str:
    if not found:
        return f"{calls:,} calls: no run counts"
    p99, most = Spread.of(latency.p99_ms for latency in found), max(latency.max_ms for latency in found)
    return f"{calls:,} calls: a block is {p99.text('.1f')} ms old at p99 when a sink gets it, {most:.1f} ms at most"


QUESTION = Question(
    name="latency",
    explains="""A block of audio is as old as the latest packet that it needs: from the stamp that the kernel gave
that packet until a sink's receive() is called with the block, in a thread of its own, while calls are recorded.
Both clocks are CLOCK_MONOTONIC of one machine. Nothing is lost or out of order on the way, so nothing waits for
the reorder deadline: what is measured is the drain clock, the release clock, the work, the queue and the thread
switch. The rest of a track that is handed over when its call ends is left out.

About 128 calls are observed of those that are there; the referee checks the recordings of all.""",
    settings=Settings,
    quick=Settings(calls=(50, 200), ramp=500.0, seconds=2.0, repeats=1),
    measure=measure,
)
