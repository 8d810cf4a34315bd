"""The queue's bounds and policies; time is a number."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.blocks import PcmBatch
from media.sinks.contract import SinkOptions, WhenBehind
from media.sinks.queue import CallEnded, CallStarted, Item, SinkQueue
from strep.clock import NS_PER_SECOND
from tests.sinks.rows import Row, batch_of, call_info, call_report

BATCH_BYTES = batch_of(Row(0, 0, 0)).size_bytes


def queue_of(batches: int = 3, seconds: float = 10.0, policy: WhenBehind = WhenBehind.DROP_OLDEST) -> SinkQueue:
    return SinkQueue(SinkOptions("test", 100, policy, batches * BATCH_BYTES, seconds))


def drain(queue: SinkQueue) -> list[Item]:
    items = []
    while (got := queue.get()) is not None:
        items.append(got[0])
    return items


def names(items: list[Item]) -> list[str]:
    """Name lifecycle items by call and batches by position."""
    return [
        str(item.positions[0]) if isinstance(item, PcmBatch) else f"{type(item).__name__} {item.call.call_id}"
        for item in items
    ]


class TestBounds:
    def test_in_order_when_nothing_is_over(self) -> None:
        queue = queue_of()
        items: list[Item] = [CallStarted(call_info()), batch_of(Row(0, 0, 0)), CallEnded(call_info(), call_report(0))]
        for now_ns, item in enumerate(items):
            queue.put(item, now_ns)
        assert len(queue) == 3
        assert queue.queued_bytes == BATCH_BYTES
        assert queue.oldest_ns() == 0
        assert [queue.get(), queue.get(), queue.get()] == [(item, ns) for ns, item in enumerate(items)]
        assert queue.get() is None
        assert queue.oldest_ns() is None

    def test_bytes(self) -> None:
        queue = queue_of(batches=3)
        for position in range(5):
            queue.put(batch_of(Row(0, 0, position)), 0)
        assert queue.queued_bytes == 3 * BATCH_BYTES
        assert names(drain(queue)) == ["2", "3", "4"]
        assert (queue.dropped_batches, queue.dropped_blocks, queue.dropped_samples) == (2, 2, 1600)
        assert queue.dropped_seconds == pytest.approx(0.2)

    def test_the_batch_behind_what_was_dropped_says_so(self) -> None:
        queue = queue_of(batches=3)
        for position in range(5):
            queue.put(batch_of(Row(0, 0, position)), 0)
        assert [item.follows_dropped for item in drain(queue) if isinstance(item, PcmBatch)] == [True, False, False]
        for position in range(4):
            queue.put(batch_of(Row(0, 0, position)), 0)
        assert [item.follows_dropped for item in drain(queue) if isinstance(item, PcmBatch)] == [True, False, False]
        assert queue.queued_bytes == 0

    def test_seconds(self) -> None:
        queue = queue_of(batches=100, seconds=1.0)
        for position in range(4):
            queue.put(batch_of(Row(0, 0, position)), position * NS_PER_SECOND // 2)
        assert names(drain(queue)) == ["1", "2", "3"]

    def test_a_lone_batch_gets_through_whatever_its_size(self) -> None:
        queue = queue_of(batches=0)
        for position in range(3):
            queue.put(batch_of(Row(0, 0, position)), 0)
        assert names(drain(queue)) == ["2"]

    def test_ticks_do_not_pile_up(self) -> None:
        queue = queue_of(seconds=1.0)
        for second in range(100):
            queue.put(PcmBatch.tick(0), second * NS_PER_SECOND)
        assert len(queue) == 2
        assert queue.dropped_batches == 0, "there is no audio in a tick"


class TestPolicies:
    def test_starts_and_ends_are_never_dropped(self) -> None:
        queue = queue_of(batches=1)
        for index in range(3):
            queue.put(CallStarted(call_info(index)), 0)
            queue.put(batch_of(Row(index, 0, index)), 0)
            queue.put(CallEnded(call_info(index), call_report(0)), 0)
        assert names(drain(queue)) == [
            "CallStarted call-0",
            "CallEnded call-0",
            "CallStarted call-1",
            "CallEnded call-1",
            "CallStarted call-2",
            "2",
            "CallEnded call-2",
        ]

    def test_detach(self) -> None:
        queue = queue_of(batches=2, policy=WhenBehind.DETACH)
        queue.put(CallStarted(call_info()), 0)
        for position in range(3):
            assert not queue.detached
            queue.put(batch_of(Row(0, 0, position)), 0)
        assert queue.detached
        assert queue.queued_bytes == 0
        queue.put(batch_of(Row(0, 0, 3)), 0)
        queue.put(CallEnded(call_info(), call_report(0)), 0)
        items = drain(queue)
        assert names(items) == ["CallStarted call-0", "CallEnded call-0"]
        assert queue.dropped_blocks == 4
        assert events(items) == [("call-0", 4, 3200)]


def events(items: list[Item]) -> list[tuple[str, int, int]]:
    """Return call, blocks and samples of every sink_dropped event."""
    return [
        (item.call.call_id, event["blocks"], event["samples"])
        for item in items
        if isinstance(item, CallEnded)
        for event in item.report.events
    ]


class TestTheEndSaysWhatWasDropped:
    def test_per_call(self) -> None:
        queue = queue_of(batches=1)
        for index in (0, 1):
            queue.put(CallStarted(call_info(index)), 0)
        queue.put(batch_of(Row(0, 0, 0), Row(1, 0, 0, first=100), Row(0, 1, 0)), 0)
        queue.put(batch_of(Row(1, 0, 800)), 0)
        reports = [call_report(0), call_report(0)]
        for index in (0, 1):
            queue.put(CallEnded(call_info(index), reports[index]), 0)
        assert events(drain(queue)) == [("call-0", 2, 1600), ("call-1", 1, 700)]
        assert not any(report.events for report in reports), "the report belongs to all sinks"

    def test_an_index_that_is_used_again(self) -> None:
        queue = queue_of(batches=1)
        for name in ("a", "b", "c"):
            queue.put(CallStarted(call_info(0, name)), 0)
            for _ in range(2 if name == "a" else 1):
                queue.put(batch_of(Row(0, 0, 0)), 0)
            queue.put(CallEnded(call_info(0, name), call_report(0)), 0)
        assert events(drain(queue)) == [("a", 2, 1600), ("b", 1, 800)]

    @given(
        st.lists(st.sampled_from(["start", "batch", "end", "get", "get"]), max_size=60),
        st.sampled_from(list(WhenBehind)),
    )
    def test_put_is_got_or_dropped(self, verbs: list[str], policy: WhenBehind) -> None:
        queue, got, put, live = queue_of(batches=2, policy=policy), [], Counter[str](), 0
        for verb in verbs:
            if verb == "start":
                queue.put(CallStarted(call_info(live)), 0)
                live += 1
                put["start"] += 1
            elif verb == "batch":
                queue.put(batch_of(*[Row(call, 0, 0, width=10) for call in range(live + 1)]), 0)
                put["blocks"] += live + 1
            elif verb == "end" and live:
                live -= 1
                queue.put(CallEnded(call_info(live), call_report(0)), 0)
            elif verb == "get" and (item := queue.get()):
                got.append(item[0])
        got += drain(queue)
        delivered = sum(len(item) for item in got if isinstance(item, PcmBatch))
        assert delivered + queue.dropped_blocks == put["blocks"]
        assert queue.dropped_samples == 10 * queue.dropped_blocks
        starts = sum(isinstance(item, CallStarted) for item in got)
        assert starts + queue.dropped_calls == put["start"]
        assert starts == put["start"] or policy is WhenBehind.DETACH
        assert starts - live <= sum(isinstance(item, CallEnded) for item in got) <= starts


class TestCalls:
    """Starts and ends are bounded as well: calls that came and went before the sink could look are dropped whole."""

    def test_short_calls_against_a_hung_sink(self) -> None:
        queue = queue_of(batches=50)
        queue.max_waiting_calls = 10
        queue.put(CallStarted(call_info(0, "live")), 0)
        for number in range(1000):
            call = call_info(1, str(number))
            queue.put(CallStarted(call), 0)
            queue.put(batch_of(Row(0, 0, number, width=10), Row(1, 0, number, width=10)), 0)
            queue.put(CallEnded(call, call_report(0)), 0)
            assert len(queue) - len(queue._batches) <= 11
        assert queue.dropped_calls == 996
        rows: Counter[int] = Counter()
        items = drain(queue)
        for item in items:
            if isinstance(item, PcmBatch):
                rows.update(item.call.tolist())
        assert [name for name in names(items) if "Started" in name][1:] == [
            f"CallStarted {n}" for n in range(996, 1000)
        ]
        assert rows[1] == 4, "no block of a call that the sink does not know"

    def test_detached(self) -> None:
        queue = queue_of(batches=1, policy=WhenBehind.DETACH)
        queue.put(CallStarted(call_info(0)), 0)
        for _ in range(2):
            queue.put(batch_of(Row(0, 0, 0)), 0)
        for number in range(100):
            queue.put(CallStarted(call_info(1, str(number))), 0)
            queue.put(CallEnded(call_info(1, str(number)), call_report(0)), 0)
        queue.put(CallEnded(call_info(0), call_report(0)), 0)
        assert names(drain(queue)) == ["CallStarted call-0", "CallEnded call-0"]
        assert queue.dropped_calls == 100

    @given(
        st.lists(st.tuples(st.sampled_from(["call", "call", "batch", "get"]), st.integers(0, 3)), max_size=120),
        st.integers(0, 6),
        st.sampled_from(list(WhenBehind)),
    )
    def test_whole_or_not_at_all(self, verbs: list[tuple[str, int]], bound: int, policy: WhenBehind) -> None:
        """A sink hears of a call from start to end or never, gets its blocks in between only, and all is counted."""
        queue = queue_of(batches=3, policy=policy)
        queue.max_waiting_calls = bound
        live: dict[int, str] = {}
        known: dict[int, str] = {}
        got: list[Item] = []
        started, blocks = 0, 0
        for verb, index in [*verbs, *[("end", index) for index in range(4)]]:
            if verb not in {"get", "batch"} and index in live:
                queue.put(CallEnded(call_info(index, live.pop(index)), call_report(0)), 0)
            elif verb == "call":
                live[index] = str(started)
                queue.put(CallStarted(call_info(index, live[index])), 0)
                started += 1
            elif verb == "batch" and live:
                queue.put(batch_of(*[Row(call, 0, 0, width=10) for call in live]), 0)
                blocks += len(live)
            elif verb == "get" and (taken := queue.get()):
                got.append(taken[0])
            assert len(queue) - len(queue._batches) <= bound + 2 * 4
        got += drain(queue)
        starts = delivered = 0
        for item in got:
            if isinstance(item, CallStarted):
                assert item.call.index not in known
                known[item.call.index] = item.call.call_id
                starts += 1
            elif isinstance(item, CallEnded):
                assert known.pop(item.call.index) == item.call.call_id
            else:
                assert set(item.call.tolist()) <= set(known)
                delivered += len(item)
        assert not known
        assert not queue._calls
        assert starts + queue.dropped_calls == started
        assert delivered + queue.dropped_blocks == blocks
        assert queue.dropped_samples == 10 * queue.dropped_blocks


def test_nothing_is_kept_of_calls_that_ended() -> None:
    queue: Any = queue_of()
    for index in (0, 1, 0):
        queue.put(CallStarted(call_info(index)), 0)
        queue.put(CallEnded(call_info(index), call_report(0)), 0)
    drain(queue)
    assert not queue._calls
    queue.put(CallEnded(call_info(9), call_report(0)), 0)
    assert names(drain(queue)) == ["CallEnded call-9"]
