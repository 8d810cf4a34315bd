"""What does a media frame cost over WebSocket, and how many recorded calls does one core carry?

Every contender gets the same media streams, a socket per call and two tracks on it, in a process of its own on one
core, while the sender has the other. `benchmarks.contenders.streams` lists them, `README.md` says how and why.
"""

from __future__ import annotations

import itertools
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from benchmarks import environment, websocket_table
from benchmarks.contenders.installed import NEEDS, versions
from benchmarks.contenders.streams import OURS, STREAM_CONTENDERS, missing
from benchmarks.kernel import SENDER_CPU, pinned
from benchmarks.progress import Say
from benchmarks.question import Question
from benchmarks.report import Report
from benchmarks.websocket_course import StreamCourse, StreamRun
from benchmarks.websocket_frames import StreamLoad
from benchmarks.websocket_knee import Step, search


class Settings(msgspec.Struct, frozen=True):
    """What was asked for."""

    calls: Annotated[tuple[Annotated[int, Meta(ge=1)], ...], Meta(description="Calls at once.")] = (200,)
    ramp: Annotated[float, Meta(ge=1, description="Calls that begin, and end, per second.")] = 100.0
    seconds: Annotated[float, Meta(ge=0.1, description="For how long all of them are there.")] = 4.0
    repeats: Annotated[int, Meta(ge=1, description="How often, contenders taking turns.")] = 3
    only: Annotated[
        tuple[str, ...],
        Meta(description="Just these contenders.", extra={"choices": list(STREAM_CONTENDERS), "shown": False}),
    ] = tuple(STREAM_CONTENDERS)
    knee: Annotated[
        tuple[str, ...],
        Meta(description="Contenders whose knee is searched.", extra={"choices": [*STREAM_CONTENDERS, "none"]}),
    ] = (OURS, "node")
    most: Annotated[int, Meta(ge=1, description="Calls that are enough.")] = 1200
    lag: Annotated[
        float, Meta(gt=0, description="Milliseconds from a ping to its pong that are too many at p99.")
    ] = 100.0


def measure(settings: Settings, say: Say, scratch: Path) -> Report:
    """Measure the cost of a frame with contenders taking turns, then search the knees."""
    where = environment.describe(scratch, ("websockets", "fastapi", "uvicorn"))
    names = _present(settings, say)
    with pinned(SENDER_CPU):  # this process mostly waits; never on the server's core
        runs = _run_all(settings, [name for name in names if name in settings.only], say, scratch)
        knees = {
            name: search(name, settings.most, settings.ramp, settings.seconds, settings.lag, say, scratch)
            for name in names
            if name in settings.knee
        }
    others = [["others", versions(NEEDS)]]
    return Report(
        question="websocket",
        environment=where,
        answers=websocket_table.answers(runs, knees, settings.lag),
        tables=websocket_table.tables(runs, knees),
        runs=len(runs) + sum(map(len, knees.values())),
        charts=[*websocket_table.charts(runs)],
        conditions=[*websocket_table.conditions(runs), *others],
        figures=msgspec.to_builtins({"runs": runs, "knees": knees}),
        complaints=[*_complaints(runs), *_without_knee(knees)],
    )


def _present(settings: Settings, say: Say) -> list[str]:
    """Return those that are asked for and can be measured here; say of the others how that could be changed."""
    wanted = [name for name in STREAM_CONTENDERS if name in settings.only or name in settings.knee]
    for name in wanted:
        if what := missing(name):
            say(f"{STREAM_CONTENDERS[name].label} is left out: {what}")
    return [name for name in wanted if not missing(name)]


def _run_all(settings: Settings, names: list[str], say: Say, scratch: Path) -> list[StreamRun]:
    runs: list[StreamRun] = []
    total = settings.repeats * len(settings.calls) * len(names)
    with ExitStack() as stack:
        say.doing("writing all frames")
        loads = [StreamLoad(calls, calls / settings.ramp, settings.seconds) for calls in settings.calls]
        courses = [stack.enter_context(closing(StreamCourse(load, scratch))) for load in loads]
        for repeat, course in itertools.product(range(1, settings.repeats + 1), courses):
            for name in names:
                say.doing(f"{STREAM_CONTENDERS[name].label}, {course.load.calls:,} calls", len(runs) / total)
                runs.append(course.run(name, repeat))
                say(websocket_table.line(runs[-1]))
    return runs


def _complaints(runs: list[StreamRun]) -> list[str]:
    return [
        f"{run.contender}, {run.calls} calls, repeat {run.repeat}: {text}" for run in runs for text in run.complaints
    ]


def _without_knee(knees: dict[str, list[Step]]) -> list[str]:
    return [
        f"{name}: no load at all was carried" for name, steps in knees.items() if not any(s.carried for s in steps)
    ]


QUESTION = Question(
    name="websocket",
    explains="""Every contender receives the same media streams, in a process of its own on one core, while the sender
has the other: a WebSocket per call, JSON frames of both tracks with 20 ms of mu-law audio in base64, each written
to its socket at its own time. "strep" does the whole job, up to a stereo WAV file and a sidecar per call. The rest
parse, decode base64 and mu-law, and that is all.

Once a second every call sends a ping; the time until its pong is how far a server lags behind what was sent. A
knee is the most calls that are carried without a lag beyond the bound and without a complaint of the referee, who
compares every recording with what was sent, to the sample, and counts and checksums of every decoder.""",
    settings=Settings,
    quick=Settings(calls=(100,), ramp=200.0, seconds=1.0, repeats=1, knee=("none",)),
    measure=measure,
)
