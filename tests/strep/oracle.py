"""The timeline's semantics for one track and one epoch, in plain Python: one sample, one entry.

Deliberately naive. It knows unwrapped sequence numbers and timestamps, so nothing here is modular; it keeps every
packet it ever saw and every sample in a dictionary. Positions count from the timestamp of the first packet to arrive.

The rules, as the timeline documents them:

* a packet lies where its timestamp says; the first of its sequence number counts, the others are duplicates;
* packets are delivered in sequence; a hole is given up `WAIT_NS` after the first packet behind it came, when polled;
* at the beginning, the track waits as long for packets that the first one overtook; up to 32 of them count;
* what comes after its place was given up is late, and patched in if its place is known;
* missing sequence numbers make a gap loss, at most the longest frame heard each; the rest of a gap is silence;
* samples leave in whole blocks, when polled; if a packet does not fit on the ring of tape, or is 256 or more
  sequence numbers ahead, then whatever is missing before it is given up at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from strep.clock import NEVER_NS, NS_PER_MS
from strep.ledger import Kind
from tests.strep.packets import Packet

WAIT_NS = 60 * NS_PER_MS
BLOCK_SAMPLES = 800
RING_SAMPLES = 16 * BLOCK_SAMPLES
WINDOW_PACKETS = 256
LOOKBACK_PACKETS = 32
LOOKBACK_SAMPLES = RING_SAMPLES // 4


@dataclass
class OracleTrack:
    """What must have become of the packets so far."""

    received: int = 0
    delivered: int = 0
    duplicate: int = 0
    late: int = 0
    invalid: int = 0
    reordered: int = 0
    lost: set[int] = field(default_factory=set)
    seen: set[int] = field(default_factory=set)
    waiting: dict[int, Packet] = field(default_factory=dict)
    tape: dict[int, int] = field(default_factory=dict)
    heard: dict[int, int] = field(default_factory=dict)
    kinds: dict[int, Kind] = field(default_factory=dict)
    is_started: bool = False
    is_waiting_to_begin: bool = False
    zero: int = 0
    next_sequence: int = 0
    base_sequence: int = 0
    highest_sequence: int = 0
    origin: int = 0
    resolved_end: int = 0
    released: int = -LOOKBACK_SAMPLES
    longest: int = 0

    # -- what happens ----------------------------------------------------------------------------------

    def receive(self, packet: Packet) -> None:
        self.received += 1
        if not self.is_started:
            self._begin(packet)
        sequence = packet.sequence
        if sequence in self.seen:
            self.duplicate += 1
            return
        self.reordered += sequence < self.highest_sequence
        if sequence < self.next_sequence:
            self._late(packet)
            return
        if not self._fits(packet):
            self._give_up_all()
            self.release()
        if not self._fits(packet):
            self._skip_to(packet)
        self.seen.add(sequence)
        self.waiting[sequence] = packet
        self.longest = max(self.longest, len(packet.payload))
        self.highest_sequence = max(self.highest_sequence, sequence)
        self._write(packet, self._position(packet))
        if not self.is_waiting_to_begin:
            self._deliver()

    def poll(self, now_ns: int) -> None:
        while self.deadline() <= now_ns:
            self._give_up()
        self.release()

    def finish(self) -> None:
        self._give_up_all()
        for position in range(self.released, self.resolved_end):
            self.heard[position] = self.tape.get(position, 0xFF)
        self.released = self.resolved_end

    def deadline(self) -> int:
        if not self.waiting:
            return NEVER_NS
        return min(packet.arrival_ns for packet in self.waiting.values()) + WAIT_NS

    def release(self) -> None:
        end = self.resolved_end // BLOCK_SAMPLES * BLOCK_SAMPLES
        if self.is_waiting_to_begin or not self.is_started:
            return
        for position in range(self.released, end):
            self.heard[position] = self.tape.get(position, 0xFF)
        self.released = max(self.released, end)

    # -- what that means -------------------------------------------------------------------------------

    def _begin(self, packet: Packet) -> None:
        self.is_started = self.is_waiting_to_begin = True
        self.zero = packet.timestamp
        self.highest_sequence = packet.sequence
        self.next_sequence = packet.sequence - LOOKBACK_PACKETS

    def _position(self, packet: Packet) -> int:
        return packet.timestamp - self.zero

    def _fits(self, packet: Packet) -> bool:
        end = self._position(packet) + len(packet.payload)
        return end - self.released <= RING_SAMPLES and packet.sequence - self.next_sequence < WINDOW_PACKETS

    def _write(self, packet: Packet, start: int) -> None:
        for offset, code in enumerate(packet.payload):
            self.tape[start + offset] = code

    def _deliver(self) -> None:
        while self.next_sequence in self.waiting:
            packet = self.waiting.pop(self.next_sequence)
            if packet.payload:
                self._fill(self._position(packet), Kind.SILENCE)
                self.resolved_end = max(self.resolved_end, self._position(packet) + len(packet.payload))
            self.delivered += packet.is_audio
            self.invalid += not packet.is_audio
            self.next_sequence += 1

    def _fill(self, end: int, kind: Kind) -> None:
        for position in range(self.resolved_end, end):
            self.kinds[position] = kind
        self.resolved_end = max(self.resolved_end, end)

    def _give_up(self) -> None:
        behind = min(self.waiting)
        packet = self.waiting[behind]
        if self.is_waiting_to_begin:
            self.is_waiting_to_begin = False
            self.base_sequence = behind
            self.origin = self.released = self.resolved_end = self._position(packet)
        else:
            self._lose(behind, packet)
        self.next_sequence = behind
        self._deliver()

    def _lose(self, behind: int, packet: Packet) -> None:
        missing = behind - self.next_sequence
        self.lost.update(range(self.next_sequence, behind))
        if packet.payload:
            self._fill(min(self._position(packet), self.resolved_end + missing * self.longest), Kind.LOST)

    def _give_up_all(self) -> None:
        while self.waiting:
            self._give_up()

    def _skip_to(self, packet: Packet) -> None:
        """A gap longer than the ring."""
        position = self._position(packet)
        missing = packet.sequence - self.next_sequence
        self.lost.update(range(self.next_sequence, packet.sequence))
        self._fill(min(position, self.resolved_end + missing * self.longest), Kind.LOST)
        self._fill(position, Kind.SILENCE)
        for at in range(self.released, position):
            self.heard[at] = self.tape.get(at, 0xFF)
        self.released = max(self.released, position)
        self.next_sequence = packet.sequence

    def _late(self, packet: Packet) -> None:
        self.late += 1
        self.seen.add(packet.sequence)
        self.lost.discard(packet.sequence)
        if not packet.is_audio or packet.sequence < self.base_sequence:
            return
        for offset, code in enumerate(packet.payload):
            position = self._position(packet) + offset
            if self.origin <= position < self.resolved_end:
                self.tape[position] = code
                if position in self.kinds:
                    self.kinds[position] = Kind.LATE_PATCHED

    # -- what can be compared --------------------------------------------------------------------------

    @property
    def length(self) -> int:
        return 0 if self.is_waiting_to_begin or not self.is_started else self.resolved_end - self.origin

    def tape_heard(self) -> bytes:
        return bytes(self.heard.get(position, 0xFF) for position in range(self.origin, self.released))

    def tape_recorded(self) -> bytes:
        return bytes(self.tape.get(position, 0xFF) for position in range(self.origin, self.resolved_end))

    def ledger(self) -> list[Kind]:
        """Return the kind of every sample."""
        return [self.kinds.get(p, Kind.RECEIVED) for p in range(self.origin, self.resolved_end)]

    def counters(self) -> dict[str, int]:
        expected = self.highest_sequence - self.base_sequence + 1
        return {
            "received": self.received,
            "delivered": self.delivered,
            "duplicate": self.duplicate,
            "late": self.late,
            "invalid": self.invalid,
            "quarantined": 0,
            "in_flight": len(self.waiting),
            "reordered": self.reordered,
            "epochs": 0,
            "never_arrived": len(self.lost),
        } | (
            {}
            if self.is_waiting_to_begin or not self.is_started
            else {"expected": expected, "cumulative_lost": expected - self.received}
        )
