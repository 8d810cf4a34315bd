"""The first look at a capture: which of its datagrams are call audio, when nobody says so.

A packet on its own proves nothing: one DNS answer in four looks like RTP by its first bits. Three packets of one
source, destination and SSRC whose sequence numbers follow one another do. STREP's 24 bytes say more, so two are
enough. Ports that the operator names are believed without proof.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar
from uuid import UUID

from media.captures.layers import Address
from media.captures.reader import Datagram
from strep.header import HEADER_BYTES, MAGIC, VERSION, Direction, Leg
from strep.rtp import FIXED_HEADER_BYTES, RTCP_PAYLOAD_TYPES
from strep.rtp import VERSION as RTP_VERSION

STATIC_TYPES = {
    0: "PCMU",
    3: "GSM",
    4: "G723",
    5: "DVI4",
    7: "LPC",
    8: "PCMA",
    9: "G722",
    12: "QCELP",
    13: "CN",
    15: "G728",
    18: "G729",
}
"""Static audio payload types whose clock is 8 kHz (RFC 3551 table 4); others are no telephone's."""

STREP_PROOF, RTP_PROOF = 2, 3
"""Packets in sequence that prove a stream."""
MAX_STEP = 4
"""Sequence numbers may advance by so many between two of them: somebody may have lost packets."""
MAX_CANDIDATES = 100_000
"""Unproven streams kept; noise must not fill the memory."""

_FIRST_STREP_BYTE = MAGIC << 4 | VERSION
_LEG_ID = slice(8, HEADER_BYTES)
_SSRC = slice(8, 12)

Key = TypeVar("Key")


class StrepKey(NamedTuple):
    """A STREP track."""

    call_leg_id: UUID
    leg: Leg
    direction: Direction


class FlowKey(NamedTuple):
    """A plain RTP track."""

    source: Address
    destination: Address
    ssrc: int


@dataclass(slots=True)
class Sighting:
    """What was seen of one possible stream.

    Attributes:
        payload_types: packets of each.
        proven: enough packets followed one another.
    """

    sequence_number: int
    run: int = 1
    proven: bool = False
    payload_types: Counter[int] = field(default_factory=Counter)

    def add(self, payload_type: int, sequence_number: int, proof: int) -> None:
        """Count one packet."""
        self.payload_types[payload_type] += 1
        if not self.proven:
            step = (sequence_number - self.sequence_number) & 0xFFFF
            self.run = self.run + 1 if 0 < step <= MAX_STEP else 1
            self.sequence_number = sequence_number
            self.proven = self.run >= proof


@dataclass
class Census:
    """Collects `observe`d datagrams.

    Attributes:
        strep_ports, rtp_ports: destination ports that the operator named.
        any_payload_type: take RTP of every payload type, not only `STATIC_TYPES`.
        payload_types: that the operator named beside these.
        datagrams: observed so far.
        first_ns, last_ns: earliest and latest time of any datagram, ns since the epoch.
    """

    strep_ports: frozenset[int] = frozenset()
    rtp_ports: frozenset[int] = frozenset()
    any_payload_type: bool = False
    payload_types: frozenset[int] = frozenset()
    datagrams: int = 0
    first_ns: int = 0
    last_ns: int = 0
    _strep: dict[tuple[Address, bytes, int], Sighting] = field(default_factory=dict)
    _flows: dict[FlowKey, Sighting] = field(default_factory=dict)

    def observe(self, datagram: Datagram) -> None:
        """Take one datagram into account."""
        time_ns, source, destination, payload = datagram
        self.first_ns = min(self.first_ns, time_ns) if self.datagrams else time_ns
        self.last_ns = max(self.last_ns, time_ns)
        self.datagrams += 1
        rtp_start = _rtp_start(payload)
        if rtp_start is None:
            return
        payload_type = payload[rtp_start + 1] & 0x7F
        sequence_number = int.from_bytes(payload[rtp_start + 2 : rtp_start + 4])
        if rtp_start:
            key = destination, payload[_LEG_ID], payload[0] & 0b11
            self._sighting(self._strep, key, sequence_number).add(payload_type, sequence_number, STREP_PROOF)
            return
        flow = FlowKey(source, destination, int.from_bytes(payload[_SSRC]))
        is_wanted = self.any_payload_type or payload_type in STATIC_TYPES or payload_type in self.payload_types
        is_wanted = is_wanted or destination[1] in self.rtp_ports
        if is_wanted or flow in self._flows:
            self._sighting(self._flows, flow, sequence_number).add(payload_type, sequence_number, RTP_PROOF)

    def _sighting(self, among: dict[Key, Sighting], key: Key, sequence_number: int) -> Sighting:
        sighting = among.get(key)
        if sighting is None:
            if len(among) >= MAX_CANDIDATES:
                for unproven in [key for key, sighting in among.items() if not sighting.proven]:
                    del among[unproven]
            sighting = among[key] = Sighting(sequence_number)
        return sighting

    def strep_destinations(self) -> set[Address]:
        """Return the addresses that STREP was sent to, beside the ports that the operator named."""
        return {destination for (destination, _, _), sighting in self._strep.items() if sighting.proven}

    def flows(self) -> list[FlowKey]:
        """Return the plain RTP tracks, except those to ports that the operator named, in order of appearance."""
        named = self.rtp_ports | self.strep_ports
        return [key for key, seen in self._flows.items() if seen.proven and key.destination[1] not in named]

    def strep_payload_types(self) -> dict[StrepKey, Counter[int]]:
        """Return packets by payload type, of every STREP track."""
        types: dict[StrepKey, Counter[int]] = {}
        for (_, call_leg_id, bits), sighting in self._strep.items():
            key = StrepKey(UUID(bytes=call_leg_id), Leg(bits >> 1), Direction(bits & 1))
            types.setdefault(key, Counter()).update(sighting.payload_types)
        return types

    def flow_payload_types(self) -> dict[tuple[Address, int], Counter[int]]:
        """Return packets by payload type, of every source address and SSRC of plain RTP."""
        types: dict[tuple[Address, int], Counter[int]] = {}
        for key, sighting in self._flows.items():
            types.setdefault((key.source, key.ssrc), Counter()).update(sighting.payload_types)
        return types


def _rtp_start(payload: bytes) -> int | None:
    """Return where RTP begins if this may be RTP (0) or STREP (its HeaderLen), else None."""
    start = 0
    if len(payload) >= HEADER_BYTES and payload[0] >> 2 == _FIRST_STREP_BYTE:
        start = payload[1]
        if start < HEADER_BYTES:
            return None
    if len(payload) < start + FIXED_HEADER_BYTES or payload[start] >> 6 != RTP_VERSION:
        return None
    return None if payload[start + 1] in RTCP_PAYLOAD_TYPES else start


def flow_key(source: Address, destination: Address, payload: bytes) -> FlowKey | None:
    """Return the key of the plain RTP track that this may belong to, None if it cannot be RTP."""
    if _rtp_start(payload) != 0:
        return None
    return FlowKey(source, destination, int.from_bytes(payload[_SSRC]))


def is_rtcp(payload: bytes) -> bool:
    """Return whether this is RTCP: its type, and a length that fits (RFC 3550 section 6.4.1)."""
    return (
        len(payload) >= 8
        and payload[0] >> 6 == RTP_VERSION
        and payload[1] in RTCP_PAYLOAD_TYPES
        and (int.from_bytes(payload[2:4]) + 1) * 4 <= len(payload)
    )
