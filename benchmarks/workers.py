"""What do several workers cost, and does a leg stay in one of them?

Calls are recorded by one process and by a supervisor with workers. All of the server is kept on one core, so that
only the work differs and not what cores do to one another. A process with fewer calls has smaller batches, so workers
are compared with one process that has all calls, and with one that has as many as each of them.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from benchmarks import environment, table
from benchmarks.contenders import OURS
from benchmarks.course import Course
from benchmarks.kernel import SENDER_CPU, pinned
from benchmarks.load import PACKETS_PER_SECOND_PER_LEG, Load
from benchmarks.progress import Say
from benchmarks.question import Question
from benchmarks.receiver import WORKERS
from benchmarks.report import Bar, Bars, Report, Spread, Table
from benchmarks.results import Run


class Settings(msgspec.Struct, frozen=True):
    """What was asked for."""

    workers: Annotated[int, Meta(ge=2, description="Processes that share the calls.")] = 2
    legs: Annotated[int, Meta(ge=1, description="Calls at once.")] = 2000
    ramp: Annotated[float, Meta(ge=1, description="Calls that begin, and end, per second.")] = 200.0
    seconds: Annotated[float, Meta(ge=1, description="For how long all of them are there.")] = 8.0
    repeats: Annotated[int, Meta(ge=1, description="How often, taking turns.")] = 3


class Round(msgspec.Struct, frozen=True):
    """One repeat.

    Attributes:
        share: one process with as many calls as one of the workers.
        single: one process with all calls.
        shared: the workers with all calls.
    """

    share: Run
    single: Run
    shared: Run

    @property
    def complaints(self) -> list[str]:
        """What the referee found."""
        return [text for run in (self.share, self.single, self.shared) for text in run.complaints]

    def ratio_of_all(self) -> float:
        """Return the cost with workers over that of one process with all calls."""
        return cost_ns(self.shared) / cost_ns(self.single)

    def ratio_of_share(self) -> float:
        """Return the cost with workers over that of one process with a worker's share of calls."""
        return cost_ns(self.shared) / cost_ns(self.share)


def measure(settings: Settings, say: Say, scratch: Path) -> Report:
    """Run all in turn."""
    where = environment.describe(scratch)
    rounds = [_round(settings, repeat, say, scratch) for repeat in range(1, settings.repeats + 1)]
    runs = [run for each in rounds for run in (each.share, each.single, each.shared)]
    counting = [each for each in rounds if not each.complaints]
    complaints = [f"{run.contender}, {run.legs} legs, {text}" for run in runs for text in run.complaints]
    complaints += [f"workers: {text}" for each in counting for text in _split(each.shared)]
    return Report(
        question="workers",
        environment=where,
        answers=_answers(settings, counting),
        tables=[_costs(settings, counting), _shares(counting)],
        runs=len(runs),
        charts=[Bars("CPU time per packet", "ns", [Bar(*line, ours=True) for line in _lines(settings, counting)])],
        conditions=[["the server's core", "one, for all of its processes"], *table.conditions(runs)],
        figures=msgspec.to_builtins(rounds),
        complaints=complaints,
    )


def _round(settings: Settings, repeat: int, say: Say, scratch: Path) -> Round:
    share = -(-settings.legs // settings.workers)
    runs: list[Run] = []
    for legs, contender, options in (
        (share, OURS, "{}"),
        (settings.legs, OURS, "{}"),
        (settings.legs, WORKERS, msgspec.json.encode(settings.workers).decode()),
    ):
        name = f"{settings.workers} workers" if contender == WORKERS else "one process"
        say.doing(f"{name}, {legs:,} calls", (repeat - 1 + len(runs) / 3) / settings.repeats)
        load = Load(legs, legs / settings.ramp, settings.seconds)
        with pinned(SENDER_CPU), closing(Course(load, scratch)) as course:
            runs.append(course.run(contender, repeat, options))
        verdict = f"  DOES NOT COUNT: {runs[-1].complaints[0]}" if runs[-1].complaints else ""
        say(f"{repeat}. {name:12} {legs:6,} calls  {cost_ns(runs[-1]):8,.0f} ns/packet{verdict}")
    return Round(*runs)


def cost_ns(run: Run) -> float:
    """Return CPU time per packet that was offered; the referee has seen that none was lost.

    What workers have received is known to a second only, so the plateau's packets are taken from the load.
    """
    return run.cpu_ns * run.received_per_s / (run.legs * PACKETS_PER_SECOND_PER_LEG)


def _split(run: Run) -> list[str]:
    """Say what speaks against every leg having been in one worker as a whole."""
    found = []
    started = sum(worker["calls_started"] for worker in run.workers)
    if started != run.legs:
        found.append(f"{run.legs} legs were sent, {started} calls began: some were split")
    for number, worker in enumerate(run.workers):
        if worker["tracks"] != 2 * worker["calls"] or not worker["calls"]:
            found.append(f"worker {number} had {worker['calls']} calls at once, and {worker['tracks']} tracks")
    return found


def _lines(settings: Settings, rounds: list[Round]) -> list[tuple[str, Spread]]:
    if not rounds:
        return []
    share = rounds[0].share.legs
    return [
        (f"one process, {share:,} calls", Spread.of(cost_ns(each.share) for each in rounds)),
        (f"one process, {settings.legs:,} calls", Spread.of(cost_ns(each.single) for each in rounds)),
        (f"{settings.workers} workers, {settings.legs:,} calls", Spread.of(cost_ns(each.shared) for each in rounds)),
    ]


def _costs(settings: Settings, rounds: list[Round]) -> Table:
    cells = [[label, spread.text()] for label, spread in _lines(settings, rounds)]
    return Table("CPU time per packet, all processes of the server", ["server", "ns"], cells)


def _shares(rounds: list[Round]) -> Table:
    names = ["calls_started", "calls", "tracks", "datagrams"]
    cells = [
        [str(each.shared.repeat), str(number), *(f"{worker[name]:,}" for name in names)]
        for each in rounds
        for number, worker in enumerate(each.shared.workers)
    ]
    columns = ["repeat", "worker", "calls that began", "calls at once", "tracks at once", "packets"]
    note = "Two tracks to a call, and as many calls as legs were sent: both directions of each leg met in one worker."
    return Table("Who had what", columns, cells, text_columns=2, note=note)


def _answers(settings: Settings, rounds: list[Round]) -> list[str]:
    if not rounds:
        return ["no run counts"]
    of_share = Spread.of(each.ratio_of_share() for each in rounds).text(".2f")
    of_all = Spread.of(each.ratio_of_all() for each in rounds).text(".2f")
    whole = not any(_split(each.shared) for each in rounds)
    return [
        f"a packet costs {settings.workers} workers {of_share} times what it costs one process with the calls of "
        f"one of them, and {of_all} times what it costs one process with all {settings.legs:,} calls",
        f"both directions of every leg met in one worker: {'yes' if whole else 'NO'}",
    ]


QUESTION = Question(
    name="workers",
    explains="""The same calls are recorded by one process, and by ``strep serve --workers N``, in turn. All processes
of the server share one core here: what is compared is processor time per packet, not how much more two cores
carry. The fewer calls a process has, the more a packet costs it, so there is one with a worker's share of the calls
as well.

The referee checks every recording. That a leg was not split between workers shows in their counters: each has two
tracks to a call, and together they had as many calls as legs were sent.""",
    settings=Settings,
    quick=Settings(legs=200, ramp=400.0, seconds=2.0, repeats=1),
    measure=measure,
)
