"""What do floods do to the calls that are being recorded?

Made-up legs, sockets that never finish their request, readers that never read, one after the other, each against a
server of its own that records calls meanwhile; every file of these is compared with what was sent.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from benchmarks import environment, flood_table
from benchmarks.child import Child, ChildError
from benchmarks.flood_table import RECOVERY_TIMEOUT_S, Flood
from benchmarks.progress import Say
from benchmarks.question import Question
from benchmarks.report import Report
from benchmarks.serving import Serving, handshake
from benchmarks.soak_wave import Wave, WaveResult, play
from media.carrier.seeds import call_leg_id
from strep.clock import NS_PER_SECOND, SystemClock

_IDLE_TIMEOUT_S = 15
_AHEAD_S = 3.0
_RAMP_S = 2.0
_SETTLE_S = 1.0
_LOOK_S = 0.2
_RECOVERED_S = 0.25
"""A newcomer's handshake that is answered so soon: the server is itself again."""
_FILES_TIMEOUT_S = 240.0
_HALF_A_CALL = 2
_MODES = {"open": (), "probation": (), "registered": ("--http", "127.0.0.1:0")}
"""What each needs besides: an announcement comes over HTTP."""


class Settings(msgspec.Struct, frozen=True):
    """What was asked for."""

    calls: Annotated[int, Meta(ge=2, description="Recorded calls, half over UDP, half media streams.")] = 200
    seconds: Annotated[float, Meta(gt=0, description="How long each of them lasts.")] = 40.0
    legs: Annotated[int, Meta(ge=1, description="Datagrams of made-up legs.")] = 1_000_000
    rates: Annotated[
        tuple[Annotated[int, Meta(ge=0)], ...], Meta(description="Of these, a second; 0 is as many as go.")
    ] = (50_000, 0)
    sockets: Annotated[int, Meta(ge=1, description="Sockets with half a request.")] = 10_000
    readers: Annotated[int, Meta(ge=2, description="Readers that do not read.")] = 100
    buffer: Annotated[str, Meta(description="Receive buffer to ask the kernel for.")] = "64MiB"


