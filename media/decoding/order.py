"""`DecodeOrder`: payloads of a codec with a memory, in the order in which they were made.

What comes in order passes at once. What comes behind a hole waits until the hole is filled or the reorder wait is
over, as on the timeline; and so does the beginning of a stream, whose first packet may have overtaken others. The
timeline goes by the same arrival times, so this delays nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from media.codecs import Encoding
from strep.clock import NEVER_NS
from strep.serial import SEQUENCE_MODULUS, signed_difference_16

MAX_WAITING = 256
"""Packets behind a hole, copies included; one more gives it up."""
MAX_DROPOUT = 3000
MAX_MISORDER = 100
"""RFC 3550 A.1: a sequence number farther off than these begins a new stream."""


class Packet(NamedTuple):
    """One packet or media frame.

    Attributes:
        sequence_number: modulo 2**16.
        timestamp: modulo 2**32, in units of the encoding's RTP clock.
        ssrc: of the sender; for media frames the generation of their counting.
        arrival_ns: monotonic.
        payload: its audio; empty where it has none and only keeps its place.
        encoding: of the payload; None where it is no audio.
    """

    sequence_number: int
    timestamp: int
    ssrc: int
    arrival_ns: int
    payload: bytes
    encoding: Encoding | None


class Fate(Enum):
    """What a decoder has to know of a packet that is handed to it."""

    FIRST = "the first of a stream: nothing came before"
    NEXT = "follows the one before, whatever is missing between them"
    BEHIND = "comes twice or too late: its place in the order is taken or given up"


@dataclass(slots=True)
class MovedOrder:
    """All that a `DecodeOrder` knows, for another process."""

    ssrc: int | None
    highest: int
    next: int | None
    waiting: dict[int, Packet]
    copies: dict[int, list[Packet]]
    deadline_ns: int


class DecodeOrder:
    """One track's order; give it every packet, and call `poll` at `deadline`."""

    __slots__ = ("_copies", "_deadline_ns", "_highest", "_next", "_ssrc", "_wait_ns", "_waiting")

    def __init__(self, wait_ns: int) -> None:
        """Start before the first packet; `wait_ns` is the reorder wait."""
        self._wait_ns = wait_ns
        self._ssrc: int | None = None
        self._highest = 0  # extended
        self._next: int | None = None  # extended; None while the stream is young
        self._waiting: dict[int, Packet] = {}
        self._copies: dict[int, list[Packet]] = {}  # of packets that wait: the tape must see these first
        self._deadline_ns = NEVER_NS

    def deadline(self) -> int:
        """Return when `poll` has something to do, in ns; `NEVER_NS` if nothing waits."""
        return self._deadline_ns

    def receive(self, packet: Packet) -> Iterator[tuple[Packet, Fate]]:
        """Take a packet and yield what may be decoded now; to be used up before the next call."""
        extended = self._highest + signed_difference_16(packet.sequence_number, self._highest & 0xFFFF)
        if extended == self._next and not self._waiting and packet.ssrc == self._ssrc:
            self._next = extended + 1
            self._highest = extended
            yield packet, Fate.NEXT
            return
        step = extended - self._highest
        if packet.ssrc != self._ssrc or not -MAX_MISORDER < step <= MAX_DROPOUT:
            yield from self.flush()
            self._ssrc, self._next = packet.ssrc, None
            self._highest = extended = SEQUENCE_MODULUS + packet.sequence_number
        if self._next is not None and extended < self._next:
            yield packet, Fate.BEHIND
            return
        if self._waiting.setdefault(extended, packet) is not packet:
            self._copies.setdefault(extended, []).append(packet)
        self._highest = max(self._highest, extended)
        if len(self._waiting) + sum(map(len, self._copies.values())) > MAX_WAITING:
            yield from self._give_up()
        yield from self._advance()

    def poll(self, now_ns: int) -> Iterator[tuple[Packet, Fate]]:
        """Yield what waited behind holes whose time is over; to be used up before the next call."""
        while self._deadline_ns <= now_ns:
            yield from self._give_up()

    def flush(self) -> Iterator[tuple[Packet, Fate]]:
        """Yield everything that waits."""
        while self._waiting:
            yield from self._give_up()

    def shift(self, sequence_number: int, ticks: int) -> None:
        """Move the timestamps of what waits from `sequence_number` on: they were estimates."""
        extended = self._highest + signed_difference_16(sequence_number, self._highest & 0xFFFF)
        for number, packet in self._waiting.items():
            if number >= extended:
                self._waiting[number] = _shifted(packet, ticks)
        for number, copies in self._copies.items():
            if number >= extended:
                copies[:] = [_shifted(copy, ticks) for copy in copies]

    def copy_out(self) -> MovedOrder:
        """Return what goes on elsewhere."""
        return MovedOrder(self._ssrc, self._highest, self._next, self._waiting, self._copies, self._deadline_ns)

    def put_in(self, moved: MovedOrder) -> None:
        """Go on with what was elsewhere."""
        self._ssrc, self._highest, self._next = moved.ssrc, moved.highest, moved.next
        self._waiting, self._copies, self._deadline_ns = moved.waiting, moved.copies, moved.deadline_ns

    def _give_up(self) -> Iterator[tuple[Packet, Fate]]:
        first = min(self._waiting)
        is_young, self._next = self._next is None, first + 1
        yield from self._hand_on(first, Fate.FIRST if is_young else Fate.NEXT)
        yield from self._advance()

    def _advance(self) -> Iterator[tuple[Packet, Fate]]:
        while self._next in self._waiting:
            self._next += 1
            yield from self._hand_on(self._next - 1, Fate.NEXT)
        arrivals = [packet.arrival_ns for packet in self._waiting.values()]
        self._deadline_ns = min(arrivals) + self._wait_ns if arrivals else NEVER_NS

    def _hand_on(self, number: int, fate: Fate) -> Iterator[tuple[Packet, Fate]]:
        yield self._waiting.pop(number), fate
        for copy in self._copies.pop(number, ()):
            yield copy, Fate.BEHIND


def _shifted(packet: Packet, ticks: int) -> Packet:
    return packet._replace(timestamp=(packet.timestamp + ticks) & 0xFFFF_FFFF)
