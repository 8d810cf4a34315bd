"""What happens in each picture: packets as a sender numbers them, with the times at which they arrive; all seeded."""

from __future__ import annotations

import random
from collections.abc import Iterator

from docs.pictures.run import SAMPLES_PER_MS, Packet
from strep.header import Direction

_TRIP_MS = 8.0
"""Of a packet whose network is in no hurry; the first one defines when the call began."""


class Sender:
    """Counts as RTP senders do (RFC 3550 5.1): a number more per packet, as many samples more as were spoken."""

    def __init__(self, direction: Direction = Direction.INBOUND, ssrc: int = 1, seed: int = 1) -> None:
        self.direction, self.ssrc = direction, ssrc
        self.number, self.timestamp = 1000 * ssrc, 77_000 * ssrc
        self.now_ms = 0.0
        self._random = random.Random(seed)

    def send(self, length_ms: int = 20, *, late_ms: float = 0, jitter_ms: float = 3) -> Packet:
        """Return the next packet; it arrives some ms later than it was sent, and `late_ms` more."""
        arrival_ms = self.now_ms + length_ms + _TRIP_MS + self._random.uniform(0, jitter_ms) + late_ms
        packet = Packet(arrival_ms, self.number, self.timestamp, self.ssrc, self.direction, length_ms)
        self.number += 1
        self.timestamp += length_ms * SAMPLES_PER_MS
        self.now_ms += length_ms
        return packet

    def rest(self, length_ms: int) -> None:
        """Say nothing for a while: timestamps go on, numbers do not (DTX, hold)."""
        self.timestamp += length_ms * SAMPLES_PER_MS
        self.now_ms += length_ms

    def start_anew(self, ssrc: int, after_ms: int) -> None:
        """Be another source after a while, with numbers and timestamps that have nothing to do with the old ones."""
        self.ssrc, self.number, self.timestamp = ssrc, 31_000 + ssrc, 3_000_000_000 + ssrc
        self.now_ms += after_ms


def places() -> list[Packet]:
    """Return packets with jitter; the 5th is held back by the network, and the 9th comes twice."""
    sender = Sender(seed=3)
    packets = [sender.send(late_ms=38 if number == 4 else 0, jitter_ms=9) for number in range(13)]
    return [*packets, packets[8]._replace(arrival_ms=packets[8].arrival_ms + 24)]


def waiting() -> list[Packet]:
    """Return packets of which the 5th is lost, and the 13th comes 100 ms late."""
    sender = Sender(seed=5)
    packets = [sender.send(late_ms=125 if number == 12 else 0) for number in range(26)]
    return [packet for number, packet in enumerate(packets) if number != 4]


def silence() -> list[Packet]:
    """Return packets with a rest of 80 ms that the sender took, and later two that the network lost."""
    sender, packets = Sender(seed=7), []
    for number in range(17):
        if number == 5:
            sender.rest(80)
        packet = sender.send()
        if number not in (10, 11):
            packets.append(packet)
    return packets


def epochs() -> list[Packet]:
    """Return a sender that another one replaces 0.6 s after its last packet."""
    sender = Sender(seed=9)
    packets = [sender.send() for _ in range(30)]
    sender.start_anew(2, 600)
    return [*packets, *(sender.send() for _ in range(30))]


def call() -> list[Packet]:
    """Return 8 s of both directions: loss, reordering, DTX, a late packet, another source; one begins later."""
    caller, callee = Sender(seed=11), Sender(Direction.OUTBOUND, 7, seed=13)
    return [*_caller(caller), *_callee(callee)]


def _caller(sender: Sender) -> Iterator[Packet]:
    chance = random.Random(17)
    for number in range(400):
        if number == 150:
            sender.rest(700)
        if number == 260:
            sender.start_anew(2, 500)
        if sender.now_ms >= 8000:
            return
        packet = sender.send(late_ms=chance.choice([0] * 19 + [35]) if 20 < number < 130 else 0)
        if not (60 <= number < 63 or number in (90, 110, 210, 211)):
            yield packet._replace(arrival_ms=packet.arrival_ms + 150) if number == 230 else packet


def _callee(sender: Sender) -> Iterator[Packet]:
    sender.now_ms = 900
    for number in range(355):
        packet = sender.send()
        if number != 200:
            yield packet


def skew(minutes: int = 10, parts_per_million: int = 200) -> list[Packet]:
    """Return two senders whose clocks are wrong, inbound fast and outbound slow: 60 ms a packet."""
    packets: list[Packet] = []
    for direction, sign in ((Direction.INBOUND, -1), (Direction.OUTBOUND, 1)):
        sender, pace = Sender(direction, 3 + direction, seed=19 + direction), 1 + sign * parts_per_million / 1e6
        for _ in range(minutes * 1000):
            packet = sender.send(60)
            packets.append(packet._replace(arrival_ms=packet.arrival_ms * pace))
    return packets
