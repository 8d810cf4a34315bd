"""How late does audio go out to calls that are talked to, and how soon do they fall silent?

The server plays noise in RTP mode to all calls at once; every call interrupts it now and then by a digit, at which
the application clears. The referee compares every byte that a call got with what was played.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from benchmarks import environment
from benchmarks.child import Child, ChildError
from benchmarks.kernel import SENDER_CPU, pinned
from benchmarks.progress import Say
from benchmarks.question import Question
from benchmarks.referee import limited
from benchmarks.report import Cells, Line, Lines, Report, Spread, Table
from benchmarks.talk_carrier import Heard, Stream, dial, expected_bytes, listen_to
from media.serve import loop_factory
from media.talk.rtp_mode import RtpOptions
from strep.clock import NS_PER_MS

BOUND_MS = 5.0
"""What p99 of the lateness should stay below."""
SAMPLES = 80_000
"""Ten seconds, then from the start again."""
SAMPLE_NS = 125_000
Int64 = NDArray[np.int64]
_MOST = {"p50": 0.5, "p99": 0.99, "max": 1.0}
_LEAST = {"p50": 0.5, "p1": 0.01, "min": 0.0}
MESSAGE_MS = RtpOptions().message_ms
LEAD_MS = RtpOptions().lead_ms
MARGIN_MS = LEAD_MS - RtpOptions().spread_ms
"""How late a message may be before the caller hears a hole: from this to `LEAD_MS`, by a call's phase."""


class Settings(msgspec.Struct, frozen=True):
    """What was asked for."""

    calls: Annotated[tuple[Annotated[int, Meta(ge=1)], ...], Meta(description="Calls talked to at once.")] = (
        1,
        100,
        500,
    )
    ramp: Annotated[float, Meta(ge=1, description="Calls that begin per second.")] = 200.0
    seconds: Annotated[float, Meta(ge=2, description="For how long all of them are there.")] = 8.0
    press: Annotated[float, Meta(gt=0, description="Seconds between two digits of a call.")] = 3.0
    repeats: Annotated[int, Meta(ge=1, description="How often, loads taking turns.")] = 3


class TalkRun(msgspec.Struct, frozen=True):
    """One load, once."""

    calls: int
    repeat: int
    messages: int = 0
    """Those that were sent while all calls were there, as are the next figures."""
    busy: float = 0.0
    """Processor time of the server per wall time: 1 is a core."""
    carrier_busy: float = 0.0
    """The same of the carrier: near 1, what comes late there is its own doing."""
    message_us: float = 0.0
    """Processor time of the server per message."""
    lateness_ms: dict[str, float] = {}
    """As the server says: from a message's deadline until it was handed to the socket."""
    ramp_ms: dict[str, float] = {}
    """The same while calls begin."""
    left_ms: dict[str, float] = {}
    """What the carrier had not played yet when a message came."""
    holes: int = 0
    """Messages that came after the carrier had played everything before them."""
    silence_ms: dict[str, float] = {}
    """From `clear()` until the carrier has the frame that silences it."""
    answer_ms: dict[str, float] = {}
    """From the caller's digit until then: what a caller waits who interrupts."""
    clears: int = 0
    underruns: int = 0
    complaints: list[str] = []


def measure(settings: Settings, say: Say, scratch: Path) -> Report:
    """Talk to every number of calls, in every repeat."""
    where = environment.describe(scratch)
    runs: list[TalkRun] = []
    total = settings.repeats * len(settings.calls)
    with pinned(SENDER_CPU):
        for repeat, calls in itertools.product(range(1, settings.repeats + 1), settings.calls):
            say.doing(f"{calls:,} calls", len(runs) / total)
            runs.append(_run(settings, TalkRun(calls, repeat), scratch))
            say(_line(runs[-1]))
    counting = [run for run in runs if not run.complaints]
    return Report(
        question="talk",
        environment=where,
        answers=[_answer(calls, [run for run in counting if run.calls == calls]) for calls in settings.calls],
        tables=[
            Table(
                f"Messages of {MESSAGE_MS} ms, RTP mode, PCMU", _COLUMNS, _cells(counting, settings.calls), note=_NOTE
            ),
            Table("Barge-in", _SILENCE_COLUMNS, _silence_cells(counting, settings.calls), note=_SILENCE_NOTE),
        ],
        runs=len(runs),
        charts=[_chart(counting, settings.calls)] if counting else [],
        conditions=[["look-ahead", f"{RtpOptions().lookahead_ms} ms"]],
        figures=msgspec.to_builtins(runs),
        complaints=[f"{run.calls:,} calls, repeat {run.repeat}: {text}" for run in runs for text in run.complaints],
    )


