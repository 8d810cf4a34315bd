"""How many calls can be talked to in MP3 mode at once, and what does encoding do to everything else?

The server plays speech in MP3 mode to all calls, each from another place on. The carrier plays what it gets on a
clock; the referee decodes every MP3 and compares it with what was played.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from benchmarks import environment
from benchmarks.child import Child, ChildError
from benchmarks.kernel import SENDER_CPU, pinned
from benchmarks.pieces_carrier import SAMPLES, Piece, Stream, begins_at, complaints, dial, speech
from benchmarks.progress import Say
from benchmarks.question import Question
from benchmarks.referee import limited
from benchmarks.report import Cells, Line, Lines, Report, Spread, Table
from media.runtime import loop_factory
from strep.clock import NS_PER_MS

BOUND_MS = 20.0
"""What p99 of the event loop's lateness should stay below: a packet's length."""


class Settings(msgspec.Struct, frozen=True):
    """What was asked for."""

    calls: Annotated[tuple[Annotated[int, Meta(ge=1)], ...], Meta(description="Calls talked to at once.")] = (
        1,
        100,
        500,
    )
    ramp: Annotated[float, Meta(ge=1, description="Calls that begin per second.")] = 200.0
    seconds: Annotated[float, Meta(ge=2, description="For how long all of them are there.")] = 12.0
    same: Annotated[bool, Meta(description="All calls hear the same, from its beginning on.")] = False
    repeats: Annotated[int, Meta(ge=1, description="How often, loads taking turns.")] = 3


class PieceRun(msgspec.Struct, frozen=True):
    """One load, once."""

    calls: int
    repeat: int
    pieces: int = 0
    busy: float = 0.0
    """Processor time of the server per wall time while all calls were there: 1 is a core."""
    carrier_busy: float = 0.0
    """The same of the carrier: near 1, what comes late there is its own doing."""
    loop_ms: dict[str, float] = {}
    """How late the server's event loop was, meanwhile."""
    ramp_loop_ms: dict[str, float] = {}
    """The same while calls begin."""
    first_ms: dict[str, float] = {}
    """From a stream's start until its first piece was there."""
    left_ms: dict[str, float] = {}
    """What the carrier still had to play when the next piece came: the least of all, and of 99 in 100."""
    holes: int = 0
    """Pieces that came after the carrier had played everything before them, of a stream that was to go on."""
    hole_ms: float = 0.0
    """The longest of them."""
    underruns: int = 0
    """Holes, as the server knows of them."""
    complaints: list[str] = []


def measure(settings: Settings, say: Say, scratch: Path) -> Report:
    """Talk to every number of calls, in every repeat."""
    where = environment.describe(scratch)
    runs: list[PieceRun] = []
    total = settings.repeats * len(settings.calls)
    with pinned(SENDER_CPU):
        for repeat, calls in itertools.product(range(1, settings.repeats + 1), settings.calls):
            say.doing(f"{calls:,} calls", len(runs) / total)
            runs.append(_run(settings, PieceRun(calls, repeat), scratch))
            say(_line(runs[-1]))
    counting = [run for run in runs if not run.complaints]
    return Report(
        question="pieces",
        environment=where,
        answers=[_answer(calls, [run for run in counting if run.calls == calls]) for calls in settings.calls],
        tables=[Table("Calls in MP3 mode, 8 kHz", [*_COLUMNS], _cells(counting, settings.calls), note=_NOTE)],
        runs=len(runs),
        charts=[_chart(counting, settings.calls)] if counting else [],
        conditions=[["audio", "the same for all calls" if settings.same else "each call from another place on"]],
        figures=msgspec.to_builtins(runs),
        complaints=[f"{run.calls:,} calls, repeat {run.repeat}: {text}" for run in runs for text in run.complaints],
    )


def _run(settings: Settings, run: PieceRun, scratch: Path) -> PieceRun:
    log = scratch / f"pieces-{run.calls}-{run.repeat}.log"
    server = Child("benchmarks.pieces_server", *(["same"] if settings.same else []), log=log)
    try:
        port = server.answer()["port"]
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            run, streams = runner.run(_listen(settings, run, server, port))
        return _judged(settings, run, streams)
    except ChildError as error:
        return msgspec.structs.replace(run, complaints=[str(error)])
    finally:
        server.close()


async def _listen(settings: Settings, run: PieceRun, server: Child, port: int) -> tuple[PieceRun, list[Stream]]:
    server.ask("mark")
    streams = await dial(port, run.calls, run.calls / settings.ramp)
    begin, own_ns = server.ask("mark"), time.process_time_ns()
    await asyncio.sleep(settings.seconds)
    end, own_ns = server.ask("mark"), time.process_time_ns() - own_ns
    for stream in streams:
        stream.abort()
    server.end()
    said = await asyncio.to_thread(server.answer, 60)
    wall_ns, cpu_ns = end["now_ns"] - begin["now_ns"], end["cpu_ns"] - begin["cpu_ns"]
    run = msgspec.structs.replace(
        run,
        busy=cpu_ns / wall_ns,
        carrier_busy=own_ns / wall_ns,
        loop_ms=end["loop_ms"],
        ramp_loop_ms=begin["loop_ms"],
        underruns=said["talk"]["underruns"],
    )
    return run, streams


