"""What does a packet cost, from the kernel to where a receiver leaves it, and how many can it take?

Every contender gets the same packets under the same load, in a process of its own on one core, while the
sender has the other. `benchmarks.contenders` lists them, `README.md` says how and why.
"""

from __future__ import annotations

import itertools
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec

from benchmarks import environment, table
from benchmarks.contenders import CONTENDERS, FLOOR, OURS, RECORDING, missing
from benchmarks.contenders.installed import NEEDS, versions
from benchmarks.course import Course
from benchmarks.kernel import SENDER_CPU, pinned
from benchmarks.load import Load
from benchmarks.progress import Say
from benchmarks.question import Question
from benchmarks.report import Report
from benchmarks.results import Results, Run, Settings, summarize


def measure(settings: Settings, say: Say, scratch: Path) -> Report:
    """Run everything, contenders taking turns, and return all figures."""
    where = environment.describe(scratch, ("asyncio-dgram",))
    results = summarize(settings, run_all(settings, say, scratch))
    return Report(
        question="receive",
        environment=where,
        answers=_answers(results),
        tables=table.tables(results),
        runs=len(results.runs),
        charts=[*table.charts(results)],
        conditions=[*table.conditions(results.runs), ["others", versions(NEEDS)]],
        figures=msgspec.to_builtins(results),
        complaints=results.complaints,
    )


def run_all(settings: Settings, say: Say, scratch: Path) -> list[Run]:
    """Return a run of every chosen contender, under every load, in every repeat."""
    contenders = _present([name for name in CONTENDERS if name in settings.only], say)
    runs: list[Run] = []
    total = settings.repeats * len(settings.legs) * len(contenders)
    with pinned(SENDER_CPU), ExitStack() as stack:  # this process mostly waits; never on the receiver's core
        say.doing("writing all datagrams")
        loads = [Load(legs, legs / settings.ramp, settings.seconds) for legs in settings.legs]
        courses = [stack.enter_context(closing(Course(load, scratch))) for load in loads]
        for repeat, course in itertools.product(range(1, settings.repeats + 1), courses):
            for name in _up_to(course.load.legs, contenders):
                say.doing(f"{CONTENDERS[name].label}, {course.load.legs:,} legs", len(runs) / total)
                runs.append(course.run(name, repeat))
                say(_line(runs[-1]))
    return runs


def _present(names: list[str], say: Say) -> list[str]:
    """Return those that can be measured here, and say of the others how that could be changed."""
    for name in names:
        if what := missing(name):
            say(f"{CONTENDERS[name].label} is left out: {what}")
    return [name for name in names if not missing(name)]


def _up_to(legs: int, names: list[str]) -> list[str]:
    """Return those that are asked to take so many calls."""
    most = {name: CONTENDERS[name].most_legs for name in names}
    return [name for name in names if legs <= (most[name] or legs)]


def _line(run: Run) -> str:
    label = CONTENDERS[run.contender].label
    share = f"{run.received_share:6.1%} of {run.sent:,}" if run.sent else "nothing sent"
    verdict = "" if not run.complaints else f"  DOES NOT COUNT: {run.complaints[0]}"
    return f"{run.repeat}. {run.legs:5,} legs  {label:30} {share:>20}  {run.cpu_ns:8,.0f} ns/packet{verdict}"


def _answers(results: Results) -> list[str]:
    found = []
    for ratio in results.ratios:
        if (ratio.over, ratio.under) == (OURS, FLOOR):
            cost = next(row.cpu_ns for row in results.rows if (row.contender, row.legs) == (OURS, ratio.legs))
            found.append(
                f"{ratio.legs:,} calls recorded: {cost.text()} ns of CPU per packet, "
                f"{ratio.ratio.text('.2f')} times what the kernel takes to hand it over"
            )
    return [*found, *_others(results)]


def _others(results: Results) -> list[str]:
    """Return, per load, what the others take in times of ours."""
    found = []
    for legs in results.settings.legs:
        ratios = [ratio for ratio in results.ratios if (ratio.legs, ratio.under) == (legs, OURS)]
        named = [
            f"{CONTENDERS[ratio.over].label} {ratio.ratio.median:.1f}"
            for ratio in ratios
            if ratio.over not in RECORDING
        ]
        if named:
            found.append(f"{legs:,} calls, others in times of ours: {'; '.join(named)}")
    return found


QUESTION = Question(
    name="receive",
    explains="""Every contender receives the same calls, in a process of its own on one core, while the sender has the
other. "bare recvmmsg every 5 ms" is the floor: it drops what it reads. "strep" does the whole job, up to a
stereo WAV file and a sidecar per call. The rest parse, find the stream and decode, and that is all.

The referee compares every recording with what was sent, to the sample, and every decoder's checksums.""",
    settings=Settings,
    quick=Settings(legs=(300,), ramp=500.0, seconds=1.0, repeats=1),
    measure=measure,
)