class Course:
    """A server with recorded calls, and what is seen of it during a flood."""

    def __init__(self, settings: Settings, name: str, scratch: Path, *arguments: str) -> None:
        """Start the server."""
        self.name, self.settings, self._directory = name, settings, scratch / name.replace(" ", "-").replace(",", "")
        self._directory.mkdir()
        self._recordings = self._directory / "recordings"
        doors = ["--udp", "127.0.0.1:0", "--ws", "127.0.0.1:0", "--rtp", "none=0,0"]
        files = ["--record", str(self._recordings), "--record-format", "passthrough"]
        others = ["--idle-timeout", f"{_IDLE_TIMEOUT_S}s", "--receive-buffer", settings.buffer]
        self.server = Serving(*doors, *files, *others, *arguments, log=self._directory / "serve.log")
        self.rss_kib: list[int] = []
        self.descriptors: list[int] = []
        self.handshakes_s: list[float] = []
        self.live_calls: list[int] = []
        self.max_calls = int(dict(pairwise(arguments)).get("--max-calls", 0))
        self._is_over = threading.Event()

    def run(self, flood: Callable[[Child], dict[str, Any]]) -> Flood:
        """Record calls, flood, and judge."""
        with self.server, closing(Child("benchmarks.flooder", log=self._directory / "flooder.log")) as flooder:
            flooder.answer()
            with self._recorded() as results:
                before = self.server.look()
                with self._watched():
                    start = time.monotonic()
                    told = flood(flooder)
                    took_s = time.monotonic() - start
                    recovered_s = self._recovery()
                flooder.ask("close", timeout_s=120)
            after, metrics = self.server.look(), self.server.metrics()
            exit_code = self.server.end()
        return Flood(
            name=self.name,
            calls=sum(result.calls for result in results),
            exact_tracks=sum(result.exact_tracks for result in results),
            sent=sum(result.sent for result in results),
            received=sum(result.received for result in results),
            kernel_drops=metrics.get("strep_kernel_drops_total"),
            told=told,
            seconds=took_s,
            recovered_s=recovered_s,
            handshake_ms=sorted(one * 1000 for one in self.handshakes_s),
            rss_kib=(before.weight.rss_kib, max(self.rss_kib), after.weight.rss_kib),
            descriptors=(before.descriptors, max(self.descriptors), after.descriptors),
            calls_started=metrics.get("strep_calls_started_total"),
            conservation_errors=metrics.get("strep_conservation_errors_total"),
            rejected=metrics.total("strep_rejected_total"),
            complaints=[text for result in results for text in result.complaints]
            + ([f"the server ended with {exit_code}"] if exit_code else []),
            calls_most=max(self.live_calls),
            max_calls=self.max_calls,
        )

    @contextmanager
    def _recorded(self) -> Iterator[list[WaveResult]]:
        """Have all calls begun; afterwards wait until they are judged."""
        context, clock, results = multiprocessing.get_context("fork"), SystemClock(), list[WaveResult]()
        begin_ns = clock.now_ns() + round(_AHEAD_S * NS_PER_SECOND)
        each = self.settings.calls // _HALF_A_CALL
        waves = [
            Wave(
                number, kind, each, self.settings.seconds, _RAMP_S / each, begin_ns, self.server.addresses,
                str(self._recordings), is_clean=True,
            )
            for number, kind in enumerate(("strep", "telnyx"), 500)
        ]  # fmt: skip
        pipes = [context.Pipe(duplex=False) for _ in waves]
        senders = [
            context.Process(target=_send, args=(wave, pipe[1])) for wave, pipe in zip(waves, pipes, strict=True)
        ]
        if "http" in self.server.addresses:
            self._announce(waves[0])
        for sender in senders:
            sender.start()
        try:
            self._wait_for(2 * each)
            yield results
            for read, _ in pipes:
                if not read.poll(self.settings.seconds + _FILES_TIMEOUT_S):
                    raise ChildError(f"{self.name}: the calls have not ended: {self.server.said()}")
                results.append(msgspec.convert(read.recv(), WaveResult))
        finally:
            for sender in senders:
                sender.kill()
                sender.join()

    def _announce(self, wave: Wave) -> None:
        """Let the legs of a wave begin."""
        for call in range(wave.calls):
            body = msgspec.json.encode({"call_leg_id": str(call_leg_id(wave.options.seed, call))})
            request = urllib.request.Request(f"http://{self.server.addresses['http']}/v1/legs", body)
            urllib.request.urlopen(request, timeout=RECOVERY_TIMEOUT_S).close()

    def _wait_for(self, calls: int) -> None:
        deadline = time.monotonic() + 120
        while self.server.metrics().get("strep_calls") < calls:
            if time.monotonic() > deadline:
                raise ChildError(f"{self.name}: calls do not begin: {self.server.said()}")
            time.sleep(_LOOK_S)
        time.sleep(_SETTLE_S)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Look at memory and descriptors, and knock at the WebSocket door, all the time."""
        threads = [threading.Thread(target=self._look), threading.Thread(target=self._knock)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            for thread in threads:
                thread.join()

    def _look(self) -> None:
        while True:
            process = self.server.look()
            self.rss_kib.append(process.weight.rss_kib)
            self.descriptors.append(process.descriptors)
            self.live_calls.append(self.server.metrics().get("strep_calls"))
            if self._is_over.wait(_LOOK_S):
                return

    def _knock(self) -> None:
        while not self._is_over.wait(_LOOK_S):
            with suppress(OSError):
                self.handshakes_s.append(handshake(self.server.addresses["ws"], RECOVERY_TIMEOUT_S))

    def _recovery(self) -> float:
        """Return how long it takes until a newcomer is answered at once again."""
        start = time.monotonic()
        while time.monotonic() - start < RECOVERY_TIMEOUT_S:
            with suppress(OSError):
                if handshake(self.server.addresses["ws"], RECOVERY_TIMEOUT_S) < _RECOVERED_S:
                    break
        return time.monotonic() - start


def _send(wave: Wave, pipe: Any) -> None:
    pipe.send(msgspec.to_builtins(play(wave)))


def measure(settings: Settings, say: Say, scratch: Path) -> Report:
    """Flood one server after the other."""
    where = environment.describe(scratch)
    floods: list[Flood] = []
    courses = list(_courses(settings))
    for place, (name, arguments, flood) in enumerate(courses):
        say.doing(name, place / len(courses))
        course = Course(settings, name, scratch, *arguments)
        floods.append(course.run(partial(flood, course)))
        say(flood_table.line(floods[-1]))
    return Report(
        question="floods",
        environment=where,
        answers=flood_table.answers(floods),
        tables=flood_table.tables(floods),
        runs=len(floods),
        figures=msgspec.to_builtins(floods),
        complaints=flood_table.complaints(floods),
    )


Flooding = Callable[[Course, Child], dict[str, Any]]


def _courses(settings: Settings) -> Iterator[tuple[str, list[str], Flooding]]:
    """Yield the floods: what each is called, options of the server, and what is done."""
    most = str(2 * settings.calls)
    for mode, needs in _MODES.items():
        for rate in settings.rates:
            name = f"made-up legs, {mode}, {f'{rate:,} a second' if rate else 'as many as go'}"
            yield name, ["--udp-legs", mode, "--max-calls", most, *needs], _legs(settings.legs, rate)
    yield f"{settings.sockets:,} half-open sockets", [], _half_open(settings.sockets)
    yield f"{settings.readers} readers that do not read", ["--http", "127.0.0.1:0"], _deaf(settings.readers)
    talking = ["--app", "echo", "--playback", "rtp"]
    yield f"{settings.readers} talkers that do not read", talking, _talkers(settings)


def _legs(count: int, rate: int) -> Flooding:
    def flood(course: Course, flooder: Child) -> dict[str, Any]:
        return flooder.ask("legs", address=course.server.addresses["udp"], count=count, per_s=rate, timeout_s=600)

    return flood


def _half_open(count: int) -> Flooding:
    def flood(course: Course, flooder: Child) -> dict[str, Any]:
        told = flooder.ask("sockets", address=course.server.addresses["ws"], count=count, timeout_s=600)
        return told | flooder.ask("drip", timeout_s=120)

    return flood


def _deaf(count: int) -> Flooding:
    paths = ["/v1/pcm?rate=24000&format=float32", "/v1/pcm?rate=24000&format=float32&when_slow=drop-oldest"]

    def flood(course: Course, flooder: Child) -> dict[str, Any]:
        wanted = [*paths, "/v1/events"] * count
        told = flooder.ask("deaf", address=course.server.addresses["http"], paths=wanted[:count], timeout_s=600)
        time.sleep(course.settings.seconds / 4)
        return told | {"left": course.server.metrics().get("strep_http_readers")}

    return flood


def _talkers(settings: Settings) -> Flooding:
    def flood(course: Course, flooder: Child) -> dict[str, Any]:
        seconds, address = settings.seconds / 2, course.server.addresses["ws"]
        return flooder.ask("talkers", address=address, count=settings.readers, seconds=seconds, timeout_s=600)

    return flood


QUESTION = Question(
    name="floods",
    explains="""A server records calls, half of them STREP over UDP, half media streams, over a perfect line.
Meanwhile comes a flood, each kind against a server of its own: datagrams of made-up legs at the same port, evenly
and as many as the kernel takes, with --udp-legs open, probation and registered and --max-calls twice the calls;
sockets with half a request, from many addresses; subscribers of audio and events that do not read; media streams
that do not read what is played to them.

Every sample of every recorded call is compared with what was sent. Memory and descriptors are looked at five times
a second, and as often somebody knocks at the WebSocket door; recovered is the server when it answers that within
0.25 s again. A flood shares the kernel's queue with the calls if it comes to the same port: what it displaces there
is counted (dropped by the kernel) and no server can do anything about it but read faster; see docs/failures.md.""",
    settings=Settings,
    quick=Settings(calls=10, seconds=6.0, legs=20_000, rates=(10_000,), sockets=300, readers=6),
    measure=measure,
)
