"""How many calls does this machine carry, and what gives way first?

The load is stepped up until a packet is lost, audio comes too late or the sender cannot go on, the knee is searched
between the last load that was carried and the first that was not, and then held for as long as was asked for.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from benchmarks import environment, table
from benchmarks.course import Course
from benchmarks.kernel import SENDER_CPU, pinned
from benchmarks.latency import probing
from benchmarks.load import Load
from benchmarks.progress import Say
from benchmarks.question import Question
from benchmarks.receiver import OBSERVED
from benchmarks.report import Line, Lines, Report, Spread, Table
from benchmarks.results import Run
from benchmarks.symptoms import SETTLE_SECONDS, Symptom, Symptoms

RESOLUTION = 1.1
"""The knee is known when a load was carried, and one so many times as large was not."""
_STEP_UP = 1.6
_STEP_DOWN = 0.92
_HOLDS = 4


class Settings(msgspec.Struct, frozen=True):
    """What was asked for."""

    start: Annotated[int, Meta(ge=1, description="Calls of the first step.")] = 500
    most: Annotated[int, Meta(ge=1, description="Calls that are enough.")] = 6000
    seconds: Annotated[float, Meta(ge=1, description="For how long each step is held.")] = 8.0
    hold: Annotated[float, Meta(ge=1, description="For how long the knee is held at the end.")] = 60.0
    tries: Annotated[int, Meta(ge=1, description="How often a step may fail while the knee is searched.")] = 2
    ramp: Annotated[float, Meta(ge=1, description="Calls that begin per second.")] = 200.0
    latency: Annotated[float, Meta(gt=0, description="Milliseconds that audio may be old at p99.")] = 50.0
    segmented: Annotated[bool, Meta(description="Let the kernel cut the sender's messages into datagrams.")] = False


class Step(msgspec.Struct, frozen=True):
    """A load, and whether it was carried.

    Attributes:
        calls: at once.
        seconds: for how long all of them were there.
        run: figures.
        symptoms: (seconds since the first packet, what), earliest first; none if the load was carried.
    """

    calls: int
    seconds: float
    run: Run
    symptoms: list[Symptom]

    @property
    def carried(self) -> bool:
        """Whether everything was as it should be."""
        return not self.symptoms

    @property
    def busy(self) -> float:
        """Processor time per wall time of the server on the plateau: 1 is a core."""
        return self.run.cpu_ns * self.run.received_per_s / 1e9


class Search:
    """Which load is next? Up in large steps, then into the middle."""

    def __init__(self, settings: Settings) -> None:
        """Begin at the start."""
        self._settings = settings
        self.carried = 0
        """The largest load known to be carried."""
        self.too_much: int | None = None
        """The smallest load known not to be."""

    def next(self) -> int | None:
        """Return the calls to try, None when the knee is known well enough."""
        if self.too_much is None:
            if self.carried >= self._settings.most:
                return None
            larger = round(self.carried * _STEP_UP) or self._settings.start
            return _round(min(larger, self._settings.most))
        if not self.carried:
            return _round(self.too_much / 2) if self.too_much > 1 else None
        if self.too_much <= self.carried * RESOLUTION:
            return None
        middle = _round((self.carried + self.too_much) / 2)
        return middle if self.carried < middle < self.too_much else None

    def learn(self, calls: int, *, carried: bool) -> None:
        """Take note of a step."""
        if carried:
            self.carried = max(self.carried, calls)
        else:
            self.too_much = min(calls, self.too_much or calls)


def _round(calls: float) -> int:
    """Return a number that can be remembered."""
    unit = 50 if calls >= 500 else 10 if calls >= 50 else 1
    return max(round(calls / unit) * unit, 1)


def measure(settings: Settings, say: Say, scratch: Path) -> Report:
    """Search the knee, then hold it; a knee that does not hold is lowered a few times."""
    where = environment.describe(scratch)
    search, steps = Search(settings), []
    while (calls := search.next()) is not None:
        for _ in range(settings.tries):  # others share most machines, and a step is short
            steps.append(_step(settings, calls, settings.seconds, say, scratch))
            if steps[-1].carried:
                break
        search.learn(calls, carried=steps[-1].carried)
    held = _hold(settings, search.carried, steps, say, scratch)
    return Report(
        question="capacity",
        environment=where,
        answers=_answers(held, steps, settings),
        tables=[Table("Steps", _COLUMNS, [_cells(step) for step in steps], text_columns=2)],
        runs=len(steps),
        charts=[_chart(steps, settings)],
        conditions=table.conditions([step.run for step in steps], offered=False),
        figures=msgspec.to_builtins(steps),
        complaints=[] if held else ["no load at all was carried"],
    )


def _hold(settings: Settings, calls: int, steps: list[Step], say: Say, scratch: Path) -> Step | None:
    """Return the step that was carried for `Settings.hold` seconds."""
    for _ in range(_HOLDS):
        if not calls:
            break
        steps.append(_step(settings, calls, settings.hold, say, scratch))
        if steps[-1].carried:
            return steps[-1]
        calls = _round(calls * _STEP_DOWN) if calls > 1 else 0
    return None


def _step(settings: Settings, calls: int, seconds: float, say: Say, scratch: Path) -> Step:
    load = Load(calls, calls / settings.ramp, SETTLE_SECONDS + seconds, segmented=settings.segmented)
    symptoms = Symptoms(settings.latency)
    say.doing(f"{calls:,} calls for {seconds:g} s")
    with pinned(SENDER_CPU), closing(Course(load, scratch)) as course:
        run = course.run(OBSERVED, 1, probing(calls), watch=symptoms.watch)
    first_s, last_s = (edge_ns / 1e9 for edge_ns in load.plateau_ns)
    step = Step(calls, seconds, run, symptoms.diagnose(run, load.packets_per_second, (first_s, last_s)))
    say(f"{calls:6,} calls for {seconds:g} s: " + ("; ".join(step[1] for step in step.symptoms) or "carried"))
    return step


_COLUMNS = ["calls", "verdict: what gave way, in this order", "seconds", "% of a core", "p99 ms", "lost packets"]


_CUT = "; the kernel cut the sender's messages into datagrams (UDP_SEGMENT)"


def _cells(step: Step) -> list[str]:
    p99 = f"{step.run.latency.p99_ms:.1f}" if step.run.latency else ""
    lost = f"{step.run.sent - step.run.received:,}" if step.run.sent else ""
    order = "; ".join(f"{what} (at {at_s:.0f} s)" for at_s, what in step.symptoms)
    return [f"{step.calls:,}", order or "carried", f"{step.seconds:g}", f"{step.busy * 100:.0f}", p99, lost]


def _answers(held: Step | None, steps: list[Step], settings: Settings) -> list[str]:
    answers = ["this machine did not carry the smallest load that was tried"]
    if held is not None:
        late = f", audio {held.run.latency.p99_ms:.1f} ms old at p99" if held.run.latency else ""
        answers = [
            f"this machine carries {held.calls:,} recorded two-direction calls for {held.seconds:g} s on one core, "
            f"{held.run.sent:,} packets without one lost{late}, {held.busy:.0%} of the core busy; "
            f"{settings.ramp:g} calls began per second{_CUT if settings.segmented else ''}"
        ]
    failed = [step for step in steps if not step.carried and (held is None or step.calls > held.calls)]
    if failed:
        least = min(failed, key=lambda step: step.calls)
        answers.append(f"at {least.calls:,} calls gave way first: {least.symptoms[0].what}")
    elif held is not None:
        answers.append(f"nothing gave way up to {held.calls:,} calls; try more with --most {2 * settings.most}")
    return answers


def _chart(steps: list[Step], settings: Settings) -> Lines:
    observed = sorted((step.calls, step.run.latency.p99_ms) for step in steps if step.run.latency)
    x, y = [float(calls) for calls, _ in observed], [Spread.of([p99]) for _, p99 in observed]
    return Lines("Age of audio by load", "calls", "p99, ms", [Line("strep", x, y, ours=True)], settings.latency)


QUESTION = Question(
    name="capacity",
    explains="""The load is stepped up until a packet is lost, audio is older than --latency at p99 when a sink gets
it, the referee finds a wrong recording, or the sender does not keep up. The knee is searched between the last load
that was carried and the first that was not (a step may fail --tries times, for there are machines that others use,
too), and held for --hold seconds: that is the answer.

One core sends about 300,000 packets a second one by one, which is 3,000 calls. With --segmented it hands the kernel
up to 64 datagrams as one message, which are cut up before they are queued: the server gets the same datagrams one by
one, and the sender is no longer what gives way.

The server has one core, the load generator the other, so this is what one core carries; leave a real machine the
room that its network card and its disk take. Recordings of 1,000 calls grow by 32 MB a second in --scratch.""",
    settings=Settings,
    quick=Settings(start=100, most=250, seconds=1.0, hold=2.0, tries=1, ramp=250.0),
    measure=measure,
)
