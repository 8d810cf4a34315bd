"""The performance gate: what the receive path does per beat is counted, not timed, so it cannot flake.

The first law of the engine is that no Python statement runs once per packet. Here a few calls, and then twenty times
as many, go through door and engine, with a clock that the test moves and without sockets: 50 packets in every beat,
and 1,000. Counted is

* every instruction of Python's that runs during a beat (`sys.settrace`, opcode by opcode). A thousand packets may
  take some hundred more than fifty do (a table that is looked through in more rounds, a step in pieces), but less
  than two per packet: the shortest loop has three. And there is a bound on all of them;
* every function that is called, in Python or in C (`sys.setprofile`), likewise: numpy's are what a beat costs when it
  is small;
* the same where calls begin and end, per track;
* memory (`tracemalloc`): what a beat takes on the way per packet, and that nothing of it stays; and that nothing
  stays of calls that have come, were recorded, and have gone.

What it does not count is what is done once a second for each call (housekeeping, writing to its file). A step that
is slower at the same count does not show here; `strep bench receive` is for that.

When a bound is in the way of something worth its price, raise the bound and say why in the commit.
"""

from __future__ import annotations

import gc
import pathlib
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from random import Random
from types import FrameType
from typing import Any

import numpy as np
import pytest

from media.carrier.options import SimulationOptions
from media.carrier.plan import make_plan
from media.doors.strep import StrepDoor
from media.engine import Engine
from media.sinks.queue import Item
from strep.clock import NS_PER_MS, NS_PER_SECOND, ManualClock
from strep.datagrams import DatagramBatch
from strep.table import TimelineSettings
from strep.timeline import Timeline
from tests.media.harness import BEGINNING_NS, SOURCE, Bench

FEW, MANY = 50, 1000
"""Packets in a beat: one of every track. Not more than a recvmmsg takes."""
BEAT_NS = 20 * NS_PER_MS
WARM_UP, MEASURED = 20, 20
"""Beats; together less than a second, so that no housekeeping falls into them after the first."""

MOST_PER_PACKET = 2
"""Instructions that a packet more may take in a beat; the shortest loop over packets takes three each."""
MOST_INSTRUCTIONS = 4_000
MOST_CALLS = 350
"""Per beat, on the average of those measured; more than twice what it was when this was written."""
MOST_CALLS_MORE = 100
"""Per beat, when `MANY` packets come instead of `FEW`; about three times what it was."""
MOST_CALLS_FOR_A_BEGINNING = 200
"""Per track, when many begin at once; it was 90."""
MOST_CALLS_FOR_AN_END = 350
"""Per track, its share of the report included; it was 170."""
MOST_BYTES_PER_PACKET = 2_000
"""On the way through a beat, at the worst moment; it was 500. The datagram itself has 196."""
MOST_BYTES_LEFT = 16 << 10
"""After `MEASURED` beats."""
CALLS_IN_A_WAVE, FIRST_WAVES, WAVES = 30, 6, 3
MOST_BYTES_LEFT_BY_A_CALL = 100
"""Of those of all waves but the first; it was 20, and does not grow with more waves."""


class Counting:
    """An outlet that keeps nothing but a number."""

    def __init__(self) -> None:
        self.blocks = 0

    def put(self, item: Item) -> None:
        self.blocks += len(item) if hasattr(item, "__len__") else 0


class Path:
    """Door and engine with so many tracks that all send a packet in every beat."""

    def __init__(self, packets: int) -> None:
        self.outlet = Counting()
        self._clock = ManualClock(BEGINNING_NS)
        self._engine = Engine(
            Timeline(TimelineSettings()),
            self._clock,
            [self.outlet],
            idle_timeout_ns=30 * NS_PER_SECOND,
            max_tracks=MANY,
        )
        self._door = StrepDoor(self._engine)
        self._batches = _batches(packets)
        self._next = 0
        assert {len(batch) for batch in self._batches} == {packets}

    def beat(self) -> None:
        """Take the next packet of every track, and poll."""
        self._clock.monotonic_ns += BEAT_NS
        now_ns = self._clock.now_ns()
        self._door.receive(self._batches[self._next], now_ns)
        self._engine.poll(now_ns)
        self._next += 1

    def beats(self, count: int) -> None:
        for _ in range(count):
            self.beat()

    def measured(self) -> None:
        self.beats(MEASURED)

    def end(self) -> None:
        self._engine.end_all("shutdown")

    def careless(self) -> None:
        """The same with a statement per packet."""
        for _ in range(MEASURED):
            self.beat()
            for length in self._batches[self._next - 1].length:
                abs(length)

    def check(self) -> None:
        """All of it was call audio, and came out again."""
        assert not self._door.rejected.any()
        tracks = [track for call in self._engine.calls.values() for track in call.tracks]
        statistics = [self._engine.timeline.statistics(track.slot) for track in tracks]
        assert len(statistics) * (WARM_UP + MEASURED) == self._door.datagrams == sum(s.delivered for s in statistics)
        assert self.outlet.blocks >= len(statistics) * (WARM_UP + MEASURED) // 5 - 2 * len(statistics)


@cache
def _batches(packets: int) -> tuple[DatagramBatch, ...]:
    """Return a batch per beat."""
    return tuple(_make_batches(packets))


