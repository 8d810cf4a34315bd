"""How late does audio go out to calls that are talked to, and how soon do they fall silent?

The server plays noise in RTP mode to all calls at once; every call interrupts it now and then by a digit, at which
the application clears. The referee compares every byte that a call got with what was played.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from pathlib import Path
from tempfile import TemporaryDirectory
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
from benchmarks.report import Report
from benchmarks.talk_audio import Caller, keep_talking
from benchmarks.talk_carrier import Heard, Stream, dial, expected_bytes, listen_to
from benchmarks.talk_table import Load, TalkRun, answer_of, chart, line_of, tables
from media.runtime import loop_factory
from media.talk.rtp_mode import RtpOptions
from strep.clock import NS_PER_MS

SAMPLES = 80_000
"""Ten seconds, then from the start again."""
SAMPLE_NS = 125_000
HANG_UP_S = 0.5
"""How long the server may take for what has been said before the sockets are closed."""
Int64 = NDArray[np.int64]
_MOST = {"p50": 0.5, "p99": 0.99, "max": 1.0}
_LEAST = {"p50": 0.5, "p1": 0.01, "min": 0.0}


class Settings(msgspec.Struct, frozen=True):
    """What was asked for."""

    calls: Annotated[tuple[Annotated[int, Meta(ge=1)], ...], Meta(description="Calls talked to at once.")] = (
        1,
        100,
        500,
    )
    both_ways: Annotated[
        tuple[Annotated[int, Meta(ge=1)], ...], Meta(description="Calls talked to that talk too, and are recorded.")
    ] = (100, 200)
    ramp: Annotated[float, Meta(ge=1, description="Calls that begin per second.")] = 200.0
    seconds: Annotated[float, Meta(ge=2, description="For how long all of them are there.")] = 8.0
    press: Annotated[float, Meta(gt=0, description="Seconds between two digits of a call.")] = 3.0
    repeats: Annotated[int, Meta(ge=1, description="How often, loads taking turns.")] = 3


def measure(settings: Settings, say: Say, scratch: Path) -> Report:
    """Talk to every number of calls, in every repeat."""
    where = environment.describe(scratch)
    loads = [Load(calls) for calls in settings.calls] + [Load(calls, both_ways=True) for calls in settings.both_ways]
    runs: list[TalkRun] = []
    total = settings.repeats * len(loads)
    with pinned(SENDER_CPU):
        for repeat, load in itertools.product(range(1, settings.repeats + 1), loads):
            say.doing(f"{load} calls", len(runs) / total)
            runs.append(_run(settings, TalkRun(load, repeat), scratch))
            say(line_of(runs[-1]))
    counting = [run for run in runs if not run.complaints]
    return Report(
        question="talk",
        environment=where,
        answers=[answer_of(load, counting) for load in loads],
        tables=tables(counting, loads),
        runs=len(runs),
        charts=[chart(counting)] if counting else [],
        conditions=[["look-ahead", f"{RtpOptions().lookahead_ms} ms"]],
        figures=msgspec.to_builtins(runs),
        complaints=[f"{run.load} calls, repeat {run.repeat}: {text}" for run in runs for text in run.complaints],
    )


def _run(settings: Settings, run: TalkRun, scratch: Path) -> TalkRun:
    log = scratch / f"talk-{run.load.calls}-{run.repeat}.log"
    with TemporaryDirectory(dir=scratch) as name:
        directory = Path(name)
        record = [str(directory)] if run.load.both_ways else []
        server = Child("benchmarks.talk_server", str(SAMPLES), *record, log=log)
        try:
            port = server.answer()["port"]
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                return runner.run(_listen(settings, run, server, port, directory))
        except ChildError as error:
            return msgspec.structs.replace(run, complaints=[str(error)])
        finally:
            server.close()


async def _listen(settings: Settings, run: TalkRun, server: Child, port: int, directory: Path) -> TalkRun:
    callers: list[Caller] = []

    def begin_to_talk(stream: Stream) -> None:
        if run.load.both_ways:
            callers.append(Caller(stream.name, expected_bytes(SAMPLES), stream.write))

    talking = asyncio.create_task(keep_talking(callers))
    streams = await dial(port, run.load.calls, run.load.calls / settings.ramp, begin_to_talk)
    begin, own_ns = server.ask("mark"), time.process_time_ns()
    await listen_to(streams, settings.seconds, settings.press)
    end, own_ns = server.ask("mark"), time.process_time_ns() - own_ns
    talking.cancel()
    await _hang_up(streams)
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
        caller_late_ms=max((caller.late_ns for caller in callers), default=0) / NS_PER_MS,
        complaints=[text for caller in callers for text in caller.complaints(directory)],
    )
    return _judged(run, streams, said, begin["now_ns"])


async def _hang_up(streams: list[Stream]) -> None:
    for stream in streams:
        stream.stop()
    await asyncio.sleep(HANG_UP_S)
    for stream in streams:
        stream.abort()


def _finish(server: Child) -> dict[str, Any]:
    server.end()
    return server.answer(60)


def _judged(run: TalkRun, streams: list[Stream], said: dict[str, Any], begin_ns: int) -> TalkRun:
    expected = expected_bytes(SAMPLES)
    heard = {stream.name: Heard(stream, expected) for stream in streams}
    left_ns = [_left_ns(arrivals, 0) for one in heard.values() for arrivals in one.arrivals]
    left_then_ns = [_left_ns(arrivals, begin_ns) for one in heard.values() for arrivals in one.arrivals]
    silence_ns, answer_ns = [], []
    complaints = run.complaints + [text for one in heard.values() for text in one.complaints]
    complaints += [f"the server says: {count} {what}" for what, count in said["faults"].items() if count]
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
    left: Int64 = left_ns[1:][times_ns[1:] >= since_ns]
    return left


def _quantiles(values_ns: Int64, points: dict[str, float] = _MOST) -> dict[str, float]:
    if not len(values_ns):
        return dict.fromkeys(points, 0.0)
    return {name: float(np.quantile(values_ns, q)) / NS_PER_MS for name, q in points.items()}


QUESTION = Question(
    name="talk",
    explains="""The server talks to all calls at once, in messages of 40 ms (RTP mode, PCMU), each with an absolute
deadline. Measured are how late a message goes out, what the carrier had left when it came - a process on the other
core that notes when what came -, and how long it takes from an application's clear() until the carrier has it. Both
clocks are CLOCK_MONOTONIC of one machine. Calls interrupt the talking by a digit, one after another, so the runs are
short and begin all the time. In the loads that go both ways every caller also talks all the time, and is recorded.

The referee compares every byte with what was played: nothing is lost, doubled or out of order, and after a clear
nothing comes of what was before. The recordings it compares with what the callers said.

Where p99 comes from: with 500 calls one core was busy for 60 to 90 %, and what is busy for so long has a queue. Of
its time (perf, cpu-clock) 60 % went to the interpreter, 29 % to the kernel - 13 % to waking the carrier's process
alone, which a network card would not do - and 11 % to everything else. Fewer messages are what helps: p99 was 30 to
32 ms with messages of 20 ms, 7 to 9 with 40 and 4 to 5 with 60 (500 calls, two runs each, in turns).""",
    settings=Settings,
    quick=Settings(calls=(1, 20), both_ways=(20,), ramp=100.0, seconds=3.0, press=1.0, repeats=1),
    measure=measure,
)
