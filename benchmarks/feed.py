"""What does it cost to feed live audio to other programs?"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from benchmarks import environment
from benchmarks.progress import Say
from benchmarks.question import Question
from benchmarks.report import Bar, Bars, Report, Spread, Table
from media.admission.desk import LegDesk
from media.blocks import PcmBatch
from media.carrier.audio import CONVERSATION, load
from media.config import Endpoint
from media.doors.strep import StrepDoor
from media.engine import Engine
from media.feed.selection import Selection
from media.feed.sink import FeedSink
from media.feed.subscription import Limits
from media.sinks.contract import CallInfo
from strep.clock import NS_PER_MS, NS_PER_SECOND, SystemClock
from strep.g711 import SAMPLE_RATE_HZ, Codec, encode
from strep.timeline import Timeline

BLOCK_MS = 100
WIDTH = SAMPLE_RATE_HZ * BLOCK_MS // 1000
WISHES = {
    "as it is, int16": "",
    "as it is, mu-law": "format=mulaw",
    "16 kHz, int16": "rate=16000",
    "24 kHz, float32": "rate=24000&format=float32",
}
PLENTY = Limits(1 << 40, 1e9)
MOST_WAITING_BYTES = 1 << 20
"""Before more is said, while a reader is read to."""


class Settings(msgspec.Struct, frozen=True):
    """What was asked for."""

    tracks: Annotated[int, Meta(ge=2, description="Tracks at once, two a call.")] = 200
    seconds: Annotated[float, Meta(ge=0.2, description="Of audio of each track.")] = 5.0
    readers: Annotated[int, Meta(ge=2, description="Readers of the same, for what a further one costs.")] = 11
    repeats: Annotated[int, Meta(ge=1, description="How often, all taking turns.")] = 5


class Fed(msgspec.Struct, frozen=True):
    """One run: processor time of one thread, the kernel's on its behalf included."""

    wish: str
    how: str
    us_per_track_second: float


FIRST, FURTHER, SOCKET = "for the first reader", "for each further one", "to write it to a WebSocket, each"


def measure(settings: Settings, say: Say, scratch: Path) -> Report:
    """Feed readers in this process, then one in another by WebSocket; the referee counts what came."""
    where = environment.describe(scratch, ["aiohttp"])
    runs: list[Fed] = []
    complaints: list[str] = []
    for repeat in range(settings.repeats):
        for number, (name, wish) in enumerate(WISHES.items()):
            say.doing(f"{name}, round {repeat + 1}", (repeat + number / len(WISHES)) / settings.repeats)
            one, several = (_feed(settings, wish, readers) for readers in (1, settings.readers))
            runs += [Fed(name, FIRST, one), Fed(name, FURTHER, (several - one) / (settings.readers - 1))]
            cost, problems = asyncio.run(_write(settings, wish))
            runs.append(Fed(name, SOCKET, cost))
            complaints += [f"{name}: {problem}" for problem in problems]
    spreads = {
        (name, how): Spread.of(run.us_per_track_second for run in runs if (run.wish, run.how) == (name, how))
        for name in WISHES
        for how in (FIRST, FURTHER, SOCKET)
    }
    return Report(
        question="feed",
        environment=where,
        answers=[
            f"a second of a track takes {spreads[name, FIRST].text()} us to feed ({name}), "
            f"and {spreads[name, SOCKET].text()} us to write to each WebSocket"
            for name in list(WISHES)[::2]
        ],
        tables=[_table(spreads)],
        runs=len(runs),
        charts=[_chart(spreads)],
        conditions=[["blocks", f"{BLOCK_MS} ms, 8 kHz, mu-law"]],
        figures=msgspec.to_builtins(runs),
        complaints=complaints,
    )


