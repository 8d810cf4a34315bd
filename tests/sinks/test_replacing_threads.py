"""Sinks that hang or leave in threads of their own."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from media.blocks import PcmBatch
from media.sinks.contract import CallInfo, CallReport, SinkOptions
from media.sinks.runner import SinkRunner
from media.sinks.watching import SinkWatch
from strep.clock import NS_PER_SECOND, SystemClock
from tests.sinks.rows import Row, batch_of
from tests.sinks.scripted import start

PATIENCE_S = 60.0


class Stepped(SystemClock):
    """A clock that goes, and is put forward."""

    step_ns = 0

    def now_ns(self) -> int:
        return super().now_ns() + self.step_ns


class Silent:
    """A sink that does nothing."""

    options = SinkOptions("silent")

    def call_started(self, call: CallInfo) -> None:
        pass

    def receive(self, batch: PcmBatch) -> None:
        pass

    def call_ended(self, call: CallInfo, report: CallReport) -> None:
        pass

    def close(self) -> None:
        pass


class TestThreads:
    """With threads, as the server has them; events and no sleeps."""

    def test_a_sink_that_hangs_and_one_that_leaves(self) -> None:
        clock = Stepped()
        stuck, release, third = threading.Event(), threading.Event(), threading.Event()
        made: list[Any] = []

        class Stuck(Silent):
            options = SinkOptions("stuck", hang_s=3600)

            def __init__(self) -> None:
                made.append(self)
                self.number = len(made)

            def receive(self, batch: PcmBatch) -> None:
                if len(batch) and self.number == 1:
                    stuck.set()
                    release.wait(PATIENCE_S)
                elif len(batch) and self.number == 2:
                    raise SystemExit
                elif len(batch):
                    third.set()

        runner = SinkRunner(Stuck(), clock, make=Stuck)
        watch = SinkWatch([runner], every_s=0.01)
        runner.start()
        watch.start()
        try:
            runner.put(start(0))
            runner.put(batch_of(Row(0, 0, 0)))
            assert stuck.wait(PATIENCE_S)
            clock.step_ns = 3600 * NS_PER_SECOND
            position, deadline = 800, time.monotonic() + PATIENCE_S
            while not third.wait(0.01):
                runner.put(batch_of(Row(0, 0, position)))
                position += 800
                assert time.monotonic() < deadline, runner.snapshot()
        finally:
            release.set()
            assert runner.stop(PATIENCE_S)
            watch.stop()
        assert runner.snapshot().restarts == len(made) - 1 == 2

    def test_one_that_hangs_with_the_lock_that_its_snapshot_wants(self) -> None:
        """Who looks at it, the loop that receives for one, gets the last answer and waits for nobody."""
        held, release = threading.Event(), threading.Event()

        class Locked(Silent):
            options = SinkOptions("locked")

            def __init__(self) -> None:
                self.lock, self.taken = threading.Lock(), 0

            def receive(self, batch: PcmBatch) -> None:
                with self.lock:
                    if len(batch):
                        held.set()
                        release.wait(PATIENCE_S)
                        self.taken += 1

            def snapshot(self) -> dict[str, int]:
                with self.lock:
                    return {"taken": self.taken}

        runner, looked = SinkRunner(Locked()), threading.Event()
        runner.start()
        try:
            runner.put(start(0))
            runner.put(batch_of(Row(0, 0, 0)))
            assert held.wait(PATIENCE_S)
            seen: list[Any] = []

            def look() -> None:
                seen.append(runner.snapshot().details)
                looked.set()

            threading.Thread(target=look, daemon=True).start()
            assert looked.wait(PATIENCE_S / 4)
            assert seen == [{"taken": 0}]
        finally:
            release.set()
            assert runner.stop(PATIENCE_S)
        assert runner.snapshot().details == {"taken": 1}

    def test_one_whose_snapshot_leaves(self) -> None:
        class Leaving(Silent):
            options = SinkOptions("leaving")

            def snapshot(self) -> dict[str, int]:
                raise SystemExit

        runner = SinkRunner(Leaving())
        runner.start()
        runner.put(start(0))
        assert runner.stop(PATIENCE_S)
        assert runner.snapshot().details == {"snapshot_error": "SystemExit()"}

    def test_no_thread_for_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What it did not get is unfinished, which whoever stops it is told, without waiting for it."""

        def no_more(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", no_more)
        runner = SinkRunner(Silent())
        runner.start()
        assert runner.snapshot().detached
        assert not runner.stop(timeout_s=PATIENCE_S * 1000)
        assert not runner.snapshot().closed