def _run(settings: Settings, run: TalkRun, scratch: Path) -> TalkRun:
    log = scratch / f"talk-{run.calls}-{run.repeat}.log"
    server = Child("benchmarks.talk_server", str(SAMPLES), log=log)
    try:
        port = server.answer()["port"]
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(_listen(settings, run, server, port))
    except ChildError as error:
        return msgspec.structs.replace(run, complaints=[str(error)])
    finally:
        server.close()


async def _listen(settings: Settings, run: TalkRun, server: Child, port: int) -> TalkRun:
    streams = await dial(port, run.calls, run.calls / settings.ramp)
    begin, own_ns = server.ask("mark"), time.process_time_ns()
    await listen_to(streams, settings.seconds, settings.press)
    end, own_ns = server.ask("mark"), time.process_time_ns() - own_ns
    for stream in streams:
        stream.abort()
    said = await asyncio.to_thread(_finish, server)
    wall_ns, cpu_ns = end["now_ns"] - begin["now_ns"], end["cpu_ns"] - begin["cpu_ns"]
    run = msgspec.structs.replace(
        run,
        messages=end["messages"],
        busy=cpu_ns / wall_ns,
        carrier_busy=own_ns / wall_ns,
        message_us=cpu_ns / 1000 / max(end["messages"], 1),
        ramp_ms=begin["lateness_ms"],
        lateness_ms=end["lateness_ms"],
    )
    return _judged(run, streams, said, begin["now_ns"])


def _finish(server: Child) -> dict[str, Any]:
    server.end()
    return server.answer(60)


def _judged(run: TalkRun, streams: list[Stream], said: dict[str, Any], begin_ns: int) -> TalkRun:
    expected = expected_bytes(SAMPLES)
    heard = {stream.name: Heard(stream, expected) for stream in streams}
    left_ns = [_left_ns(arrivals, 0) for one in heard.values() for arrivals in one.arrivals]
    left_then_ns = [_left_ns(arrivals, begin_ns) for one in heard.values() for arrivals in one.arrivals]
    silence_ns, answer_ns, complaints = [], [], [text for one in heard.values() for text in one.complaints]
    for name, one in heard.items():
        asked_ns = said["cleared_ns"].get(name, [])
        if len(asked_ns) != len(one.cleared_ns):
            complaints.append(f"{name}: {len(asked_ns)} clears, {len(one.cleared_ns)} came")
        silence_ns += [came - asked for asked, came in zip(asked_ns, one.cleared_ns, strict=False)]
    for stream in streams:
        came_ns = heard[stream.name].cleared_ns
        answer_ns += [came - pressed for pressed, came in zip(stream.pressed_ns, came_ns, strict=False)]
    return msgspec.structs.replace(
        run,
        left_ms=_quantiles(np.concatenate(left_then_ns), _LEAST),
        holes=int((np.concatenate(left_ns) < 0).sum()),
        silence_ms=_quantiles(np.array(silence_ns or [0])),
        answer_ms=_quantiles(np.array(answer_ns or [0])),
        clears=len(silence_ns),
        underruns=said["talk"]["underruns"],
        complaints=limited(iter(complaints)),
    )


def _left_ns(arrivals: list[tuple[int, int]], since_ns: int) -> Int64:
    """Return what the carrier had not played of a run when a message came, for those that came since `since_ns`.

    The first message has nothing before it.
    """
    times_ns, samples = np.array(arrivals or [(0, 0)], np.int64).T
    left_ns = times_ns[0] + samples * SAMPLE_NS - times_ns
    return left_ns[1:][times_ns[1:] >= since_ns]


def _quantiles(values_ns: Int64, points: dict[str, float] = _MOST) -> dict[str, float]:
    if not len(values_ns):
        return dict.fromkeys(points, 0.0)
    return {name: float(np.quantile(values_ns, q)) / NS_PER_MS for name, q in points.items()}


def _line(run: TalkRun) -> str:
    if run.complaints:
        return f"{run.repeat}. {run.calls:5,} calls  DOES NOT COUNT: {run.complaints[0]}"
    late, silence = run.lateness_ms, run.silence_ms
    return (
        f"{run.repeat}. {run.calls:5,} calls"
        f"  late p50 {late['p50']:.1f}  p99 {late['p99']:.1f}  max {late['max']:.1f} ms"
        f"  silence p50 {silence['p50']:.2f}  max {silence['max']:.1f} ms  {run.busy:.0%} of a core"
    )