class _Calls:
    """Live calls that talk into a feed.

    Attributes:
        tracks: how many they have.
        messages: so many make what they say for one reader.
        track_seconds: so much they say.
        spent_ns: processor time of the feed so far.
    """

    def __init__(self, feed: FeedSink, settings: Settings) -> None:
        self.tracks, self._blocks = settings.tracks // 2 * 2, round(settings.seconds * 1000 / BLOCK_MS)
        self.messages = self.tracks * self._blocks
        self.track_seconds = self.messages * BLOCK_MS / 1000
        self.spent_ns = 0
        said = np.ascontiguousarray(load(CONVERSATION)[0, : 20 * WIDTH])
        self._feed, self._said = feed, encode(said, Codec.PCMU).reshape(-1, WIDTH)
        number = np.arange(self.tracks)
        self._batch = PcmBatch(
            call=(number // 2).astype(np.int32),
            channel=(number % 2).astype(np.uint8),
            positions=np.zeros(self.tracks, np.int64),
            first=np.zeros(self.tracks, np.int32),
            last=np.full(self.tracks, WIDTH, np.int32),
            codec=np.full(self.tracks, Codec.PCMU, np.uint8),
            encoded=self._said[number % len(self._said)],
        )
        for index in range(self.tracks // 2):
            feed.call_started(CallInfo(index, f"5b0f3f0e-3c5d-4e0e-9c39-{index:012}", "strep", 1))

    def talk(self) -> Iterator[None]:
        """Say everything, a block of all tracks at a time."""
        for number in range(self._blocks):
            spoken = self._said[(np.arange(self.tracks) + number) % len(self._said)]
            at, now_ns = self._batch.positions + number * WIDTH, (number + 1) * BLOCK_MS * NS_PER_MS
            batch = replace(self._batch, positions=at, encoded=spoken, now_ns=now_ns, _pcm=None)
            _ = batch.pcm  # decoded once for all sinks: not the feed's work
            before_ns = time.thread_time_ns()
            self._feed.receive(batch)
            self.spent_ns += time.thread_time_ns() - before_ns
            yield


def _feed(settings: Settings, wish: str, readers: int) -> float:
    """Return microseconds per second of a track."""
    feed = FeedSink(BLOCK_MS)
    subscriptions = [feed.subscribe(Selection.parse(wish), PLENTY) for _ in range(readers)]
    calls = _Calls(feed, settings)
    for _ in calls.talk():
        for subscription in subscriptions:
            subscription.take(1 << 40)
    return calls.spent_ns / 1000 / calls.track_seconds


async def _write(settings: Settings, wish: str) -> tuple[float, list[str]]:
    """Return the same of the thread that writes to a reader in another process, and what that missed."""
    from media.http.api import Api
    from media.http.companion import HttpDoor
    from media.http.house import OneServer

    feed, clock = FeedSink(BLOCK_MS), SystemClock()
    engine = Engine(Timeline(), clock, [], idle_timeout_ns=NS_PER_SECOND, max_tracks=2)
    house = OneServer(engine, LegDesk(StrepDoor(engine), clock), asyncio.get_running_loop())
    door = HttpDoor(Endpoint("127.0.0.1", 0), "", lambda: Api(house, clock, feed))
    await door.start()
    url = f"ws://{door.addresses['http']}/v1/pcm?{wish}"
    command = [sys.executable, "-m", "benchmarks.feed_reader", url]
    reader = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    try:
        assert reader.stdout is not None
        await reader.stdout.readline()
        calls, before_s = _Calls(feed, settings), _processor_s("http")
        for _ in calls.talk():
            while feed.snapshot()["waiting_bytes"] > MOST_WAITING_BYTES:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.001)
        feed.close()
        said, _ = await reader.communicate()
        spent_s = _processor_s("http") - before_s
    finally:
        await door.close()
    came = json.loads(said)
    complaints = [f"{came['missing']} numbers are missing"] if came["missing"] else []
    if came["messages"] != calls.messages:
        complaints.append(f"{came['messages']} messages came of {calls.messages}")
    return spent_s * 1e6 / calls.track_seconds, complaints


def _processor_s(name: str) -> float:
    """Return the processor time that a thread has had."""
    [ident] = [thread.ident for thread in threading.enumerate() if thread.name == name]
    assert ident is not None
    return time.clock_gettime(time.pthread_getcpuclockid(ident))


def _table(spreads: dict[tuple[str, str], Spread]) -> Table:
    form = ",.1f"
    cells = [[name, *(spreads[name, how].text(form) for how in (FIRST, FURTHER, SOCKET))] for name in WISHES]
    columns = ["what is wanted", *(f"{how}, us" for how in (FIRST, FURTHER, SOCKET))]
    return Table("Processor time per second of one track", columns, cells)


def _chart(spreads: dict[tuple[str, str], Spread]) -> Bars:
    bars = [Bar(f"{name}, {how}", spreads[name, how], ours=True) for name in WISHES for how in (FIRST, SOCKET)]
    return Bars("A second of one track", "us of processor time", bars)


QUESTION = Question(
    name="feed",
    explains="""Calls talk into the feed in blocks of 100 ms. Readers in this process take what is queued. For
the first one it is resampled, converted and made into messages, for further ones that want the same only queued.
Then a reader in another process has it over a WebSocket, and the thread that writes to it is measured.

The referee is that reader: no message may be missing.""",
    settings=Settings,
    quick=Settings(tracks=20, seconds=1.0, repeats=1),
    measure=measure,
)
