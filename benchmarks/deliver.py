"""What does it cost to make FLAC, MP3 or Opus of a call, and what does reception notice of it?

The formats are made of telephone conversation, as after a call; then a server receives and records calls while the
process that delivers makes formats without a pause on the core that receives, as it would on a machine with one.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta

from benchmarks import environment
from benchmarks.course import Course
from benchmarks.kernel import RECEIVER_CPU, SENDER_CPU, pinned
from benchmarks.latency import probing
from benchmarks.load import Load
from benchmarks.progress import Say
from benchmarks.question import Question
from benchmarks.receiver import OBSERVED
from benchmarks.report import Report, Spread, Table
from benchmarks.results import Run
from media.carrier.audio import CONVERSATION, load
from media.delivery.audio import Audio
from media.delivery.encoders import encode
from media.delivery.jobs import Job, JobFolder
from media.delivery.settings import DeliverySettings
from media.sinks.contract import CallInfo
from media.sinks.finished import FinishedRecording
from media.sinks.wav import Encoding, WavFile

RATE_HZ = 8000
JOBS = 200
"""Recordings that wait; as hard links they take no room."""
Made = Literal["flac", "mp3", "opus"]
FORMATS: tuple[Made, ...] = ("flac", "mp3", "opus")


class Settings(msgspec.Struct, frozen=True):
    """What was asked for."""

    minutes: Annotated[float, Meta(gt=0, description="Length of the recording that formats are made of.")] = 10.0
    calls: Annotated[int, Meta(ge=1, description="Calls received meanwhile; each is two directions.")] = 1000
    ramp: Annotated[float, Meta(ge=1, description="Calls that begin, and end, per second.")] = 150.0
    seconds: Annotated[float, Meta(ge=1, description="For how long all of them are there.")] = 10.0
    repeats: Annotated[int, Meta(ge=1, description="How often, all taking turns.")] = 3


class Cost(msgspec.Struct, frozen=True):
    """A format, made once; per hour of stereo call."""

    format: str
    cpu_s_per_hour: float
    mb_per_hour: float


class Meanwhile(msgspec.Struct, frozen=True):
    """A run, and how much of a core the process that delivers got."""

    format: str
    share: float
    run: Run


def measure(settings: Settings, say: Say, scratch: Path) -> Report:
    """Make the formats; then receive with nothing beside it, and with each."""
    where = environment.describe(scratch)
    wav = _recording(scratch, settings.minutes)
    costs, runs = list[Cost](), list[Meanwhile]()
    for repeat, made in itertools.product(range(settings.repeats), FORMATS):
        say.doing(f"{made}, round {repeat + 1}", 0.2 * (len(costs) + 1) / (settings.repeats * len(FORMATS)))
        costs.append(_cost(wav, made, scratch))
    total = settings.repeats * (len(FORMATS) + 1)
    with pinned(SENDER_CPU):
        for repeat, beside in itertools.product(range(1, settings.repeats + 1), ("", *FORMATS)):
            say.doing(f"{settings.calls:,} calls, {beside or 'nothing'} beside", 0.2 + 0.8 * len(runs) / total)
            load_of = Load(settings.calls, settings.calls / settings.ramp, settings.seconds)
            with closing(Course(load_of, scratch)) as course:
                runs.append(_meanwhile(course, repeat, beside, settings.calls, wav, scratch))
            say(_line(runs[-1]))
    complaints = [f"{one.format or 'nothing'} beside it: {text}" for one in runs for text in one.run.complaints]
    counting = [one for one in runs if not one.run.complaints and one.run.latency is not None]
    return Report(
        question="deliver",
        environment=where,
        answers=_answers(costs, counting, settings.calls),
        tables=[_cost_table(costs, wav, settings.minutes), _latency_table(counting)],
        runs=len(runs),
        conditions=[["recording", f"{settings.minutes:g} min of conversation, {RATE_HZ} Hz, stereo, PCM16"]],
        figures={"costs": msgspec.to_builtins(costs), "runs": msgspec.to_builtins(runs)},
        complaints=complaints,
    )


def _recording(scratch: Path, minutes: float) -> Path:
    talk = np.ascontiguousarray(load(CONVERSATION).T)
    wav, samples = WavFile(scratch / "call.wav", Encoding.PCM16, RATE_HZ), round(minutes * 60 * RATE_HZ)
    for start in range(0, samples, len(talk)):
        wav.write(start, talk[: samples - start])
    wav.close()
    return wav.path


def _cost(wav: Path, format: Made, scratch: Path) -> Cost:
    audio, path = Audio.of(wav), scratch / f"made.{format}"
    before_ns = time.process_time_ns()
    encode(audio, format, path)
    hours = audio.length_samples / RATE_HZ / 3600
    cost = Cost(format, (time.process_time_ns() - before_ns) / 1e9 / hours, path.stat().st_size / 1e6 / hours)
    path.unlink()
    return cost


def _meanwhile(course: Course, repeat: int, format: str, calls: int, wav: Path, scratch: Path) -> Meanwhile:
    if not format:
        return Meanwhile("", 0.0, course.run(OBSERVED, repeat, probing(calls)))
    with TemporaryDirectory(dir=scratch) as directory, _delivering(wav, Path(directory), format) as used:
        run = course.run(OBSERVED, repeat, probing(calls))
    return Meanwhile(format, used[0], run)


@contextmanager
def _delivering(wav: Path, directory: Path, format: str) -> Iterator[list[float]]:
    """Have many recordings made into a format; the list is what share of a core that took."""
    folder = JobFolder(directory)
    folder.make()
    for number in range(JOBS):
        os.link(wav, directory / f"call-{number}.wav")
        folder.write(_job(directory / f"call-{number}.wav"))
    settings = DeliverySettings(str(directory), formats=(format,))  # type: ignore[arg-type]
    process = subprocess.Popen(
        [sys.executable, "-m", "media.delivery.process"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    assert process.stdin
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process.pid, {RECEIVER_CPU})
    began_ns, used = time.monotonic_ns(), list[float]()
    process.stdin.write(msgspec.json.encode(settings) + b"\n")
    process.stdin.flush()
    try:
        yield used
    finally:
        elapsed_s = (time.monotonic_ns() - began_ns) / 1e9
        process.kill()
        process.stdin.close()
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = -9
        used.append((usage.ru_utime + usage.ru_stime) / elapsed_s)


def _job(path: Path) -> Job:
    call = CallInfo(0, path.stem, "strep", 0)
    about: dict[str, Any] = {"recording_id": path.stem, "path": path, "sidecar": path.with_suffix(".json")}
    sizes = {"length_samples": 0, "size_bytes": 0, "started_wall_ns": 0, "ended_wall_ns": 0}
    wishes = {"is_take": False, "channels": 2, "sample_rate_hz": RATE_HZ, "start_samples": 0}
    return Job.of(FinishedRecording(call=call, **about, **sizes, **wishes), 0)  # type: ignore[arg-type]


def _line(one: Meanwhile) -> str:
    latency = one.run.latency
    if one.run.complaints or latency is None:
        return f"{one.run.repeat}. {one.format or 'nothing'}: DOES NOT COUNT: {one.run.complaints[:1]}"
    return f"{one.run.repeat}. {one.format or 'nothing':8} p99 {latency.p99_ms:.1f}  max {latency.max_ms:.1f} ms"


def _cost_table(costs: list[Cost], wav: Path, minutes: float) -> Table:
    wav_mb = wav.stat().st_size / 1e6 / (minutes / 60)
    cells = [["wav", "", f"{wav_mb:.1f}", "1.00"]]
    for format in FORMATS:
        mb, cpu_s = (_spread(costs, format, name) for name in ("mb_per_hour", "cpu_s_per_hour"))
        cells.append([format, cpu_s.text(".2f"), mb.text(".1f"), f"{mb.median / wav_mb:.2f}"])
    return Table("An hour of stereo call", ["format", "CPU seconds", "MB", "of the WAV"], cells)


def _latency_table(runs: list[Meanwhile]) -> Table:
    cells = []
    for format in ("", *FORMATS):
        found = [one for one in runs if one.format == format and one.run.latency]
        if found:
            latencies = [one.run.latency for one in found if one.run.latency]
            shares = Spread.of(100 * one.share for one in found)
            ages = [Spread.of(getattr(one, name) for one in latencies) for name in ("p50_ms", "p99_ms", "max_ms")]
            drops = sum(one.run.kernel_drops for one in found)
            cells.append([format or "nothing", shares.text(".0f"), *(age.text(".1f") for age in ages), f"{drops}"])
    columns = ["made meanwhile", "share of the core, %", "p50 ms", "p99 ms", "max ms", "packets lost"]
    return Table("Age of audio when a sink gets it, on the same core", columns, cells)


def _answers(costs: list[Cost], runs: list[Meanwhile], calls: int) -> list[str]:
    each = ", ".join(f"{name} {_spread(costs, name, 'cpu_s_per_hour').text('.1f')} s" for name in FORMATS)
    found = [f"an hour of stereo call takes, of a core: {each}"]
    ages = {
        format: Spread.of(one.run.latency.p99_ms for one in runs if one.format == format and one.run.latency)
        for format in ("", *FORMATS)
        if any(one.format == format for one in runs)
    }
    if "" in ages and len(ages) > 1:
        worst = max((format for format in ages if format), key=lambda format: ages[format].median)
        found.append(
            f"with {calls:,} calls on the same core, audio is {ages[''].text('.1f')} ms old at p99 when a sink gets "
            f"it, and {ages[worst].text('.1f')} ms while {worst} is made"
        )
    return found


def _spread(costs: list[Cost], format: str, name: str) -> Spread:
    return Spread.of(getattr(cost, name) for cost in costs if cost.format == format)


QUESTION = Question(
    name="deliver",
    explains="""A recording of telephone conversation is made into each format, in turn: CPU time of this process,
for an hour of stereo call.

Then a server receives and records calls, as in `strep bench latency`, while the process that delivers makes formats
of recordings without a pause, on the core that receives. It has the lowest priority, and takes what is left of it.
The referee checks the recordings of all calls.""",
    settings=Settings,
    quick=Settings(minutes=1, calls=100, ramp=500.0, seconds=2.0, repeats=1),
    measure=measure,
)
