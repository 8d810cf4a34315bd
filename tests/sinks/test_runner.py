"""The runner: `step` under a manual clock, and the thread with events instead of sleeps."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media.blocks import PcmBatch
from media.sinks.contract import CallInfo, CallReport, Sink, SinkOptions, WhenBehind
from media.sinks.queue import MAX_WAITING_CALLS, CallEnded, CallStarted, Item
from media.sinks.recording import RecordingSink
from media.sinks.runner import TICK_NS, SinkRunner
from strep.clock import NS_PER_SECOND, ManualClock
from strep.g711 import Codec, decode
from tests.sinks.rows import Row, batch_of, call_info, call_report
from tests.sinks.waves import play

PATIENCE_S = 30.0


class Diary:
    """A sink that writes down what happens to it, and raises when told to."""

    def __init__(self, **options: Any) -> None:
        self.options = SinkOptions("diary", **options)
        self.entries: list[str] = []
        self.fails_at: set[str] = set()

    def note(self, entry: str) -> None:
        self.entries.append(entry)
        if self.fails_at & {entry, entry.split(" ", maxsplit=1)[0]}:
            raise RuntimeError(entry)

    def call_started(self, call: CallInfo) -> None:
        self.note(f"start {call.index}")

    def receive(self, batch: PcmBatch) -> None:
        kind = "late" if batch.late else "block"
        self.note(f"{kind} {batch.positions[0]}" if len(batch) else f"tick {batch.now_ns}")

    def call_ended(self, call: CallInfo, report: CallReport) -> None:
        self.note(f"end {call.index}")

    def close(self) -> None:
        self.note("close")


def steps(runner: SinkRunner) -> int:
    """Do what there is to do; return how long the thread would wait then."""
    while (wait_ns := runner.step()) == 0:
        pass
    return wait_ns


CALL: list[Item] = [
    CallStarted(call_info()),
    batch_of(Row(0, 0, 0)),
    batch_of(Row(0, 0, 7), late=True),
    CallEnded(call_info(), call_report(800)),
]


class TestStep:
    def test_everything_in_order(self) -> None:
        sink = Diary()
        runner = SinkRunner(sink, ManualClock())
        for item in CALL:
            runner.put(item)
        assert steps(runner) == TICK_NS
        assert sink.entries == ["start 0", "block 0", "late 7", "end 0"]
        assert runner.snapshot().delivered_blocks == 2

    def test_ticks_when_idle(self) -> None:
        sink, clock = Diary(), ManualClock()
        runner = SinkRunner(sink, clock)
        assert steps(runner) == TICK_NS
        clock.advance(TICK_NS // 2)
        runner.put(batch_of(Row(0, 0, 0)))
        assert steps(runner) == TICK_NS
        clock.advance(TICK_NS - 1)
        assert steps(runner) == 1
        clock.advance(1)
        assert steps(runner) == TICK_NS
        assert sink.entries == ["block 0", f"tick {TICK_NS * 3 // 2}"]

    @pytest.mark.parametrize("fails_at", ["start", "block", "late", "end", "tick"])
    def test_a_sink_that_raises_goes_on(self, fails_at: str, caplog: Any) -> None:
        sink, clock = Diary(), ManualClock()
        sink.fails_at = {fails_at}
        runner = SinkRunner(sink, clock)
        for item in CALL:
            runner.put(item)
        steps(runner)
        clock.advance(TICK_NS)
        steps(runner)
        assert sink.entries == ["start 0", "block 0", "late 7", "end 0", f"tick {TICK_NS}"]
        assert runner.snapshot().errors == 1
        assert "diary" in caplog.text
        assert "Traceback" in caplog.text

    def test_a_thousand_errors_are_one_line_a_second(self, caplog: Any) -> None:
        sink, clock = Diary(), ManualClock()
        sink.fails_at = {"block"}
        runner = SinkRunner(sink, clock)
        for second in range(3):
            for _ in range(1000):
                runner.put(batch_of(Row(0, 0, second)))
                steps(runner)
            clock.advance(NS_PER_SECOND)
        assert len(caplog.records) == 3
        assert "999 more" in caplog.records[1].message
        assert runner.snapshot().errors == 3000


class TestSnapshot:
    def test_lag_counts_what_the_sink_holds(self) -> None:
        clock = ManualClock()
        sink: Any = Diary()
        runner = SinkRunner(sink, clock)
        seen = []

        def receive(batch: PcmBatch) -> None:
            clock.advance(5)
            seen.append(runner.snapshot())

        sink.receive = receive
        runner.put(batch_of(Row(0, 0, 0)))
        clock.advance(10)
        runner.put(batch_of(Row(0, 0, 800)))
        assert runner.snapshot().lag_ns == 10
        steps(runner)
        assert [(s.lag_ns, s.queued_items) for s in seen] == [(15, 1), (10, 0)]
        assert runner.snapshot().lag_ns == 0

    def test_what_the_sink_says_of_itself(self, tmp_path: Path) -> None:
        recording, talkative, broken = RecordingSink(tmp_path), Diary(), Diary()
        talkative.snapshot = lambda: {"words": 3}  # type: ignore[attr-defined]
        broken.snapshot = lambda: 1 / 0  # type: ignore[attr-defined]
        runners = [SinkRunner(sink, ManualClock()) for sink in (recording, talkative, broken, Diary())]
        said = [runner.snapshot().details for runner in runners]
        assert json.loads(json.dumps(said)) == said
        assert (said[0]["failed"], said[0]["sidecar_errors"]) == (0, 0)
        assert said[1] == {"words": 3}
        assert "division" in said[2]["snapshot_error"]
        assert said[3] == {}

    def test_calls_that_a_hung_sink_never_hears_of(self, caplog: Any) -> None:
        runner = SinkRunner(Diary(), ManualClock())
        for _ in range(MAX_WAITING_CALLS):
            runner.put(CALL[0])
            runner.put(CALL[-1])
        snapshot = runner.snapshot()
        assert (snapshot.queued_items, snapshot.dropped_calls) == (MAX_WAITING_CALLS, MAX_WAITING_CALLS // 2)
        assert len(caplog.records) == 1

    def test_dropped(self) -> None:
        runner = SinkRunner(Diary(max_queue_bytes=0), ManualClock())
        for position in range(11):
            runner.put(batch_of(Row(0, 0, position)))
        snapshot = runner.snapshot()
        assert (snapshot.queued_items, snapshot.dropped_blocks) == (1, 10)
        assert snapshot.dropped_seconds == pytest.approx(1.0)

    def test_detached_is_said_once(self, caplog: Any) -> None:
        sink, clock = Diary(max_queue_bytes=0, when_behind=WhenBehind.DETACH), ManualClock()
        runner = SinkRunner(sink, clock)
        for position in range(9):
            runner.put(batch_of(Row(0, 0, position)))
            clock.advance(NS_PER_SECOND)
        steps(runner)
        assert runner.snapshot().detached
        assert len(caplog.records) == 1
        assert [entry for entry in sink.entries if "block" in entry] == []


class TestThread:
    def test_drains_then_closes(self) -> None:
        sink = Diary()
        runner = SinkRunner(sink)
        runner.start()
        for item in CALL:
            runner.put(item)
        assert runner.stop(PATIENCE_S)
        assert runner.stop(PATIENCE_S)
        assert [e for e in sink.entries if "tick" not in e] == ["start 0", "block 0", "late 7", "end 0", "close"]
        assert runner.snapshot().closed

    def test_never_started(self) -> None:
        sink = Diary()
        sink.fails_at = {"close"}
        runner = SinkRunner(sink, ManualClock())
        runner.put(CALL[0])
        assert runner.stop(PATIENCE_S)
        assert runner.stop(PATIENCE_S)
        assert sink.entries == ["start 0", "close"]
        assert runner.snapshot().errors == 1

    def test_a_sink_that_never_returns_is_left_behind(self, tmp_path: Path, caplog: Any) -> None:
        """A dead transcriber costs the recording nothing: design.md, "Sinks"."""
        dead: Any = Diary(max_queue_bytes=10_000)
        released, reached = threading.Event(), threading.Event()

        def receive(_: PcmBatch) -> None:
            reached.set()
            released.wait(PATIENCE_S)

        dead.receive = receive
        recording: Sink = RecordingSink(tmp_path)
        runners = [SinkRunner(dead), SinkRunner(recording)]
        try:
            for runner in runners:
                runner.start()
                runner.put(CallStarted(call_info()))
            blocks = [Row(0, 0, 800 * block) for block in range(100)]
            for block in blocks:
                for runner in runners:
                    runner.put(batch_of(block))
            assert reached.wait(PATIENCE_S)
            for runner in runners:
                runner.put(CallEnded(call_info(), call_report(80_000)))
            assert runners[1].stop(PATIENCE_S)
            assert not runners[0].stop(0.0)
            assert "sink diary did not finish within 0 s" in caplog.text
            assert runners[0].snapshot().dropped_blocks > 0
            assert runners[1].snapshot().dropped_blocks == 0
            expected = decode(np.concatenate([block.encoded for block in blocks]), Codec.PCMU)
            assert (play(tmp_path / "call-0.wav")[:, 0] == expected).all()
        finally:
            released.set()
            assert runners[0].stop(PATIENCE_S)
