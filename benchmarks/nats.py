"""What does it take to publish calls on NATS JetStream, and what does it cost reception?

The same load is recorded with and without publishing, in turn. A nats-server on the same machine takes the messages;
the referee counts those in its stream, and judges the recordings as always.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from benchmarks import environment
from benchmarks.course import Course
from benchmarks.load import Load
from benchmarks.observed import ObservedOptions
from benchmarks.progress import Say
from benchmarks.question import Question
from benchmarks.receiver import OBSERVED
from benchmarks.report import Bar, Bars, Report, Spread, Table
from benchmarks.results import Run
from media.nats.config import NatsConfig
from media.nats.stream import StreamOptions
from strep.errors import ConfigurationError

PACKETS_PER_TRACK_SECOND = 50
_PUBLISHER = "publisher"
_PARTS = {
    "MainThread": "reception",
    "sink-recording": "recording",
    "sink-nats": "handing over",
    _PUBLISHER: "its process",
}


class Settings(msgspec.Struct, frozen=True):
    """What was asked for."""

    calls: Annotated[tuple[Annotated[int, Meta(ge=1)], ...], Meta(description="Calls at once.")] = (100, 1000)
    seconds: Annotated[float, Meta(ge=1, description="That all of them last together.")] = 8.0
    repeats: Annotated[int, Meta(ge=1, description="How often, with and without in turn.")] = 3


class Measured(msgspec.Struct, frozen=True):
    """One run.

    Attributes:
        messages: in the stream afterwards.
        run: what it took.
    """

    publishes: bool
    messages: int
    run: Run

    @property
    def messages_per_packet(self) -> float:
        """So many."""
        return self.messages / max(self.run.received, 1)


def measure(settings: Settings, say: Say, scratch: Path) -> Report:
    """Record each number of calls with and without publishing."""
    where = environment.describe(scratch)
    measured = list(_measure_all(settings, say, scratch))
    complaints = [f"{one.run.legs} calls: {text}" for one in measured for text in one.run.complaints]
    sound = [one for one in measured if not one.run.complaints]
    whole = [calls for calls in settings.calls if {one.publishes for one in _of(sound, calls)} == {True, False}]
    return Report(
        question="nats",
        environment=where,
        answers=[_answer(_of(sound, calls), calls) for calls in whole],
        tables=[_publishing_table(sound, whole), _thread_table(sound, whole)],
        runs=len(measured),
        charts=[_chart(sound, calls) for calls in whole],
        conditions=[
            ["nats-server", f"{_version()}, on the same machine, R1, file storage"],
            ["messages", f"{NatsConfig().message_ms} ms, int16, 8 kHz, both tracks"],
        ],
        figures=msgspec.to_builtins(measured),
        complaints=complaints,
    )


def _measure_all(settings: Settings, say: Say, scratch: Path) -> Iterator[Measured]:
    done, whole = 0, len(settings.calls) * settings.repeats * 2
    for calls in settings.calls:
        with closing(Course(Load(calls, 1.0, settings.seconds), scratch)) as course:
            for repeat in range(settings.repeats):
                for publishes in (False, True):
                    say.doing(f"{calls} calls, {'published' if publishes else 'recorded only'}", done / whole)
                    yield _measure(course, repeat, publishes=publishes, scratch=scratch)
                    done += 1


def _measure(course: Course, repeat: int, *, publishes: bool, scratch: Path) -> Measured:
    if not publishes:
        return Measured(False, 0, course.run(OBSERVED, repeat))
    with _nats_server(scratch / f"nats-{course.load.legs}-{repeat}") as url:
        options = msgspec.json.encode(ObservedOptions(nats=url)).decode()
        run = course.run(OBSERVED, repeat, options)
        state = asyncio.run(_state(url))
    expected = course.load.legs * 2 * (course.load.ramp_seconds + course.load.plateau_seconds)
    expected *= 1000 / NatsConfig().message_ms
    if not run.complaints and state["messages"] < expected:
        run = msgspec.structs.replace(run, complaints=[f"{state['messages']} messages of at least {expected:.0f}"])
    return Measured(True, state["messages"], run)


@contextmanager
def _nats_server(directory: Path) -> Iterator[str]:
    """Run a server with JetStream on loopback; yield its URL."""
    program = _program()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    directory.mkdir()
    arguments = ["-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(directory)]
    process = subprocess.Popen([program, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if process.poll() is not None:
                    raise ConfigurationError(f"{program} ended at once") from None
                time.sleep(0.02)
        yield f"nats://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(directory, ignore_errors=True)


def _program() -> str:
    program = shutil.which("nats-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise ConfigurationError("nats-server is not installed: make peers")
    return program


def _version() -> str:
    said = subprocess.run([_program(), "--version"], capture_output=True, text=True, check=True).stdout
    return said.rpartition("v")[2].strip()


async def _state(url: str) -> dict[str, Any]:
    import nats

    client = await nats.connect(url)
    try:
        reply = await client.request(f"$JS.API.STREAM.INFO.{StreamOptions().name}", b"", timeout=10)
        state: dict[str, Any] = msgspec.json.decode(reply.data)["state"]
        return state
    finally:
        await client.close()


# -- what it comes to --------------------------------------------------------------------------------------


def _of(measured: list[Measured], calls: int, publishes: bool | None = None) -> list[Measured]:
    return [one for one in measured if one.run.legs == calls and publishes in (None, one.publishes)]


def _part_ns(one: Measured, part: str) -> float:
    """Return what a thread took per packet, or, of the publisher, what was not taken by threads of this process."""
    threads_ns = one.run.threads_ns
    if part == _PUBLISHER:
        return max(one.run.cpu_ns - sum(threads_ns.values()), 0.0) if one.publishes else 0.0
    return threads_ns.get(part, 0.0)


def _publishing_table(measured: list[Measured], calls: list[int]) -> Table:
    cells = []
    for count in calls:
        published = _of(measured, count, True)
        messages = Spread.of(one.messages for one in published)
        per_message = _per_message(published)
        per_second = [
            Spread.of(_part_ns(one, part) * PACKETS_PER_TRACK_SECOND / 1000 for one in published)
            for part in (_PUBLISHER, "sink-nats")
        ]
        cells.append([f"{count:,}", messages.text(), *(spread.text(".1f") for spread in (per_message, *per_second))])
    columns = [
        "calls",
        "messages",
        "us per message",
        "us per track and second",
        "to hand over, us per track and second",
    ]
    return Table("Publishing, processor time", columns, cells, 1)


def _per_message(published: list[Measured]) -> Spread:
    return Spread.of(_part_ns(one, _PUBLISHER) / one.messages_per_packet / 1000 for one in published)


def _thread_table(measured: list[Measured], calls: list[int]) -> Table:
    cells = []
    for count in calls:
        for thread, label in _PARTS.items():
            texts = [
                Spread.of(_part_ns(one, thread) for one in _of(measured, count, publishes)).text()
                for publishes in (False, True)
            ]
            cells.append([f"{count:,}", label, *texts])
        whole = [Spread.of(one.run.cpu_ns for one in _of(measured, count, publishes)) for publishes in (False, True)]
        cells.append([f"{count:,}", "all", *(spread.text() for spread in whole)])
    note = "The process that publishes, and nats-server, run on any core; reception and the sender have one each."
    return Table("Processor time per packet, ns", ["calls", "part", "recorded", "and published"], cells, 2, note)


def _chart(measured: list[Measured], calls: int) -> Bars:
    bars = [
        Bar(
            f"{label}, {'published' if publishes else 'recorded only'}",
            Spread.of(_part_ns(one, thread) for one in _of(measured, calls, publishes)),
            ours=publishes,
        )
        for thread, label in _PARTS.items()
        for publishes in (False, True)
    ]
    return Bars(f"{calls:,} calls", "ns per packet", bars)


def _answer(measured: list[Measured], calls: int) -> str:
    published = [one for one in measured if one.publishes]
    message = _per_message(published)
    reception = [
        Spread.of(_part_ns(one, "MainThread") for one in measured if one.publishes is publishes)
        for publishes in (False, True)
    ]
    return (
        f"with {calls:,} calls a message takes {message.text('.0f')} us, and reception {reception[1].text()} ns per "
        f"packet instead of {reception[0].text()}"
    )


QUESTION = Question(
    name="nats",
    explains="""A number of calls is recorded by our server, and recorded and published, in turn. A nats-server on the
same machine keeps the stream, in the scratch directory. Processor time is that of the server's threads while all
calls are open, and of the process that writes the messages, sends them and takes the answers.

The referee looks at the recordings, and counts the messages of the stream. Needs nats-py and nats-server.""",
    settings=Settings,
    quick=Settings(calls=(20,), seconds=2, repeats=1),
    measure=measure,
)
