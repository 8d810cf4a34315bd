"""The pulse under a manual clock and a manual loop: when it beats, sleeps, wakes, and what it survives."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from media.config import Endpoint
from media.engine import Engine
from media.pulse import BATCHES_PER_BEAT, IDLE_BEATS, Pulse
from strep.clock import NS_PER_MS, NS_PER_SECOND, ManualClock
from strep.datagrams import DatagramBatch, collect
from strep.timeline import Timeline


class ManualLoop:
    """Timers that fire when the test says so; each firing moves the clock to its time."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.pending: list[tuple[int, ManualTimer]] = []

    def call_later(self, delay: float, callback: Callable[[], None]) -> ManualTimer:
        timer = ManualTimer(callback)
        self.pending.append((self.clock.now_ns() + round(delay * NS_PER_SECOND), timer))
        return timer

    def fire(self) -> int:
        """Run the next timer and return the delay until it in ns."""
        self.pending = [(due, timer) for due, timer in self.pending if not timer.cancelled]
        assert len(self.pending) == 1, "there is one timer for everything"
        due, timer = self.pending.pop()
        delay = max(due - self.clock.now_ns(), 0)
        self.clock.advance(delay)
        timer.callback()
        return delay


class ManualTimer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback, self.cancelled = callback, False

    def cancel(self) -> None:
        self.cancelled = True


class FakeReceiver:
    """A socket whose batches the test puts there; one datagram fills a batch, and there may be more behind it."""

    most = 1
    name, errors, kernel_drops, room, address = "fake", 0, 0, 1000, Endpoint("127.0.0.1", 1)

    def __init__(self) -> None:
        self.batches: list[DatagramBatch] = []
        self.when_readable: Callable[[], None] | None = None

    def put(self, arrival_ns: int, count: int = 1) -> None:
        self.batches.append(collect([(b"x", arrival_ns, bytes(28))] * count))

    def drain(self) -> DatagramBatch | None:
        return self.batches.pop(0) if self.batches else None

    def call_when_readable(self, callback: Callable[[], None]) -> None:
        self.when_readable = callback

    async def settle(self) -> None:
        pass

    async def close(self) -> None:
        pass


class Bench:
    def __init__(self, patience_ms: float = 0) -> None:
        self.clock = ManualClock(1000 * NS_PER_SECOND)
        self.loop, self.receiver = ManualLoop(self.clock), FakeReceiver()
        self.engine = Engine(Timeline(), self.clock, [], idle_timeout_ns=NS_PER_SECOND, max_tracks=10)
        self.pulse = Pulse(self.engine, self.clock, interval_ms=5, patience_ms=patience_ms)
        self.taken: list[int] = []
        self.frames = 0
        self.pulse.add(self.receiver, self.take)
        self.pulse.add_source(self.deliver)
        self.pulse.start(self.loop)

    def take(self, batch: DatagramBatch, now_ns: int) -> None:
        self.taken.append(len(batch))

    def deliver(self, now_ns: int) -> int:
        waiting, self.frames = self.frames, 0
        return waiting

    def fall_asleep(self) -> None:
        while self.receiver.when_readable is None:
            self.loop.fire()


def test_it_beats_every_five_milliseconds_while_there_is_traffic() -> None:
    bench = Bench()
    bench.loop.fire()
    for _ in range(10):
        bench.receiver.put(bench.clock.now_ns())
        assert bench.loop.fire() == 5 * NS_PER_MS
    assert len(bench.taken) == 10


