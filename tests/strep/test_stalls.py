"""Who stands still for seconds and goes on somehow: what the recording is then, by generated histories.

Whatever happened, every sample that was received is in the recording once and in order; where it is not as far from
another as their timestamps say, the ledger has a span between them, and the ledger says what is lost, to the sample.
Silence is put in for a sender that stays late, and for no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.clock import NS_PER_MS, NS_PER_SECOND
from strep.ledger import Kind
from strep.table import TimelineSettings
from tests.searching import brief
from tests.strep.bench import Bench
from tests.strep.packets import SAMPLE_RATE_HZ, Packet, batch_of
from tests.strep.stalls import START_NS, After, Line, Stall, read, track

SECONDS = 7
BLOCKS_MS = (20, 100, 400)
SIZES = ((160, 160), (80, 240), (480, 160))
SLOW = (NS_PER_MS, 300 * NS_PER_MS)
seeds = st.integers(0, 2**32 - 1)
short = brief(2)


@dataclass
class Played:
    """A call after its end, and by track what was sent and which sequence numbers were read."""

    bench: Bench
    sent: list[list[Packet]]
    taken: list[set[int]]

    def put_in(self, slot: int) -> int:
        """Return the samples of the spans that no packet is for."""
        return sum(n for _, n, kind in self.bench.spans(slot) if kind in (Kind.SILENCE, Kind.RESTART))

    def check(self) -> None:
        """See that the recording without what was put in is what was sent, with silence for what is lost."""
        for slot, sent in enumerate(self.sent):
            read_ones = [n for n, packet in enumerate(sent) if packet.sequence in self.taken[slot]]
            if not read_ones:
                assert self.bench.length(slot) == 0
                continue
            sent = sent[read_ones[0] : read_ones[-1] + 1]
            here = [packet.sequence in self.taken[slot] for packet in sent]
            expected = [
                packet.payload if is_here else b"\xff" * len(packet.payload)
                for packet, is_here in zip(sent, here, strict=True)
            ]
            recorded = bytearray(self.bench.recorded(slot))
            for start, length, kind in reversed(self.bench.spans(slot)):
                if kind in (Kind.SILENCE, Kind.RESTART):
                    assert recorded[start : start + length] == b"\xff" * length
                    del recorded[start : start + length]
            assert bytes(recorded) == b"".join(expected)
            lost = sum(len(packet.payload) for packet, is_here in zip(sent, here, strict=True) if not is_here)
            assert self.bench.totals(slot).get(Kind.LOST, 0) == lost
            statistics = self.bench.statistics(slot)
            assert (statistics.never_arrived, statistics.epochs, statistics.quarantined) == (here.count(False), 0, 0)


def play(seed: int, line: Line) -> Played:
    """Let two tracks of a call come over `line`; a timeline is looked after as the engine does."""
    random = Random(seed)
    made = [track(random, slot, SECONDS, n, line) for slot, n in enumerate(random.choice(SIZES))]
    bench = Bench(len(made), settings=TimelineSettings(block_ms=random.choice(BLOCKS_MS)))
    taken: list[set[int]] = [set() for _ in made]
    look_ns = START_NS
    for now_ns, batch in read(random, line, [packet for _, arriving in made for packet in arriving]):
        if batch:
            bench.timeline.receive(batch_of(batch))
        for packet in batch:
            taken[packet.slot].add(packet.sequence)
        if batch or bench.timeline.deadline() <= now_ns:
            bench.timeline.poll(now_ns)
            bench.collect()
        if now_ns >= look_ns:
            look_ns = now_ns + NS_PER_SECOND
            bench.timeline.realign()
    bench.finish()
    return Played(bench, [sent for sent, _ in made], taken)


def stalls(seed: int, *, at_the_start: bool = False) -> list[Stall]:
    """Return one to three stalls of 0.2 to 10 s."""
    random = Random(seed)
    made: list[Stall] = []
    start_ns = START_NS + (10 * NS_PER_MS if at_the_start else random.randint(300, 4000) * NS_PER_MS)
    while start_ns < START_NS + SECONDS * NS_PER_SECOND:
        made.append(Stall(start_ns, random.randint(200, 10_000) * NS_PER_MS))
        start_ns = made[-1].end_ns + random.randint(1, 5000) * NS_PER_MS
    return made[:3]


LINES = {"bad": (0.02, 30), "awful": (0.2, 80)}


@pytest.mark.parametrize("after", [After.BURST, After.TWICE])
@pytest.mark.parametrize("line", LINES)
@short
@given(seed=seeds)
def test_a_sender_that_catches_up_leaves_no_trace(after: After, line: str, seed: int) -> None:
    loss, jitter_ms = LINES[line]
    played = play(seed, Line(stalls(seed), after, loss=loss, jitter_ms=jitter_ms, double=loss))
    played.check()
    assert [played.put_in(slot) for slot in (0, 1)] == [0, 0]


@pytest.mark.parametrize("line", LINES)
@short
@given(seed=seeds)
def test_a_sender_that_stays_late_has_its_silence(line: str, seed: int) -> None:
    loss, jitter_ms = LINES[line]
    made = stalls(seed)[:1]
    played = play(seed, Line(made, After.LATE, loss=loss, jitter_ms=jitter_ms, double=loss))
    played.check()
    late_samples = made[0].length_ns * SAMPLE_RATE_HZ // NS_PER_SECOND
    for slot in (0, 1):
        if made[0].length_ns < 800 * NS_PER_MS:  # less than a second is not told from the way of the network
            assert played.put_in(slot) == 0
        elif made[0].length_ns > 1200 * NS_PER_MS:
            assert played.put_in(slot) == pytest.approx(late_samples, abs=SAMPLE_RATE_HZ // 5)


@pytest.mark.parametrize("stamps_are_the_kernels", [True, False])
@pytest.mark.parametrize("is_slow", [False, True])
@short
@given(seed=seeds)
def test_a_receiver_that_stands_still_leaves_no_trace(stamps_are_the_kernels: bool, is_slow: bool, seed: int) -> None:
    line = Line(pauses=stalls(seed), loss=0.02, jitter_ms=30, stamps_are_the_kernels=stamps_are_the_kernels)
    if is_slow:
        line.read_packets, line.read_ns = 32, SLOW
    played = play(seed, line)
    played.check()
    if stamps_are_the_kernels:
        assert [played.put_in(slot) for slot in (0, 1)] == [0, 0]


@pytest.mark.parametrize("room_packets", [100, 300])
@pytest.mark.parametrize("at_the_start", [False, True])
@short
@given(seed=seeds)
def test_a_backlog_that_does_not_fit_into_the_kernel_is_lost_in_its_place(
    room_packets: int, at_the_start: bool, seed: int
) -> None:
    """Behind a stall at the start the timestamps run ahead of the arrival clock; the loss used to be cut out."""
    made = stalls(seed, at_the_start=at_the_start)
    played = play(seed, Line(made, pauses=stalls(seed + 1), kernel_packets=room_packets))
    played.check()
    assert [played.put_in(slot) for slot in (0, 1)] == [0, 0]
