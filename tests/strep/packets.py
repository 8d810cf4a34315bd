"""Builders: packets by name, a sender that counts for itself, and batches in awkward memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from strep.clock import NS_PER_MS, NS_PER_SECOND
from strep.frames import FrameBatch

SAMPLE_RATE_HZ = 8000
FRAME_SAMPLES = 160
FRAME_NS = 20 * NS_PER_MS
SSRC = 0x1234_5678
OTHER_SSRC = 0x0BAD_CAFE


@dataclass(frozen=True)
class Packet:
    """One frame; `sequence` and `timestamp` count on beyond their modulus, the batch gets the remainder."""

    sequence: int
    timestamp: int
    arrival_ns: int
    payload: bytes
    slot: int = 0
    ssrc: int = SSRC
    is_audio: bool = True

    def __repr__(self) -> str:
        kind = "" if self.is_audio else ", no audio"
        at = f"{self.sequence} at {self.timestamp}, {len(self.payload)} samples"
        return f"<{at}, {self.arrival_ns / NS_PER_MS} ms, slot {self.slot}, {self.ssrc:#x}{kind}>"

    @property
    def end(self) -> int:
        return self.timestamp + len(self.payload)

    def at(self, arrival_ns: int) -> Packet:
        """Return the same packet with another time of arrival."""
        return replace(self, arrival_ns=arrival_ns)


def audio(number: int, samples: int = FRAME_SAMPLES, track: int = 0) -> bytes:
    """Return code bytes that are no silence of either law, differ between frames, and tell their track.

    Bytes of track t are t * 32 + 1 to t * 32 + 31: what leaks between the first three tracks shows.
    """
    ramp = np.arange(samples, dtype=np.int64) + 7 * number
    return (track % 3 * 32 + 1 + ramp % 31).astype(np.uint8).tobytes()


@dataclass
class Sender:
    """Sends one packet after the other, every 20 ms, and may be told to misbehave between them."""

    sequence: int = 1000
    timestamp: int = 50_000
    now_ns: int = 10 * NS_PER_SECOND
    ssrc: int = SSRC
    slot: int = 0
    samples: int = FRAME_SAMPLES
    sent: int = 0

    def packet(self, samples: int | None = None, *, is_audio: bool = True) -> Packet:
        """Return the next packet and count on."""
        size = self.samples if samples is None else samples
        payload = audio(self.sent, size, self.slot)
        made = Packet(self.sequence, self.timestamp, self.now_ns, payload, self.slot, self.ssrc, is_audio)
        self.sequence += 1
        self.timestamp += size
        self.now_ns += size * NS_PER_SECOND // SAMPLE_RATE_HZ
        self.sent += 1
        return made

    def packets(self, count: int) -> list[Packet]:
        return [self.packet() for _ in range(count)]

    def lose(self, count: int) -> list[Packet]:
        """Send packets that the network loses; returned for those who want them to come late."""
        return self.packets(count)

    def pause(self, samples: int) -> None:
        """Send nothing for a while: timestamps and time advance, sequence numbers do not."""
        self.timestamp += samples
        self.now_ns += samples * NS_PER_SECOND // SAMPLE_RATE_HZ

    def restart(self, *, ssrc: int, sequence: int | None = None, timestamp: int | None = None) -> None:
        """Go on as somebody else."""
        self.ssrc = ssrc
        self.sequence = self.sequence if sequence is None else sequence
        self.timestamp = self.timestamp if timestamp is None else timestamp


def burst(packets: Iterable[Packet], arrival_ns: int) -> list[Packet]:
    """Return the packets as they arrive when the network delivers them all at once."""
    return [packet.at(arrival_ns) for packet in packets]


def batch_of(packets: Sequence[Packet]) -> FrameBatch:
    """Return a batch whose payloads lie in scattered rows, at differing offsets, amid foreign bytes."""
    n = len(packets)
    width = max((len(packet.payload) for packet in packets), default=0) + 8
    table = np.full((n + 1, width), 0xA7, np.uint8)
    row = np.arange(n, dtype=np.int64)[::-1].copy()
    offset = np.array([packet.sequence % 2 * 4 for packet in packets], np.int64)
    for i, packet in enumerate(packets):
        start = offset[i]
        table[row[i], start : start + len(packet.payload)] = np.frombuffer(packet.payload, np.uint8)
    return FrameBatch(
        slot=np.array([packet.slot for packet in packets], np.int64),
        sequence_number=np.array([packet.sequence & 0xFFFF for packet in packets], np.int64),
        timestamp=np.array([packet.timestamp & 0xFFFF_FFFF for packet in packets], np.int64),
        ssrc=np.array([packet.ssrc for packet in packets], np.int64),
        arrival_ns=np.array([packet.arrival_ns for packet in packets], np.int64),
        is_audio=np.array([packet.is_audio for packet in packets], np.bool_),
        table=table,
        row=row,
        offset=offset,
        length=np.array([len(packet.payload) for packet in packets], np.int64),
    )


def payloads(packets: list[Packet]) -> bytes:
    return b"".join(packet.payload for packet in packets)
