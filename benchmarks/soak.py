"""What is left after an hour of calls that come and go?

``strep serve`` as its own process records calls of all kinds over a bad line while others begin and end. Every few
seconds it is looked at; every file of every call is compared with what was sent.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from benchmarks import environment, soak_table
from benchmarks.child import Child, ChildError
from benchmarks.progress import Say
from benchmarks.question import Question
from benchmarks.report import Report
from benchmarks.serving import Metrics, Serving
from benchmarks.soak_carrier import Errand
from benchmarks.soak_course import Sample, sample
from benchmarks.soak_table import Course, complaints
from benchmarks.soak_wave import WaveResult

_RTP_PAIRS = 2
_IDLE_TIMEOUT_S = 15
_QUIET_TIMEOUT_S = 120.0
_LAST_WAVE_S = 300.0
_BUFFER = "64MiB"
_CALLS_PER_LINE = 1000


class Settings(msgspec.Struct, frozen=True):
    """What was asked for."""

    minutes: Annotated[float, Meta(gt=0, description="For how long new calls begin.")] = 60.0
    calls: Annotated[int, Meta(ge=1, description="Live at once, about.")] = 500
    shortest: Annotated[float, Meta(ge=0.5, description="Seconds of the shortest call.")] = 60.0
    longest: Annotated[float, Meta(ge=0.5, description="Seconds of the longest call.")] = 80.0
    look: Annotated[float, Meta(gt=0, description="Seconds from one look at the server to the next.")] = 5.0


def measure(settings: Settings, say: Say, scratch: Path) -> Report:
    """Let calls come and go, look, and judge."""
    where = environment.describe(scratch)
    course = _run(settings, say, scratch)
    return Report(
        question="soak",
        environment=where,
        answers=soak_table.answers(course),
        tables=soak_table.tables(course),
        runs=1,
        charts=soak_table.charts(course),
        conditions=soak_table.conditions(course),
        figures=msgspec.to_builtins(course),
        complaints=complaints(course),
    )


def _run(settings: Settings, say: Say, scratch: Path) -> Course:
    recordings = scratch / "recordings"
    pairs = [text for number in range(_RTP_PAIRS) for text in ("--rtp", f"tap{number:02}=0,0")]
    doors = ["--udp", "127.0.0.1:0", "--ws", "127.0.0.1:0", *pairs, "--receive-buffer", _BUFFER]
    files = ["--record", str(recordings), "--record-format", "passthrough"]
    others = ["--idle-timeout", f"{_IDLE_TIMEOUT_S}s", "--log-level", "warning"]
    with Serving(*doors, *files, *others, log=scratch / "serve.log") as server:
        before = server.look()
        errand = Errand(
            settings.calls,
            settings.minutes,
            settings.shortest,
            settings.longest,
            server.addresses,
            str(recordings),
            str(scratch),
        )
        samples, results = _watch(settings, server, errand, say, scratch)
        quiet = _when_quiet(server)
        after = server.look()
        left = sorted(path.name for path in recordings.iterdir())
        exit_code = server.end()
        return Course(
            shortest_s=settings.shortest,
            longest_s=settings.longest,
            minutes=settings.minutes,
            samples=samples,
            waves=results,
            before=before,
            after=after,
            totals=soak_table.totals(quiet),
            exit_code=exit_code,
            said=server.said(),
            left=left[:20],
        )


def _watch(
    settings: Settings, server: Serving, errand: Errand, say: Say, scratch: Path
) -> tuple[list[Sample], list[WaveResult]]:
    """Look at the server until the carrier has told of its last wave."""
    samples: list[Sample] = []
    results: list[WaveResult] = []
    whole_s = settings.minutes * 60 + settings.longest
    calls_told = 0
    carrier = Child("benchmarks.soak_carrier", msgspec.json.encode(errand).decode(), log=scratch / "carrier.log")
    with closing(carrier):
        start = time.monotonic()
        while True:
            at_s = time.monotonic() - start
            if not server.is_running():
                raise ChildError(f"strep serve has ended: {server.said()}")
            if at_s > whole_s + _LAST_WAVE_S:
                raise ChildError(f"the carrier has not ended; {len(results)} waves were judged")
            samples.append(sample(at_s, server.look(), server.metrics()))
            say.doing(soak_table.doing(samples[-1], results), min(at_s / whole_s, 1.0))
            for told in _told(carrier, start + len(samples) * settings.look):
                if "waves" in told:
                    return samples, results
                if "died" in told:
                    raise ChildError(f"the sender of wave {told['died']} died: {_end_of(scratch / 'carrier.log')}")
                results.append(msgspec.convert(told, WaveResult))
                for complaint in results[-1].complaints:
                    say(f"wave {results[-1].number}, {results[-1].kind}: {complaint}")
                calls = sum(result.calls for result in results)
                if calls // _CALLS_PER_LINE > calls_told:
                    calls_told = calls // _CALLS_PER_LINE
                    say(f"{at_s / 60:5.1f} min: {soak_table.doing(samples[-1], results)}")


def _told(carrier: Child, until: float) -> Iterator[dict[str, object]]:
    """Yield what the carrier says until a moment of the monotonic clock."""
    while carrier.has_answer(max(0.0, until - time.monotonic())):
        yield carrier.answer()


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace").strip()[-1000:]


def _when_quiet(server: Serving) -> Metrics:
    """Return the counters when no call is left."""
    deadline = time.monotonic() + _QUIET_TIMEOUT_S
    while True:
        metrics = server.metrics()
        if not metrics.get("strep_calls") and not metrics.get("strep_recordings"):
            time.sleep(2.5)  # two reports more: what closed last is in them
            return server.metrics()
        if time.monotonic() > deadline:
            raise ChildError(f"{metrics.get('strep_calls')} calls have not ended after {_QUIET_TIMEOUT_S:g} s")
        time.sleep(0.5)


QUESTION = Question(
    name="soak",
    explains="""`strep serve --record` runs as a process of its own. A carrier, which is one process for each wave
of calls, sends STREP (60 %), plain RTP (20 %), and media streams of Telnyx and Twilio (10 % each), both directions,
over a line that loses, delays, reorders and doubles packets. About 500 calls are live, each lasts 60 to 80 seconds,
so that seven begin and seven end every second.

Every few seconds the server is looked at from outside: memory (smaps_rollup), descriptors, threads, calls, kernel
drops, lag. Flat means: laid through the second half by least squares, the part of it that does not come of the
calls that are there rises by no more than its bound in an hour; and when the last call has gone there are as many
descriptors as before the first.

Who sent a wave reads all of its files back when the server has finished them: one recording per call, complete, of
the right length, every sample what was sent or what the truth says was lost, every packet in a counter. soxi opens
all, ffprobe one of each wave. Packets that left the carrier are those that the server received and those that the
kernel dropped, to the packet.""",
    settings=Settings,
    quick=Settings(minutes=0.4, calls=40, shortest=4.0, longest=8.0, look=1.0),
    measure=measure,
)