def _make_batches(packets: int) -> Iterator[DatagramBatch]:
    seconds = (WARM_UP + MEASURED) * BEAT_NS / NS_PER_SECOND
    plan = make_plan(SimulationOptions(calls=packets // 2, seconds=seconds, stagger_ms=0, audio=None))
    for start in range(0, len(plan), packets):
        table = plan.table(start, start + packets)
        arrival_ns = BEGINNING_NS + plan.times_ns[start : start + packets]
        source = np.broadcast_to(SOURCE, (packets, len(SOURCE)))
        yield DatagramBatch(table.rows, table.lengths.astype(np.int64), arrival_ns, source)


@pytest.fixture(autouse=True)
def no_luck(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the demultiplexer's secret multipliers be the same in every run: they decide how often it looks."""
    monkeypatch.setattr("secrets.randbits", Random(1).getrandbits)


@pytest.fixture(params=[FEW, MANY])
def path(request: pytest.FixtureRequest) -> Path:
    """Return a path in which all tracks have begun."""
    return _warm(request.param)


def _warm(packets: int) -> Path:
    path = Path(packets)
    path.beats(WARM_UP)
    return path


def _instructions(work: Callable[[], None]) -> int:
    """Return how many instructions of Python's `work` takes."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def _calls(work: Callable[[], None]) -> Counter[str]:
    """Return how often each function is called, by name; those that other functions in C call are not seen."""
    names: Counter[str] = Counter()

    def note(frame: FrameType, event: str, function: Any) -> None:
        if event == "call":
            names[frame.f_code.co_qualname] += 1
        elif event == "c_call":
            names[getattr(function, "__qualname__", repr(function))] += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return names


def test_the_path_is_the_right_one(path: Path) -> None:
    path.beats(MEASURED)
    path.check()


class TestWork:
    def test_no_instruction_is_run_per_packet(self) -> None:
        few, many = (_instructions(_warm(packets).measured) for packets in (FEW, MANY))
        assert many - few < MOST_PER_PACKET * (MANY - FEW) * MEASURED
        assert many < MOST_INSTRUCTIONS * MEASURED

    def test_no_function_is_called_per_packet(self) -> None:
        few, many = (_calls(_warm(packets).measured) for packets in (FEW, MANY))
        assert (many - few).total() < MOST_CALLS_MORE * MEASURED, (many - few).most_common(5)
        assert many.total() < MOST_CALLS * MEASURED

    def test_a_beginning_takes_little(self) -> None:
        few, many = Path(FEW), Path(MANY)
        more = _calls(lambda: many.beats(6)) - _calls(lambda: few.beats(6))  # until none of them is young any more
        assert more.total() < MOST_CALLS_FOR_A_BEGINNING * (MANY - FEW), more.most_common(5)

    def test_an_end_takes_little(self) -> None:
        few, many = (_calls(_warm(packets).end) for packets in (FEW, MANY))
        assert (many - few).total() < MOST_CALLS_FOR_AN_END * (MANY - FEW), (many - few).most_common(5)

    def test_the_gate_closes(self) -> None:
        """A statement per packet is found: a gate that cannot fail is none."""
        few, many = (_instructions(_warm(packets).careless) for packets in (FEW, MANY))
        assert many - few > MOST_PER_PACKET * (MANY - FEW) * MEASURED
        few_calls, many_calls = (_calls(_warm(packets).careless) for packets in (FEW, MANY))
        assert (many_calls - few_calls).total() > MOST_CALLS_MORE * MEASURED


class TestMemory:
    @pytest.fixture(autouse=True)
    def traced(self) -> Iterator[None]:
        gc.collect()
        tracemalloc.start()
        yield
        tracemalloc.stop()

    def test_a_beat_takes_little(self) -> None:
        peaks = {}
        for packets in (FEW, MANY):
            path = _warm(packets)
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            path.beats(MEASURED)
            peaks[packets] = tracemalloc.get_traced_memory()[1] - before
        assert (peaks[MANY] - peaks[FEW]) / (MANY - FEW) < MOST_BYTES_PER_PACKET

    def test_nothing_of_it_stays(self, path: Path) -> None:
        path.beats(MEASURED // 4)
        before, _ = tracemalloc.get_traced_memory()
        path.beats(MEASURED // 2)
        after, _ = tracemalloc.get_traced_memory()
        assert after - before < MOST_BYTES_LEFT

    def test_nothing_of_calls_that_have_gone_stays(self, tmp_path: pathlib.Path) -> None:
        bench, kept = Bench(tmp_path), []
        for seed in range(FIRST_WAVES + WAVES):  # in the first ones, tables find their sizes
            plan = make_plan(
                SimulationOptions(calls=CALLS_IN_A_WAVE, seconds=0.1, stagger_ms=1, audio=None, seed=seed)
            )
            bench.run(plan)
            del plan
            gc.collect()
            # The one interns the parts of names, in a dictionary of Python's; the other has the snapshot before this.
            theirs = [tracemalloc.Filter(False, str(module.__file__)) for module in (pathlib, tracemalloc)]
            snapshot = tracemalloc.take_snapshot().filter_traces(theirs)
            kept.append(sum(trace.size for trace in snapshot.traces))
        assert bench.engine.calls_ended == CALLS_IN_A_WAVE * (FIRST_WAVES + WAVES)
        assert (kept[-1] - kept[FIRST_WAVES - 1]) / (CALLS_IN_A_WAVE * WAVES) < MOST_BYTES_LEFT_BY_A_CALL
