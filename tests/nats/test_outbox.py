"""The outbox against a stream that breaks wherever it can: in order, nothing lost, nothing doubled, all bounded."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.nats.message import MAX_BODY_BYTES, Message
from media.nats.outbox import Outbox
from media.nats.spool import Spool
from media.nats.waiting import Limits
from strep.clock import NEVER_NS, NS_PER_SECOND
from tests.nats.model_stream import REFUSED, ModelStream, drain, message
from tests.searching import brief

WALL_NS = 1_700_000_000 * NS_PER_SECOND


def ids(subject: int, numbers: range) -> list[str]:
    return [message(subject, number).message_id for number in numbers]


class TestOrder:
    def test_one_of_a_subject_at_a_time(self) -> None:
        outbox = Outbox(Limits())
        for number in range(3):
            for subject in range(2):
                assert outbox.offer(message(subject, number), 0)
        first = outbox.take(0)
        assert [shipment.message.message_id for shipment in first] == [*ids(0, range(1)), *ids(1, range(1))]
        assert outbox.take(0) == []
        outbox.answered(first[1].number, ModelStream().store(first[1]), 0)
        (second,) = outbox.take(0)
        assert second.message.message_id == ids(1, range(1, 2))[0]

    def test_what_was_refused_holds_up_its_subject_and_no_other(self) -> None:
        outbox, stream = Outbox(Limits(retry_ns=10)), ModelStream()
        for number in range(2):
            outbox.offer(message(0, number), 0)
            outbox.offer(message(1, number), 0)
        refused, other = outbox.take(0)
        outbox.answered(refused.number, REFUSED, 0)
        outbox.answered(other.number, stream.store(other), 0)
        drain(outbox, stream, 0)
        assert stream.of("s.0") == []
        assert stream.of("s.1") == ids(1, range(2))
        assert outbox.deadline() <= 10
        outbox.poll(10)
        drain(outbox, stream, 10)
        assert stream.of("s.0") == ids(0, range(2))
        assert outbox.last_refusal == "no leader"
        assert outbox.totals.rejected == 1


class TestBounds:
    def test_under_way(self) -> None:
        outbox = Outbox(Limits(flying=3))
        for subject in range(10):
            outbox.offer(message(subject, 0), 0)
        assert len(outbox.take(0)) == 3
        outbox = Outbox(Limits(flying_bytes=1200))
        for subject in range(10):
            outbox.offer(message(subject, 0), 0)
        assert len(outbox.take(0)) == 3, "the last one may go over it"

    def test_memory_without_a_spool(self) -> None:
        outbox = Outbox(Limits(memory_bytes=1000))
        taken = [outbox.offer(message(0, number), 0) for number in range(5)]
        assert taken == [True, True, False, False, False]
        assert outbox.totals.dropped == 3
        stream = ModelStream()
        drain(outbox, stream, 0)
        assert stream.of("s.0") == ids(0, range(2))
        assert outbox.offer(message(0, 5), 0), "there is room again"

    def test_a_body_that_no_server_takes(self) -> None:
        outbox = Outbox(Limits())
        assert not outbox.offer(message(0, 0, MAX_BODY_BYTES + 1), 0)
        assert outbox.is_empty

    def test_the_spool(self, tmp_path: Path) -> None:
        outbox = Outbox(Limits(memory_bytes=1000), Spool.open(tmp_path, 100_000))
        taken = [outbox.offer(message(number % 7, number), 0) for number in range(2000)]
        assert outbox.snapshot(0)["spool_bytes"] <= 100_000
        assert sum(path.stat().st_size for path in tmp_path.rglob("*.spool")) <= 100_000
        assert outbox.snapshot(0)["waiting_bytes"] <= 1000
        assert taken == sorted(taken, reverse=True), "first come, first kept"
        assert 300 < sum(taken) < 2000
        stream = ModelStream()
        drain(outbox, stream, 0)
        assert len(stream.stored) == outbox.totals.stored == sum(taken)
        assert outbox.is_empty
        assert list(tmp_path.rglob("*.spool")) == []


class TestPatience:
    def test_what_waits_for_long_is_on_disk(self, tmp_path: Path) -> None:
        outbox = Outbox(Limits(patience_ns=100), Spool.open(tmp_path, 1 << 20))
        outbox.offer(message(0, 0), 0)
        outbox.poll(0)
        assert outbox.snapshot(0)["spool_bytes"] == 0
        outbox.poll(outbox.deadline())
        for now_ns in range(0, 300, 25):
            outbox.poll(now_ns)
        assert outbox.snapshot(0)["spool_bytes"] > 0

    def test_nothing_is_due_while_nothing_waits(self, tmp_path: Path) -> None:
        outbox, stream = Outbox(Limits(), Spool.open(tmp_path, 1 << 20)), ModelStream()
        assert outbox.deadline() == NEVER_NS
        outbox.offer(message(0, 0), 0)
        drain(outbox, stream, 0)
        assert outbox.deadline() == NEVER_NS

    def test_an_answer_that_does_not_come(self) -> None:
        outbox, stream = Outbox(Limits(answer_timeout_ns=50)), ModelStream()
        outbox.offer(message(0, 0), 0)
        (lost,) = outbox.take(0)
        stream.store(lost)
        assert outbox.deadline() == 50
        outbox.poll(50)
        assert outbox.totals.unanswered == 1
        drain(outbox, stream, 50)
        assert stream.of("s.0") == ids(0, range(1)), "it was asked for before it was sent again"
        assert outbox.totals.known == 1
        outbox.answered(lost.number, stream.store(lost), 60)
        assert outbox.totals.stored == 1, "the late answer means nothing"


class TestAge:
    def test_of_the_oldest(self) -> None:
        outbox = Outbox(Limits())
        assert outbox.snapshot(5 * NS_PER_SECOND)["oldest_ms"] == 0
        outbox.offer(message(0, 0), NS_PER_SECOND)
        outbox.offer(message(0, 1), 3 * NS_PER_SECOND)
        assert outbox.snapshot(5 * NS_PER_SECOND)["oldest_ms"] == 4000

    def test_outlives_the_process(self, tmp_path: Path) -> None:
        outbox = Outbox(Limits(), Spool.open(tmp_path, 1 << 20), WALL_NS)
        outbox.offer(message(0, 0), 0)
        assert outbox.close() == 0
        hour_ns = 3600 * NS_PER_SECOND
        # A new process after an hour, on a machine whose monotonic clock began at 0 again.
        outbox = Outbox(Limits(), Spool.open(tmp_path, 1 << 20), WALL_NS + hour_ns)
        outbox.take(0)
        assert outbox.snapshot(0)["oldest_ms"] == 3_600_000


def test_what_another_process_left_is_sent(tmp_path: Path) -> None:
    dead = Outbox(Limits(), Spool.open(tmp_path, 1 << 20))
    outbox, stream = Outbox(Limits(), Spool.open(tmp_path, 1 << 20)), ModelStream()
    for number in range(3):
        dead.offer(message(0, number), 0)
    assert dead.close() == 0
    outbox.poll(NS_PER_SECOND * 60)
    drain(outbox, stream, 0)
    assert stream.of("s.0") == ids(0, range(3))
    assert outbox.totals.recovered == 3


def test_close_says_what_is_lost(tmp_path: Path) -> None:
    outbox = Outbox(Limits())
    outbox.offer(message(0, 0), 0)
    assert outbox.close() == 1
    outbox = Outbox(Limits(), Spool.open(tmp_path, 1 << 20))
    outbox.offer(message(0, 0), 0)
    assert outbox.close() == 0


def test_a_disk_that_will_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> bool:
        raise OSError("no space left on device")

    spool = Spool.open(tmp_path, 1 << 20)
    monkeypatch.setattr(Spool, "append", fail)
    outbox, stream = Outbox(Limits(memory_bytes=1000), spool), ModelStream()
    taken = [outbox.offer(message(0, number), 0) for number in range(4)]
    assert taken == [True, True, False, False]
    assert outbox.totals.spool_errors > 0
    drain(outbox, stream, 0)
    assert stream.of("s.0") == ids(0, range(2))


def in_memory(outbox: Outbox) -> list[Message]:
    return [message for queue in outbox._waiting.queues.values() for message in queue]


class Course:
    """A stream, an outbox, and what happens to them; `check` says what must hold in the end."""

    def __init__(self, directory: Path | None, memory_bytes: int, rng: random.Random) -> None:
        self.directory, self.rng = directory, rng
        self.limits = Limits(memory_bytes, patience_ns=20, flying=5, answer_timeout_ns=40, retry_ns=15)
        self.stream, self.now_ns = ModelStream(), 0
        self.offered: dict[str, list[str]] = {}
        self.unsafe: set[str] = set()
        """Was in memory only when the process was killed."""
        self.next_numbers = [0] * 4
        self.outbox = self.begin()

    def begin(self) -> Outbox:
        return Outbox(self.limits, Spool.open(self.directory, 1 << 20) if self.directory else None)

    def offer(self) -> None:
        subject = self.rng.randrange(4)
        made = message(subject, self.next_numbers[subject], self.rng.randrange(300))
        self.next_numbers[subject] += 1
        if self.outbox.offer(made, self.now_ns):
            self.offered.setdefault(made.subject, []).append(made.message_id)

    def send(self) -> None:
        for shipment in self.outbox.take(self.now_ns):
            fate = self.rng.random()
            if fate < 0.1:
                self.outbox.answered(shipment.number, REFUSED, self.now_ns)
            elif fate < 0.2:
                self.stream.store(shipment)  # and the answer gets lost
            elif fate < 0.9:
                self.outbox.answered(shipment.number, self.stream.store(shipment), self.now_ns)

    def lose_connection(self) -> None:
        self.outbox.connection_lost()

    def kill(self) -> None:
        """End the process as SIGKILL does: its files stay as they are, its lock goes."""
        if self.directory:
            self.unsafe |= {left.message_id for left in in_memory(self.outbox) if left.segment is None}
            spool = self.outbox._waiting._spool
            assert spool is not None
            spool.close()
            self.outbox = self.begin()

    def run(self) -> None:
        deeds = [self.offer, self.send, self.lose_connection, self.kill]
        for deed in self.rng.choices(deeds, [50, 40, 7, 3], k=400):
            self.now_ns += self.rng.randrange(8)
            self.outbox.poll(self.now_ns)
            deed()
            assert self.outbox.snapshot(self.now_ns)["waiting_bytes"] <= self.limits.memory_bytes + 100_000 * bool(
                self.directory
            )
        for _ in range(2000):
            self.now_ns += 20
            self.outbox.poll(self.now_ns)
            drain(self.outbox, self.stream, self.now_ns)

    def check(self) -> None:
        assert self.outbox.is_empty
        for subject, offered in self.offered.items():
            stored = self.stream.of(subject)
            assert stored == [one for one in offered if one in set(stored)], "in order, nothing doubled"
            assert set(offered) - set(stored) <= self.unsafe, "nothing lost but what was in memory only"
        totals = self.outbox.totals
        assert totals.offered + totals.recovered == totals.stored
        assert self.outbox.snapshot(self.now_ns)["spool_bytes"] == 0


@brief(20)
@given(st.randoms(use_true_random=False), st.booleans(), st.integers(400, 4000))
def test_whatever_breaks(
    tmp_path_factory: pytest.TempPathFactory, rng: random.Random, has_spool: bool, memory_bytes: int
) -> None:
    """Connections that break, answers that get lost, refusals, and, with a spool, processes that are killed."""
    course = Course(tmp_path_factory.mktemp("spool") if has_spool else None, memory_bytes, rng)
    course.run()
    course.check()
