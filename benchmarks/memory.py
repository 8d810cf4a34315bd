"""What does a call weigh, and what stays when it has gone?

The first is a slope: what the server holds under two loads, divided by the calls between them, so that the
interpreter and the libraries cancel out. The second is a series: what it holds when 5,000 short calls have come and
gone, 10,000, and so on; no more live at once than their rate and the idle timeout make. A leak goes on rising, what
only fills up (the heap's gaps, caches with a bound) stops.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from benchmarks import environment, table
from benchmarks.child import Child, ChildError
from benchmarks.course import Course
from benchmarks.kernel import SENDER_CPU, pinned
from benchmarks.load import Load
from benchmarks.progress import Say
from benchmarks.question import Question
from benchmarks.receiver import OBSERVED
from benchmarks.report import Report, Spread, Table
from benchmarks.results import Run
from benchmarks.short_calls import SHORT_CALL_SECONDS, ShortCalls
from benchmarks.weight import Weight, weigh

BOUND_KIB = 96.0
"""Per call."""
_SEEDS = 1_000_000
"""Between the looks: no two calls of a server sound alike, or are called alike."""


class Settings(msgspec.Struct, frozen=True):
    """What was asked for."""

    few: Annotated[int, Meta(ge=1, description="Calls of the smaller load.")] = 500
    many: Annotated[int, Meta(ge=2, description="Calls of the larger load.")] = 2500
    seconds: Annotated[float, Meta(ge=1, description="For how long all of them are there.")] = 8.0
    ramp: Annotated[float, Meta(ge=1, description="Calls that begin, and end, per second.")] = 200.0
    gone: Annotated[int, Meta(ge=1, description="Short calls between one look at what stays and the next.")] = 5000
    all_gone: Annotated[int, Meta(ge=2, description="And short calls in all.")] = 20_000
    repeats: Annotated[int, Meta(ge=1, description="How often.")] = 2


class Stay(msgspec.Struct, frozen=True):
    """What is left of short calls.

    Attributes:
        calls: between one look and the next.
        weights: after each time so many; as it was, and without the reserves of Python and the C library.
        complaints: what the referee found.
    """

    calls: int
    weights: list[tuple[Weight, Weight]] = []
    complaints: list[str] = []

    @property
    def counts(self) -> bool:
        """Whether its figures may be shown."""
        return bool(self.weights) and not self.complaints

    def grown_kib(self, *, held: bool) -> int:
        """Return how much more was resident at the last look than at the first; `held`: without reserves."""
        return self.weights[-1][held].rss_kib - self.weights[0][held].rss_kib

    @property
    def later_calls(self) -> int:
        """Calls that came and went between the first look and the last."""
        return self.calls * (len(self.weights) - 1)


class Scale:
    """Weighs the receiver at the end of a plateau: the last look before the first call ends."""

    def __init__(self, plateau_ns: tuple[int, int]) -> None:
        """Prepare."""
        self._plateau_ns = plateau_ns
        self.weight: Weight | None = None

    def watch(self, receiver: Child, port: int, since_start_ns: int) -> None:
        """Weigh, if it is the time to; see `benchmarks.course.Watch`."""
        first_ns, last_ns = self._plateau_ns
        if first_ns <= since_start_ns < last_ns:
            self.weight = weigh(receiver.pid)


def measure(settings: Settings, say: Say, scratch: Path) -> Report:
    """Weigh under two loads, then after short calls."""
    where = environment.describe(scratch)
    slopes, stays, runs = [], [], []
    with pinned(SENDER_CPU):
        for repeat in range(1, settings.repeats + 1):
            found = [_loaded(settings, calls, repeat, say, scratch) for calls in (settings.few, settings.many)]
            runs += [run for run, _ in found]
            slopes += _slope(settings, found)
            say.doing(f"{settings.all_gone:,} short calls", (repeat - 0.4) / settings.repeats)
            stays.append(_come_and_go(settings, scratch))
            say(f"{repeat}. {_say_stay(stays[-1])}")
    complaints = [f"{run.legs:,} calls: {text}" for run in runs for text in run.complaints]
    complaints += [f"short calls: {text}" for stay in stays for text in stay.complaints]
    return Report(
        question="memory",
        environment=where,
        answers=_answers(settings, slopes, stays),
        tables=[_steady(slopes), _left(stays)],
        runs=len(runs) + len(stays),
        conditions=[*table.conditions(runs), ["a short call", f"{SHORT_CALL_SECONDS:g} s, two directions, recorded"]],
        figures={"runs": msgspec.to_builtins(runs), "slopes": slopes, "stays": msgspec.to_builtins(stays)},
        complaints=complaints,
    )


Slope = dict[str, float]
"""KiB per call, by the name of a `Weight`'s field."""