def _judged(settings: Settings, run: PieceRun, streams: list[Stream]) -> PieceRun:
    said, found = speech(), []
    for stream in streams:
        begin = begins_at(stream.name, same=settings.same)
        found += complaints(stream, said[begin : begin + SAMPLES])
    first_ns = [stream.pieces[0].arrived_ns - stream.began_ns for stream in streams if stream.pieces]
    later: list[Piece] = [piece for stream in streams for piece in stream.pieces[1:]]
    left_ns = np.array([piece.left_ns for piece in later] or [0])
    return msgspec.structs.replace(
        run,
        pieces=sum(len(stream.pieces) for stream in streams),
        first_ms=dict(
            zip(("p50", "p99", "max"), _quantiles_ms(np.array(first_ns or [0]), 0.5, 0.99, 1), strict=True)
        ),
        left_ms=dict(zip(("least", "p1"), _quantiles_ms(left_ns, 0, 0.01), strict=True)),
        holes=int((left_ns < 0).sum()),
        hole_ms=max(0.0, -float(left_ns.min()) / NS_PER_MS),
        complaints=limited(iter(found)),
    )


def _quantiles_ms(values_ns: np.ndarray[Any, np.dtype[np.int64]], *shares: float) -> list[float]:
    found: list[float] = (np.quantile(values_ns, shares) / NS_PER_MS).tolist()
    return found


def _line(run: PieceRun) -> str:
    if run.complaints:
        return f"{run.repeat}. {run.calls:5,} calls  DOES NOT COUNT: {run.complaints[0]}"
    return (
        f"{run.repeat}. {run.calls:5,} calls  {run.holes} holes  left p1 {run.left_ms['p1']:.0f} ms  loop late p99 "
        f"{run.loop_ms['p99']:.1f}  max {run.loop_ms['max']:.1f} ms  {run.busy:.0%} of a core"
    )


_COLUMNS: dict[str, Callable[[list[PieceRun]], str]] = {
    "calls": lambda found: f"{found[0].calls:,}",
    "pieces": lambda found: f"{sum(run.pieces for run in found):,}",
    "holes": lambda found: f"{sum(run.holes for run in found)}",
    "longest ms": lambda found: f"{max(run.hole_ms for run in found):.0f}",
    "left p1 ms": lambda found: _text(found, lambda run: run.left_ms["p1"]),
    "least ms": lambda found: _text(found, lambda run: run.left_ms["least"]),
    "first piece p50 ms": lambda found: _text(found, lambda run: run.first_ms["p50"]),
    "p99 ms": lambda found: _text(found, lambda run: run.first_ms["p99"]),
    "loop late p50 ms": lambda found: _text(found, lambda run: run.loop_ms["p50"], ".1f"),
    "p99  ms": lambda found: _text(found, lambda run: run.loop_ms["p99"], ".1f"),
    "max ms": lambda found: _text(found, lambda run: run.loop_ms["max"], ".1f"),
    "calls begin p99 ms": lambda found: _text(found, lambda run: run.ramp_loop_ms["p99"], ".1f"),
    "of a core": lambda found: _text(found, lambda run: run.busy, ".0%"),
    "carrier's": lambda found: _text(found, lambda run: run.carrier_busy, ".0%"),
}
_NOTE = (
    "A hole is where a piece came after the carrier had played all before it; left is what it still had when the "
    "next one came. The first piece is counted from the stream's start frame. Loop late is by how much a timer of "
    "the server's event loop is woken too late (1 ms is uvloop's own grain): so long waits all that is received."
)


def _text(runs: list[PieceRun], figure: Callable[[PieceRun], float], form: str = ".0f") -> str:
    return Spread.of(map(figure, runs)).text(form)


def _cells(runs: list[PieceRun], loads: tuple[int, ...]) -> Cells:
    rows = []
    for calls in loads:
        found = [run for run in runs if run.calls == calls]
        missing = [f"{calls:,}", "does not count", *[""] * (len(_COLUMNS) - 2)]
        rows.append([cell(found) for cell in _COLUMNS.values()] if found else missing)
    return rows


def _chart(runs: list[PieceRun], loads: tuple[int, ...]) -> Lines:
    found = {calls: of_load for calls in loads if (of_load := [run for run in runs if run.calls == calls])}
    lines = [
        Line(
            name,
            list(map(float, found)),
            [Spread.of(run.loop_ms[name] for run in of_load) for of_load in found.values()],
        )
        for name in ("p50", "p99")
    ]
    return Lines("Lateness of the event loop while calls are talked to in MP3", "calls", "ms", lines, bound=BOUND_MS)


def _answer(calls: int, found: list[PieceRun]) -> str:
    if not found:
        return f"{calls:,} calls: no run counts"
    busy, late = Spread.of(run.busy for run in found), Spread.of(run.loop_ms["p99"] for run in found)
    holes, pieces = sum(run.holes for run in found), sum(run.pieces for run in found)
    return (
        f"{calls:,} calls: {holes} holes between {pieces:,} pieces, {busy.text('.0%')} of a core, and the event loop "
        f"is {late.text('.1f')} ms late at p99"
    )


QUESTION = Question(
    name="pieces",
    explains="""The server talks to all calls at once in MP3 mode: a piece of up to 5 s for each call every 5 s, made
by LAME in the process. Measured are how near to running dry the carrier comes, how long a call waits for its first
piece, and how late the server's event loop is, on which everything else depends. With --same all calls hear the same.

The carrier, a process on the other core, plays what it gets on a clock and returns marks when they are due; it
refuses what comes within a second. The referee decodes every piece by itself and compares each second of it.""",
    settings=Settings,
    quick=Settings(calls=(1, 20), ramp=100.0, seconds=6.0, repeats=1),
    measure=measure,
)
