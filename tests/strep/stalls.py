"""Senders and receivers that stand still for seconds, as on a machine that is starved, and go on somehow.

Sequence numbers and timestamps are clean throughout; only the moments are not: when a packet is sent, when the
kernel has it, when it is read, and which of these the timeline is told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from random import Random

from strep.clock import NS_PER_MS, NS_PER_SECOND
from tests.strep.packets import SAMPLE_RATE_HZ, Packet

START_NS = 10 * NS_PER_SECOND
STEP_NS = 20 * NS_PER_MS
"""From one reading to the next when nothing waits."""
_NO_SILENCE = bytes(range(255)) + b"\0"


class After(Enum):
    """What a sender does with what was due while it stood still."""

    BURST = "sends all of it at once"
    TWICE = "sends at twice the pace until it has caught up"
    LATE = "goes on in real time, late for ever"


@dataclass(frozen=True)
class Stall:
    """From `start_ns` on nothing happens for `length_ns`."""

    start_ns: int
    length_ns: int

    @property
    def end_ns(self) -> int:
        return self.start_ns + self.length_ns


@dataclass
class Line:
    """How packets come from a sender to the timeline.

    Attributes:
        stalls: of the sender.
        after: what it does then.
        pauses: stalls of the receiver; what arrives meanwhile waits in the kernel.
        loss, jitter_ms, double: of the network.
        stamps_are_the_kernels: else a packet arrives when it is read.
        read_packets: at most so many are read at once.
        read_ns: how long that takes at the least, and at the most.
        kernel_packets: room in the kernel; what comes when it is full is dropped.
    """

    stalls: list[Stall] = field(default_factory=list)
    after: After = After.BURST
    pauses: list[Stall] = field(default_factory=list)
    loss: float = 0.0
    jitter_ms: int = 0
    double: float = 0.0
    stamps_are_the_kernels: bool = True
    read_packets: int = 64
    read_ns: tuple[int, int] = (1, 3 * NS_PER_MS)
    kernel_packets: int = 1 << 20


def sent_ns(due_ns: list[int], line: Line) -> list[int]:
    """Return when packets leave that were due at ascending times."""
    moments: list[int] = []
    for number, due in enumerate(due_ns):
        moment = due
        if moments and line.after is After.LATE:
            moment = max(due, moments[-1] + due - due_ns[number - 1])
        elif moments and line.after is After.TWICE:
            moment = max(due, moments[-1] + (due - due_ns[number - 1]) // 2)
        moment = max(moment, moments[-1] if moments else 0)
        for stall in line.stalls:
            if stall.start_ns <= moment < stall.end_ns:
                moment = stall.end_ns
        moments.append(moment)
    return moments


def track(random: Random, slot: int, seconds: float, samples: int, line: Line) -> tuple[list[Packet], list[Packet]]:
    """Return what was sent, in order, and what arrives at the kernel, in the order of arrival."""
    count = int(seconds * SAMPLE_RATE_HZ) // samples
    sequence, timestamp = random.randrange(2**16), random.randrange(2**32)
    step_ns = samples * NS_PER_SECOND // SAMPLE_RATE_HZ
    first_ns = START_NS + random.randrange(step_ns)
    moments = sent_ns([first_ns + n * step_ns for n in range(count)], line)
    sent = [
        Packet(sequence + n, timestamp + n * samples, moment, random.randbytes(samples).translate(_NO_SILENCE), slot)
        for n, moment in enumerate(moments)
    ]
    arriving = [
        packet.at(packet.arrival_ns + random.randint(0, line.jitter_ms) * NS_PER_MS)
        for packet in sent
        for _ in range(1 + (random.random() < line.double))
        if random.random() >= line.loss
    ]
    return sent, sorted(arriving, key=lambda packet: packet.arrival_ns)


def read(random: Random, line: Line, arriving: list[Packet]) -> Iterator[tuple[int, list[Packet]]]:
    """Yield when the receiver reads, and what; that may be nothing."""
    coming = deque(sorted(arriving, key=lambda packet: packet.arrival_ns))
    kernel: deque[Packet] = deque()
    now_ns, end_ns = START_NS, coming[-1].arrival_ns + NS_PER_SECOND
    while coming or kernel or now_ns < end_ns:
        now_ns = next((pause.end_ns for pause in line.pauses if pause.start_ns <= now_ns < pause.end_ns), now_ns)
        while coming and coming[0].arrival_ns <= now_ns:
            packet = coming.popleft()
            if len(kernel) < line.kernel_packets:
                kernel.append(packet)
        batch = [kernel.popleft() for _ in range(min(len(kernel), line.read_packets))]
        yield now_ns, batch if line.stamps_are_the_kernels else [packet.at(now_ns) for packet in batch]
        now_ns += random.randint(*line.read_ns) if kernel else STEP_NS
