"""A receiver that does everything right, one packet at a time and with hindsight: the judge of the truth.

It knows nothing of scripts and deliveries; it parses datagrams with the scalar parsers, and takes restarts from
what is on the wire (SSRC, jumps of sequence number or of timestamp against arrival time).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from strep import header, rtp
from strep.clock import NS_PER_SECOND
from strep.g711 import SAMPLE_RATE_HZ, Codec
from strep.serial import signed_difference_16, signed_difference_32

_SEQUENCE_JUMP = 3_000
_TIMESTAMP_JUMP = 1 << 28
TELEPHONE_EVENT = 101


@dataclass
class Epoch:
    """Extended numbers under one SSRC."""

    ssrc: int
    sequence: int
    timestamp: int
    position_samples: int
    packets: dict[int, tuple[int, bytes]] = field(default_factory=dict)


@dataclass
class ReceivedTrack:
    """Counters and tape of one track."""

    received: int = 0
    duplicated: int = 0
    reordered: int = 0
    epochs: list[Epoch] = field(default_factory=list)
    origin_ns: int = 0
    silence: int = 0xFF
    runs: list[set[int]] = field(default_factory=list)
    keys: dict[int, set[bytes]] = field(default_factory=dict)
    """Telephone-events, by timestamp."""

    def receive(self, packet: rtp.RtpPacket, arrival_ns: int) -> None:
        self.received += 1
        if packet.payload_type == TELEPHONE_EVENT:
            self.keys.setdefault(packet.timestamp, set()).add(packet.payload)
            packet = replace(packet, payload=b"")
        else:
            self.silence = Codec(packet.payload_type).silence
        if not self.epochs:
            self.origin_ns = arrival_ns
        epoch = self._epoch(packet, arrival_ns)
        sequence = epoch.sequence + signed_difference_16(packet.sequence_number, epoch.sequence & 0xFFFF)
        if sequence in epoch.packets:
            self.duplicated += 1
            return
        self.reordered += sequence < max(epoch.packets, default=sequence)
        offset = signed_difference_32(packet.timestamp, epoch.timestamp)
        epoch.packets[sequence] = epoch.position_samples + offset, packet.payload
        self.runs[-1].add(sequence)
        epoch.sequence = max(epoch.sequence, sequence)

    def _epoch(self, packet: rtp.RtpPacket, arrival_ns: int) -> Epoch:
        if self.epochs:
            last = self.epochs[-1]
            sequence_step = signed_difference_16(packet.sequence_number, last.sequence & 0xFFFF)
            timestamp_step = signed_difference_32(packet.timestamp, last.timestamp)
            is_new_run = packet.ssrc != last.ssrc or abs(sequence_step) > _SEQUENCE_JUMP
            if not is_new_run and abs(timestamp_step) < _TIMESTAMP_JUMP:
                return last
        else:
            is_new_run = True
        position = (arrival_ns - self.origin_ns) * SAMPLE_RATE_HZ // NS_PER_SECOND
        if is_new_run:
            self.runs.append(set())
        start = packet.sequence_number
        if not is_new_run:
            start = self.epochs[-1].sequence + signed_difference_16(start, self.epochs[-1].sequence & 0xFFFF)
        self.epochs.append(Epoch(packet.ssrc, start, packet.timestamp, position))
        return self.epochs[-1]

    @property
    def delivered(self) -> int:
        return self.received - self.duplicated

    @property
    def lost(self) -> int:
        return sum(max(run) - min(run) + 1 - len(run) for run in self.runs)

    def tape(self) -> NDArray[np.uint8]:
        packets = [packet for epoch in self.epochs for packet in epoch.packets.values() if packet[1]]
        first = min(position for position, _ in packets)
        end = max(position + len(payload) for position, payload in packets)
        tape = np.full(end - first, self.silence, np.uint8)
        for position, payload in packets:
            tape[position - first : position - first + len(payload)] = np.frombuffer(payload, np.uint8)
        return tape


def receive_strep(datagram: bytes, arrival_ns: int, tracks: dict[tuple[str, str, str], ReceivedTrack]) -> None:
    """Take a datagram that is known to be well formed."""
    envelope = header.parse(datagram)
    key = str(envelope.call_leg_id), envelope.leg.name, envelope.direction.name.lower()
    track = tracks.setdefault(key, ReceivedTrack())
    track.receive(rtp.parse(datagram[envelope.header_length_bytes :]), arrival_ns)
