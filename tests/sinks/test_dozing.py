"""Sinks that nobody wants anything of get no audio, and all of it from the moment that somebody does."""

from __future__ import annotations

from media.blocks import PcmBatch
from media.sinks.contract import SinkOptions
from media.sinks.dozing import Doze
from media.sinks.queue import CallStarted
from media.sinks.runner import SinkRunner
from strep.clock import ManualClock
from tests.sinks.rows import call_info


class Sleeper:
    """Keeps what it got."""

    options = SinkOptions("sleeper")

    def __init__(self) -> None:
        self.doze, self.batches, self.calls = Doze(is_idle=True), 0, 0
        self.orders: list[str] = []

    @property
    def is_idle(self) -> bool:
        return self.doze.is_idle

    def call_started(self, call: object) -> None:
        self.calls += 1

    def receive(self, batch: PcmBatch) -> None:
        self.batches += 1

    def call_ended(self, call: object, report: object) -> None: ...

    def close(self) -> None: ...


def test_a_sleeper_is_told_of_calls_and_gets_no_batch() -> None:
    sleeper = Sleeper()
    runner = SinkRunner(sleeper, ManualClock(0))

    def put_and_work() -> None:
        runner.put(PcmBatch.tick(0))
        while runner.step() == 0:
            pass

    runner.put(CallStarted(call_info()))
    put_and_work()
    assert (sleeper.calls, sleeper.batches) == (1, 0)
    with sleeper.doze.waking():
        sleeper.orders.append("listen")
        assert sleeper.is_idle  # until the order is in
    put_and_work()
    assert sleeper.batches == 1
    sleeper.doze.look(lambda: sleeper.orders)
    put_and_work()
    assert sleeper.batches == 2
    sleeper.orders.clear()
    sleeper.doze.look(lambda: sleeper.orders)
    put_and_work()
    assert sleeper.batches == 2
