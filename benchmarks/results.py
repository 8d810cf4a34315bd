"""Figures: what one run gave, and the medians and ratios over the repeats."""

from __future__ import annotations

from statistics import median
from typing import Annotated

import msgspec
from msgspec import Meta

from benchmarks.contenders import CONTENDERS, FLOOR, OURS
from benchmarks.load import PACKETS_PER_SECOND_PER_LEG
from benchmarks.report import Spread


class Conditions(msgspec.Struct, frozen=True):
    """What the system allowed.

    Attributes:
        pinned: sender and receiver have a core each.
        buffer_bytes: of the receiver's socket, as SO_RCVBUF counts.
        forced: with SO_RCVBUFFORCE.
    """

    pinned: bool
    buffer_bytes: int
    forced: bool


class Latency(msgspec.Struct, frozen=True):
    """Ages of blocks when a sink got them, see `benchmarks.probe`.

    Attributes:
        blocks: handed over on the plateau.
        p50_ms, p99_ms, max_ms: of these.
        whole_max_ms: of all blocks, also while calls began and ended.
        seconds_p99_ms: p99 of every second of the plateau.
    """

    blocks: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    whole_max_ms: float
    seconds_p99_ms: list[float]


class Run(msgspec.Struct, frozen=True):
    """One contender, once, under one load; of one that died there is nothing but the complaint."""

    contender: str
    legs: int
    repeat: int
    sent: int = 0
    received: int = 0
    kernel_drops: int = 0
    offered_per_s: float = 0.0
    """On the plateau."""
    received_per_s: float = 0.0
    """On the plateau."""
    cpu_ns: float = 0.0
    """Processor time per received packet, on the plateau: every call is open, none begins or ends."""
    between_ns: float = 0.0
    """The same from before the first packet until the last one was read."""
    whole_ns: float = 0.0
    """The same from before the first packet until everything is finished: for recordings, all files closed."""
    threads_ns: dict[str, float] = {}
    """`cpu_ns` by thread."""
    lateness_ms: dict[str, float] = {}
    """Of the sender, against each packet's deadline: p50_ms, p99_ms, max_ms."""
    conditions: Conditions | None = None
    referee_ns: float = 0.0
    """Part of `cpu_ns` that pays for the referee's checksum."""
    idle_share: float | None = None
    """Processor time per wall time before the first packet, if that was measured."""
    latency: Latency | None = None
    """From the kernel to a sink, if that was measured."""
    workers: list[dict[str, int]] = []
    """Of each worker, if there are several: calls_started, calls and tracks at once, datagrams."""
    complaints: list[str] = []
    """What the referee found; a run with complaints does not count."""

    @property
    def received_share(self) -> float:
        """On the plateau; 1 only if nothing was lost at any time."""
        if self.received == self.sent:
            return 1.0
        offered_per_s = self.legs * PACKETS_PER_SECOND_PER_LEG
        return min(self.received_per_s / offered_per_s, self.received / self.sent, 0.9999)


class Row(msgspec.Struct, frozen=True):
    """A contender under a load; figures as in `Run`."""

    contender: str
    legs: int
    runs: int
    received_share: Spread
    received_per_s: Spread
    cpu_ns: Spread
    between_ns: Spread
    whole_ns: Spread
    threads_ns: dict[str, float]
    """Medians."""
    referee_ns: float


class Ratio(msgspec.Struct, frozen=True):
    """CPU per packet of one contender over that of another, within the same repeat."""

    legs: int
    over: str
    under: str
    ratio: Spread


class Settings(msgspec.Struct, frozen=True):
    """What was asked for."""

    legs: Annotated[tuple[Annotated[int, Meta(ge=1)], ...], Meta(description="Calls at once.")] = (1000, 100)
    ramp: Annotated[float, Meta(ge=1, description="Calls that begin, and end, per second.")] = 125.0
    seconds: Annotated[float, Meta(ge=0.1, description="For how long all of them are there.")] = 6.0
    repeats: Annotated[int, Meta(ge=1, description="How often, contenders taking turns.")] = 3
    only: Annotated[
        tuple[str, ...],
        Meta(description="Just these contenders.", extra={"choices": list(CONTENDERS), "shown": False}),
    ] = tuple(CONTENDERS)


class Results(msgspec.Struct, frozen=True):
    """Everything, as it is kept in JSON."""

    settings: Settings
    rows: list[Row]
    ratios: list[Ratio]
    runs: list[Run]

    def names(self, legs: int) -> list[str]:
        """Return the contenders that took part under a load, in the order of the tables."""
        names = {run.contender for run in self.runs if run.legs == legs}
        return [name for name in CONTENDERS if name in names]

    @property
    def complaints(self) -> list[str]:
        """What the referee found, over all runs."""
        return [
            f"{run.contender}, {run.legs} legs, repeat {run.repeat}: {complaint}"
            for run in self.runs
            for complaint in run.complaints
        ]

    def row(self, contender: str, legs: int) -> Row | None:
        """Return the figures of a contender, None if none of its runs counts."""
        return next((row for row in self.rows if (row.contender, row.legs) == (contender, legs)), None)


def summarize(settings: Settings, runs: list[Run]) -> Results:
    """Return rows and ratios of the runs that count."""
    counting = [run for run in runs if not run.complaints and run.received]
    rows = [
        _row([run for run in counting if (run.contender, run.legs) == (contender, legs)])
        for legs in settings.legs
        for contender in CONTENDERS
        if any((run.contender, run.legs) == (contender, legs) for run in counting)
    ]
    ratios = [ratio for legs in settings.legs for ratio in _ratios(counting, legs)]
    return Results(settings, rows, ratios, runs)


def _row(runs: list[Run]) -> Row:
    names = sorted({name for run in runs for name in run.threads_ns})
    return Row(
        contender=runs[0].contender,
        legs=runs[0].legs,
        runs=len(runs),
        received_share=Spread.of(run.received_share for run in runs),
        received_per_s=Spread.of(run.received_per_s for run in runs),
        cpu_ns=Spread.of(run.cpu_ns for run in runs),
        between_ns=Spread.of(run.between_ns for run in runs),
        whole_ns=Spread.of(run.whole_ns for run in runs),
        threads_ns={name: median(run.threads_ns.get(name, 0.0) for run in runs) for name in names},
        referee_ns=median(run.referee_ns for run in runs),
    )


def _ratios(runs: list[Run], legs: int) -> list[Ratio]:
    """Ours over the floor, and everybody else over ours."""
    others = [name for name in CONTENDERS if name not in (OURS, FLOOR, "prefilled")]
    pairs = [(OURS, FLOOR), *((name, OURS) for name in others)]
    found = []
    for over, under in pairs:
        by_repeat = {(run.contender, run.repeat): run.cpu_ns for run in runs if run.legs == legs}
        repeats = [repeat for name, repeat in by_repeat if name == over and (under, repeat) in by_repeat]
        if repeats:
            spread = Spread.of(by_repeat[over, repeat] / by_repeat[under, repeat] for repeat in repeats)
            found.append(Ratio(legs, over, under, spread))
    return found
