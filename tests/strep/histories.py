"""Packet histories for property tests: what a sane sender and a harsh network do, and what madmen do.

Made from a seed rather than drawn value by value: Hypothesis then finds the smallest size at which something
fails, and a failing history is two or three integers long.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from strep.clock import NS_PER_MS, NS_PER_SECOND
from tests.strep.packets import OTHER_SSRC, SSRC, Packet, Sender

START_NS = 10 * NS_PER_SECOND
EDGE_SEQUENCES = (0, 1, 31, 32, 1000, 65_400, 65_500, 65_535)
EDGE_TIMESTAMPS = (0, 1, 159, 3200, 50_000, 2**31 - 500, 2**31, 2**32 - 3000, 2**32 - 160, 2**32 - 1)


@dataclass(frozen=True)
class Event:
    """Something done to a timeline: a batch received or, without packets, a poll."""

    now_ns: int
    batch: tuple[Packet, ...]


def harsh_stream(random: Random, slot: int, packets: int) -> list[Packet]:
    """Return one track of a sane sender through a harsh network, in the order of arrival.

    Frames of 80 to 480 samples, the last of them shorter; pauses with advancing timestamps; packets that are
    no audio; packets lost, doubled, and late by up to 250 ms.
    """
    size, is_varied = random.choice((80, 160, 240, 480)), random.random() < 0.3
    lateness_ms, loss = random.choice((0, 0, 3, 30, 100, 250)), random.choice((0, 0, 0.05, 0.3))
    sender = Sender(
        sequence=random.choice((*EDGE_SEQUENCES, random.randrange(2**16))),
        timestamp=random.choice((*EDGE_TIMESTAMPS, random.randrange(2**32))),
        now_ns=START_NS + random.randint(0, 30) * NS_PER_MS,
        slot=slot,
    )
    arrivals: list[Packet] = []
    for n in range(packets):
        chance = random.random()
        if chance < 0.04:
            sender.pause(random.choice((1, 80, 160, 2000, 6000)))
        sender.samples = random.randint(80, 480) if is_varied else size
        if n == packets - 1:
            sender.samples = random.randint(1, sender.samples)
        packet = sender.packet(0, is_audio=False) if 0.04 < chance < 0.07 else sender.packet()
        if random.random() < loss:
            continue
        arrivals.append(packet.at(packet.arrival_ns + random.randint(0, lateness_ms) * NS_PER_MS))
        if chance > 0.95:
            arrivals.append(packet.at(packet.arrival_ns + random.randint(0, 300) * NS_PER_MS))
    return sorted(arrivals, key=lambda packet: packet.arrival_ns)


def cut(random: Random, packets: list[Packet]) -> list[Event]:
    """Cut arrivals into batches and put polls between them, wherever."""
    ordered = sorted(packets, key=lambda packet: packet.arrival_ns)
    most, polls = random.choice((1, 3, 12, 60)), random.random()
    events: list[Event] = []
    while ordered:
        size = random.randint(1, most)
        batch, ordered = tuple(ordered[:size]), ordered[size:]
        now_ns = batch[-1].arrival_ns + random.randint(0, 5) * NS_PER_MS
        events.append(Event(now_ns, batch))
        if random.random() < polls:
            events.append(Event(now_ns + random.randint(0, 20) * NS_PER_MS, ()))
    return events


def harsh_call(seed: int, tracks: int, packets: int) -> list[Event]:
    """Return what happens to several interleaved tracks."""
    random = Random(seed)
    return cut(random, [p for slot in range(tracks) for p in harsh_stream(random, slot, packets)])


RUNS = (1, 1, 1, 2, 3, 5, 20, 60, 80, 300, 500)
SAMPLES = (0, 1, 37, 80, 160, 160, 160, 240, 800, 1400, 2036)
SEQUENCE_JUMPS = (-1, 1, -33, -100, -256, 256, 300, 3000, -3000, 32_768, 65_534)
TIMESTAMP_JUMPS = (-160, 160, 320, 7000, 8000, -3200, 12_800, -12_800, 160_000, 2**31, -(2**31), 2**32 - 1)
WAITS_MS = (0, 1, 5, 20, 20, 20, 61, 200, 1000, 20_000)


def madness(seed: int, tracks: int, steps: int) -> list[Event]:
    """Return what nobody in his right mind sends, amid runs that are quite in order."""
    random = Random(seed)
    now_ns = START_NS
    events: list[Event] = []
    senders = [Sender(slot=slot, sequence=random.randrange(2**16)) for slot in range(tracks)]
    wildness = random.choice((0.02, 0.1, 0.3))

    def is_wild() -> bool:
        return random.random() < wildness

    for _ in range(steps):
        now_ns += random.choice(WAITS_MS) * NS_PER_MS
        sender = random.choice(senders)
        sender.now_ns = now_ns
        if is_wild():
            sender.ssrc = random.choice((SSRC, OTHER_SSRC, 0, 2**32 - 1))
        if is_wild():
            sender.sequence += random.choice(SEQUENCE_JUMPS) + random.randint(-1, 1)
        if is_wild():
            sender.timestamp += random.choice((*TIMESTAMP_JUMPS, random.randrange(2**32))) + random.randint(-1, 1)
        if is_wild():
            sender.samples = random.choice(SAMPLES)
        run = sender.packets(random.choice(RUNS) if is_wild() else random.randint(1, 3))
        if is_wild():
            run = [_strange(random, packet) for packet in run]
        if is_wild():
            run = [packet.at(now_ns) for packet in run]
        if is_wild():
            random.shuffle(run)
        if is_wild() and events:
            run += random.choice(events).batch
        now_ns = max(now_ns, *(packet.arrival_ns for packet in run))
        events.append(Event(now_ns, tuple(run)))
        if random.random() < 0.5:
            events.append(Event(now_ns, ()))
    return events


def _strange(random: Random, packet: Packet) -> Packet:
    return Packet(
        packet.sequence + random.choice((0, 0, 1, -1, 2)),
        packet.timestamp + random.choice((0, 0, 0, 80, -80, -160, 5000, -5000)),
        packet.arrival_ns - random.choice((0, 0, 1000, NS_PER_SECOND)),
        packet.payload,
        packet.slot,
        packet.ssrc,
        is_audio=random.random() < 0.7,
    )