_COLUMNS = [
    "calls", "late p50 ms", "p99 ms", "max ms", "at the carrier p50 ms", "p99 ms", "max ms", "holes",
    "calls begin p99 ms", "max ms", "CPU µs/message", "of a core", "carrier's",
]  # fmt: skip
_NOTE = (
    "Late is from a message's absolute deadline until the server has handed it to the socket. The deadline is so "
    f"early that {MARGIN_MS} ms may be missing before the caller hears a hole. At the carrier: the same until the "
    "message had arrived, counted from the first message of its run. All calls are there, but for the columns from "
    '"calls begin" on, which tell of the time before; holes are of both.'
)
_SILENCE_COLUMNS = [
    "calls", "clears", "clear() to silence p50 ms", "p99 ms", "max ms", "digit to silence p50 ms", "p99 ms", "max ms",
]  # fmt: skip
_SILENCE_NOTE = (
    "Silence is when the carrier has the clear frame: what it has not played it forgets then. From clear(): what the "
    "server takes. From the digit: what the caller waits who interrupts, the application included."
)


def _cells(runs: list[TalkRun], loads: tuple[int, ...]) -> Cells:
    cells = []
    for calls in loads:
        found = [run for run in runs if run.calls == calls]
        if not found:
            cells.append([f"{calls:,}", "does not count", *[""] * (len(_COLUMNS) - 2)])
            continue
        row = [f"{calls:,}"]
        for figures in ("lateness_ms", "arrival_ms"):
            row += [
                _spread(getattr(run, figures)[name] for run in found).text(".1f") for name in ("p50", "p99", "max")
            ]
        row.append(f"{sum(run.holes for run in found)}")
        row += [_spread(run.ramp_ms[name] for run in found).text(".1f") for name in ("p99", "max")]
        row.append(_spread(run.message_us for run in found).text(".1f"))
        row.append(_spread(run.busy for run in found).text(".0%"))
        cells.append([*row, _spread(run.carrier_busy for run in found).text(".0%")])
    return cells


def _silence_cells(runs: list[TalkRun], loads: tuple[int, ...]) -> Cells:
    cells = []
    for calls in loads:
        found = [run for run in runs if run.calls == calls]
        if not found:
            continue
        row = [f"{calls:,}", f"{sum(run.clears for run in found):,}"]
        for figures in ("silence_ms", "answer_ms"):
            row += [
                _spread(getattr(run, figures)[name] for run in found).text(".2f") for name in ("p50", "p99", "max")
            ]
        cells.append(row)
    return cells


def _spread(values: Any) -> Spread:
    return Spread.of(values)


def _chart(runs: list[TalkRun], loads: tuple[int, ...]) -> Lines:
    found = {calls: [run for run in runs if run.calls == calls] for calls in loads}
    found = {calls: of_load for calls, of_load in found.items() if of_load}
    x = [float(calls) for calls in found]
    lines = [
        Line(name, x, [Spread.of(run.lateness_ms[name] for run in of_load) for of_load in found.values()], ours=ours)
        for name, ours in (("p50", False), ("p99", True))
    ]
    return Lines("Lateness of messages to calls that are talked to", "calls", "ms", lines, bound=BOUND_MS)


def _answer(calls: int, found: list[TalkRun]) -> str:
    if not found:
        return f"{calls:,} calls: no run counts"
    p99 = Spread.of(run.lateness_ms["p99"] for run in found)
    most, silence = max(run.lateness_ms["max"] for run in found), Spread.of(run.silence_ms["p99"] for run in found)
    return (
        f"{calls:,} calls: a message goes out {p99.text('.1f')} ms late at p99, {most:.1f} ms at most; "
        f"a call is silent {silence.text('.1f')} ms after clear() at p99"
    )


QUESTION = Question(
    name="talk",
    explains="""The server talks to all calls at once, in messages of 40 ms (RTP mode, PCMU), each with an absolute
deadline. Measured are how late a message goes out, how late it is at the carrier, a process on the other core that
notes when what came, and how long it takes from an application's clear() until the carrier has it. Both clocks are
CLOCK_MONOTONIC of one machine. Calls interrupt the talking by a digit, one after another, so the runs are short and
begin all the time.

The referee compares every byte with what was played: nothing is lost, doubled or out of order, and after a clear
nothing comes of what was before.""",
    settings=Settings,
    quick=Settings(calls=(1, 20), ramp=100.0, seconds=3.0, press=1.0, repeats=1),
    measure=measure,
)