def _loaded(settings: Settings, calls: int, repeat: int, say: Say, scratch: Path) -> tuple[Run, Weight | None]:
    say.doing(f"{calls:,} calls for {settings.seconds:g} s", (repeat - 1) / settings.repeats)
    load = Load(calls, calls / settings.ramp, settings.seconds)
    scale = Scale(load.plateau_ns)
    with closing(Course(load, scratch)) as course:
        run = course.run(OBSERVED, repeat, watch=scale.watch)
    verdict = f"  DOES NOT COUNT: {run.complaints[0]}" if run.complaints else ""
    say(f"{repeat}. {calls:6,} calls: {scale.weight.pss_kib / 1024 if scale.weight else 0:,.0f} MiB{verdict}")
    return run, scale.weight


def _slope(settings: Settings, found: list[tuple[Run, Weight | None]]) -> list[Slope]:
    (few_run, few), (many_run, many) = found
    if few_run.complaints or many_run.complaints or few is None or many is None:
        return []
    names = Weight.__struct_fields__
    return [{name: (getattr(many, name) - getattr(few, name)) / (settings.many - settings.few) for name in names}]


def _come_and_go(settings: Settings, scratch: Path) -> Stay:
    """Let short calls come, end by their idle timeout, and be forgotten; look again and again."""
    looks = max(settings.all_gone // settings.gone, 2)
    try:
        with ShortCalls(scratch) as short_calls:
            weights = [short_calls.run(settings.gone, seed=look * _SEEDS) for look in range(1, looks + 1)]
            return Stay(settings.gone, weights, short_calls.complaints)
    except ChildError as error:
        return Stay(settings.gone, complaints=[str(error)])


def _say_stay(stay: Stay) -> str:
    if not stay.counts:
        return f"short calls: DO NOT COUNT: {(stay.complaints or ['nothing was weighed'])[0]}"
    held, resident = stay.grown_kib(held=True), stay.grown_kib(held=False)
    return f"{stay.later_calls:,} short calls more leave {held:+,} KiB behind, {resident:+,} KiB with reserves"


def _steady(slopes: list[Slope]) -> Table:
    labels = {
        "pss_kib": "proportional (PSS)",
        "rss_kib": "resident (RSS)",
        "private_dirty_kib": "private, written to",
    }
    cells = [
        [label, Spread.of(slope[name] for slope in slopes).text(".1f") if slopes else "does not count"]
        for name, label in labels.items()
    ]
    return Table("A call that is being recorded", ["memory", "KiB per call"], cells)


def _left(stays: list[Stay]) -> Table:
    columns = ["short calls gone", "held, KiB", "with reserves, KiB"]
    cells = []
    for stay in stays:
        if not stay.counts:
            cells.append([f"{stay.calls:,}", "does not count", ""])
            continue
        for look, (reserved, held) in enumerate(stay.weights, 1):
            cells.append([f"{look * stay.calls:,}", f"{held.rss_kib:,}", f"{reserved.rss_kib:,}"])
    note = (
        "Held is what is left when Python has collected its garbage and the C library given back what it had in "
        "reserve (malloc_trim(3)); with reserves is how the process is found."
    )
    return Table("Resident memory while short calls come and go", columns, cells, text_columns=1, note=note)


def _answers(settings: Settings, slopes: list[Slope], stays: list[Stay]) -> list[str]:
    answers = []
    if slopes:
        pss = Spread.of(slope["pss_kib"] for slope in slopes)
        answers.append(f"a call weighs {pss.text('.0f')} KiB while it is recorded (bound: {BOUND_KIB:g} KiB)")
    counting = [stay for stay in stays if stay.counts]
    if counting:
        held, resident = (Spread.of(stay.grown_kib(held=held) for stay in counting) for held in (True, False))
        calls = counting[0].later_calls
        per_call = held.median * 1024 / calls
        answers.append(
            f"after {settings.gone + calls:,} calls the server holds {held.text('+,.0f')} KiB more than after "
            f"{settings.gone:,}, {per_call:+.0f} bytes a call; with what Python and the C library keep in reserve, "
            f"{resident.text('+,.0f')} KiB"
        )
    return answers


QUESTION = Question(
    name="memory",
    explains="""Two loads are recorded, each by a server of its own; the difference of what the kernel says they hold
(PSS of /proc/PID/smaps_rollup, at the end of the plateau), divided by the difference of their calls, is the weight of
a call. Recordings in the page cache belong to the kernel and are not in it.

Then a third server gets calls of half a second, 250 a second, which end by an idle timeout of one second. When all
are gone its resident memory is read, each time after --gone more of them, up to --all-gone: what rises stays.
It is read as it is, and once more after gc.collect() and malloc_trim(3), which tells reserves from what is held.
The referee checks every recording.""",
    settings=Settings,
    quick=Settings(few=50, many=250, seconds=1.0, ramp=250.0, gone=800, all_gone=1600, repeats=1),
    measure=measure,
)