def test_with_patience_it_beats_as_seldom_as_the_buffer_allows() -> None:
    """A quarter of room for 1,000 datagrams is safe: 250 a beat, at whatever rate they come."""
    bench = Bench(patience_ms=20)
    bench.loop.fire()

    def beat(datagrams_per_ms: int) -> int:
        due_ns = bench.loop.pending[0][0]
        bench.receiver.put(bench.clock.now_ns(), datagrams_per_ms * (due_ns - bench.clock.now_ns()) // NS_PER_MS)
        return bench.loop.fire() // NS_PER_MS

    assert [beat(1) for _ in range(3)] == [20, 20, 20]
    assert [beat(25) for _ in range(3)] == [20, 10, 10]
    assert [beat(250) for _ in range(3)] == [10, 5, 5]
    assert [beat(1) for _ in range(3)] == [5, 20, 20]


def test_with_patience_it_waits_for_enough_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media.pulse.ENOUGH", 100)
    bench = Bench(patience_ms=100)
    bench.loop.fire()
    intervals = []
    for _ in range(3):  # two datagrams a millisecond
        due_ns = bench.loop.pending[0][0]
        bench.receiver.put(bench.clock.now_ns(), 2 * (due_ns - bench.clock.now_ns()) // NS_PER_MS)
        intervals.append(bench.loop.fire() // NS_PER_MS)
    assert intervals == [100, 50, 50]


def test_what_comes_while_a_beat_works_does_not_make_the_next_ones_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two datagrams a millisecond, a hundred of them are enough: every 50 ms, whatever a beat takes."""
    monkeypatch.setattr("media.pulse.ENOUGH", 100)

    class Slow(Bench):
        def take(self, batch: DatagramBatch, now_ns: int) -> None:
            if len(batch) == 100:
                self.clock.advance(40 * NS_PER_MS)
                self.receiver.put(self.clock.now_ns(), 80)

    bench = Slow(patience_ms=100)
    bench.loop.fire()
    bench.receiver.put(bench.clock.now_ns(), 100)
    bench.loop.fire()
    until_next_ns = bench.loop.pending[0][0] - bench.clock.now_ns()
    assert until_next_ns == pytest.approx((140 / 1.8 - 40) * NS_PER_MS), "180 came in 140 ms"
    bench.receiver.put(bench.clock.now_ns(), round(2 * until_next_ns / NS_PER_MS))
    bench.loop.fire()
    until_next_ns = bench.loop.pending[0][0] - bench.clock.now_ns()
    assert until_next_ns == pytest.approx(50 * NS_PER_MS, rel=0.01), "76 came in 38 ms"


def test_a_beat_that_took_long_is_not_followed_by_a_volley() -> None:
    bench = Bench()
    bench.loop.fire()
    bench.clock.advance(23 * NS_PER_MS)
    assert [bench.loop.fire() for _ in range(3)] == [0, 0, 5 * NS_PER_MS]


def test_it_sleeps_when_nothing_comes_and_still_keeps_house() -> None:
    bench = Bench()
    bench.fall_asleep()
    assert bench.pulse.beats == IDLE_BEATS + 1
    assert bench.loop.fire() == NS_PER_SECOND
    assert bench.loop.fire() == NS_PER_SECOND


def test_a_datagram_wakes_it() -> None:
    bench = Bench()
    bench.fall_asleep()
    bench.receiver.put(bench.clock.now_ns())
    assert bench.receiver.when_readable is not None
    bench.receiver.when_readable()
    assert bench.loop.fire() == 0
    assert bench.taken == [1]
    assert bench.loop.fire() == 5 * NS_PER_MS


def test_media_frames_wake_it() -> None:
    bench = Bench()
    bench.fall_asleep()
    bench.frames = 3
    bench.pulse.wake()
    assert bench.loop.fire() == 0
    assert bench.frames == 0


def test_what_nobody_announced_is_found_within_a_second() -> None:
    bench = Bench()
    bench.fall_asleep()
    bench.frames = 3
    bench.loop.fire()
    assert bench.frames == 0
    assert bench.loop.fire() == 0
    assert bench.loop.fire() == 5 * NS_PER_MS


def test_a_socket_with_a_backlog_gives_way_and_comes_again_at_once() -> None:
    bench = Bench()
    for _ in range(BATCHES_PER_BEAT + 3):
        bench.receiver.put(bench.clock.now_ns())
    bench.loop.fire()
    assert len(bench.taken) == BATCHES_PER_BEAT
    assert bench.loop.fire() == 0
    assert len(bench.taken) == BATCHES_PER_BEAT + 3


def test_deadlines_beyond_a_backlog_do_not_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    """A packet that is still in the kernel may be the one that is waited for."""
    bench = Bench()
    horizons: list[int] = []
    monkeypatch.setattr(bench.engine, "poll", horizons.append)
    arrival_ns = bench.clock.now_ns() - 80 * NS_PER_MS
    for _ in range(BATCHES_PER_BEAT):
        bench.receiver.put(arrival_ns)
    bench.loop.fire()
    bench.loop.fire()
    assert horizons[0] == arrival_ns
    assert horizons[1] == bench.clock.now_ns()


def test_a_failing_beat_is_counted_and_the_next_one_comes() -> None:
    bench = Bench()

    def fail(batch: DatagramBatch, now_ns: int) -> None:
        raise RuntimeError("a bug")

    bench.pulse.add(bench.receiver, fail)
    bench.pulse._feeds.pop(0)
    bench.receiver.put(bench.clock.now_ns())
    bench.loop.fire()
    assert bench.pulse.failures == 1
    assert bench.loop.fire() == 5 * NS_PER_MS


def test_stopping_drains_once_more() -> None:
    bench = Bench()
    bench.loop.fire()
    bench.receiver.put(bench.clock.now_ns())
    bench.pulse.stop()
    assert bench.taken == [1]


def test_a_batch_that_is_not_full_is_the_last_of_its_beat() -> None:
    bench = Bench()
    bench.receiver.most = 2
    for _ in range(2):
        bench.receiver.put(bench.clock.now_ns())
    bench.loop.fire()
    assert bench.taken == [1]
    bench.loop.fire()
    assert bench.taken == [1, 1]
