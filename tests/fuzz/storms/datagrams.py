"""A storm of datagrams on a UDP door, by each of its rules in turn, while clean calls go on.

The referee: nothing raises; each datagram is counted once, at every moment; scalar parsers agree on samples; what the
clean calls are heard to say is what they said, to the byte; in the end nothing is left of anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_network
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from media.admission.legs import LegGuard, LegMode
from media.blocks import PcmBatch
from media.doors.rtp import RtpDoor
from media.doors.sources import pack_source
from media.doors.strep import StrepDoor
from media.engine import Engine
from media.sinks.queue import CallEnded, CallStarted, Item
from strep import header
from strep.clock import NS_PER_MS, NS_PER_SECOND, ManualClock
from strep.datagrams import MAX_DATAGRAM_BYTES, DatagramBatch, PacketColumns, parse_rtp, parse_strep
from strep.header import Direction, Leg, StrepHeader
from strep.reject import Reject
from strep.rtp import RtpPacket
from strep.timeline import Timeline
from tests.fuzz.storms.mutation import FIXED_HEADER_BYTES, Table, mutate
from tests.fuzz.test_datagram_fuzz import packets
from tests.strep.test_datagrams import scalar_rtp, scalar_strep

PTIME_NS, FRAME = 20 * NS_PER_MS, 160
CLEAN, VICTIMS = 12, 48
"""Legs, of two tracks each."""
MAX_TRACKS = 200
ORACLE_ROWS = 4
FAMILIAR = pack_source("192.0.2.1", 4000)
VICTIM = pack_source("198.51.100.8", 5000)


@dataclass(frozen=True)
class Rules:
    """How a door is told to behave."""

    name: str
    is_strep: bool = True
    legs: LegMode = "open"
    networks: tuple[str, ...] = ()
    is_pinned: bool = True


NETWORKS = ("192.0.2.0/24", "198.51.100.8/31")
ALL_RULES = (
    Rules("strep"),
    Rules("probation", legs="probation"),
    Rules("registered", legs="registered"),
    Rules("networks", networks=NETWORKS),
    Rules("any-source", is_pinned=False),
    Rules("rtp", is_strep=False),
    Rules("rtp-networks", is_strep=False, networks=NETWORKS),
)


class Traffic:
    """What legs send: every 20 ms a packet on each of their tracks."""

    def __init__(self, legs: int, source: bytes, *, first_leg: int, is_strep: bool) -> None:
        self.leg_ids = [UUID(int=0x9B6F58A20A2B11EEBE560242AC120002 + ((first_leg + i) << 64)) for i in range(legs)]
        self.rtp_at = header.HEADER_BYTES if is_strep else 0
        self._pool = np.random.default_rng(first_leg).integers(0, 256, 1 << 14).astype(np.uint8)
        self._first_leg, self._source = first_leg, np.frombuffer(source, np.uint8)
        self._addresses = self._source[7] + np.arange(legs).repeat(2) * (not is_strep and first_leg == 1)
        heads = [StrepHeader(leg, Leg.A, direction) for leg in self.leg_ids for direction in Direction]
        self._heads = np.frombuffer(b"".join(map(header.serialize, heads)), np.uint8).reshape(-1, header.HEADER_BYTES)
        self.tracks = len(heads)

    def audio(self, track: int, start: int, stop: int) -> NDArray[np.uint8]:
        """Return what a track says from one sample to another."""
        return self._pool[(np.arange(start, stop) + 997 * track) % len(self._pool)]

    def table(self, number: int, track: NDArray[np.int64]) -> Table:
        """Return packet `number` of tracks."""
        count, at = len(track), self.rtp_at
        rows = np.zeros((count, MAX_DATAGRAM_BYTES), np.uint8)
        rows[:, :at] = self._heads[track, :at]
        rows[:, at] = 0x80
        rows[:, at + 2 : at + 4] = np.frombuffer((number & 0xFFFF).to_bytes(2, "big"), np.uint8)
        rows[:, at + 4 : at + 8] = np.frombuffer((number * FRAME & 0xFFFF_FFFF).to_bytes(4, "big"), np.uint8)
        rows[:, at + 10], rows[:, at + 11] = self._first_leg, track
        start = at + FIXED_HEADER_BYTES
        where = number * FRAME + np.arange(FRAME) + 997 * track[:, None]
        rows[:, start : start + FRAME] = self._pool[where % len(self._pool)]
        length = np.full(count, start + FRAME, np.int64)
        sources = np.tile(self._source, (count, 1))
        sources[:, 7] = self._addresses[track]  # of plain RTP, calls are told apart by it
        return Table(rows, length, sources, at)


@dataclass
class Listener:
    """Counts the packets of calls that are over, and compares what clean ones say with what they said."""

    traffic: Traffic
    is_strep: bool
    received: int = 0
    heard_samples: int = 0
    _names: dict[int, list[int]] = field(default_factory=dict)
    _next: dict[int, int] = field(default_factory=dict)

    def put(self, item: Item) -> None:
        if isinstance(item, CallStarted):
            self._names[item.call.index] = self._tracks_of(item)
        elif isinstance(item, PcmBatch):
            for i in range(len(item)):
                tracks = self._names[int(item.call[i])]
                if tracks:
                    self._compare(tracks[int(item.channel[i])], item, i)
        elif isinstance(item, CallEnded):
            self._names.pop(item.call.index)
            self.received += sum(track.statistics["received"] for track in item.report.tracks)
            assert all(sum(track.totals.values()) == track.length_samples for track in item.report.tracks)

    def _tracks_of(self, item: CallStarted) -> list[int]:
        identity = item.call.identity
        if self.is_strep:
            names = [str(leg) for leg in self.traffic.leg_ids]
            leg = identity["call_leg_id"]
            return [2 * names.index(leg), 2 * names.index(leg) + 1] if leg in names and identity["leg"] == "A" else []
        address, ssrc = identity["source"]["address"], identity["source"]["ssrc"]
        return [ssrc & 0xFE, ssrc & 0xFF | 1] if address.startswith("192.0.2.") else []

    def _compare(self, track: int, item: PcmBatch, i: int) -> None:
        first, last = int(item.first[i]), int(item.last[i])
        start = int(item.positions[i]) + first
        assert not item.late
        assert start == self._next.get(track, 0), f"clean track {track}: {start} instead of {self._next.get(track)}"
        assert np.array_equal(item.encoded[i, first:last], self.traffic.audio(track, start, start + last - first))
        self._next[track] = start + last - first
        self.heard_samples += last - first


class DatagramStorm:
    """One door, one engine, one seed.

    Attributes:
        sent: datagrams so far, those of the clean calls included.
        mutated: those of the storm alone.
        door: what they were sent to.
    """

    def __init__(self, rules: Rules, seed: int, rows: int) -> None:
        """Begin with the clean calls; `rows` mutated datagrams come every 20 ms."""
        self.rules, self._rows = rules, rows
        self.sent = self.mutated = self._number = 0
        self._random = np.random.default_rng([seed, ALL_RULES.index(rules)])
        self._clock = ManualClock(100 * NS_PER_SECOND)
        self._clean = Traffic(CLEAN, FAMILIAR, first_leg=1, is_strep=rules.is_strep)
        self._victims = Traffic(VICTIMS, VICTIM, first_leg=100, is_strep=rules.is_strep)
        self._listener = Listener(self._clean, rules.is_strep)
        self.engine = Engine(
            Timeline(), self._clock, [self._listener], idle_timeout_ns=NS_PER_SECOND, max_tracks=MAX_TRACKS
        )
        self.guard = LegGuard(rules.legs, map(ip_network, rules.networks), is_pinned=rules.is_pinned)
        self._strep, self._rtp = StrepDoor(self.engine, self.guard), RtpDoor("tap", self.engine, self.guard)
        self.door: StrepDoor | RtpDoor = self._strep if rules.is_strep else self._rtp
        if rules.legs == "registered":
            for leg in (*self._clean.leg_ids, *self._victims.leg_ids[::2]):
                self._strep.register(leg, self._clock.now_ns(), 3600 * NS_PER_SECOND)

    def step(self) -> None:
        """Let 20 ms pass: the clean calls' packets, and the storm, in any order."""
        clean = self._clean.table(self._number, np.arange(self._clean.tracks))
        storm = self._victims.table(self._number, self._random.integers(0, self._victims.tracks, self._rows))
        mutate(storm, self._random, is_strep=self.rules.is_strep)
        self._spoof(storm)
        # The clean calls come first only where anybody may take the last free track of the 200.
        halves = (clean, storm) if self._number < 2 or self._random.random() < 0.5 else (storm, clean)
        for table in halves:
            self._receive(table)
        self.mutated += self._rows
        self._number += 1
        self.engine.poll(self._clock.advance(PTIME_NS))
        self._count()

    def _spoof(self, storm: Table) -> None:
        """Let some of it name clean legs: where sources are kept to, nothing of that may be heard."""
        if self.rules.is_strep and self.rules.is_pinned:
            which = np.flatnonzero(self._random.random(self._rows) < 0.02)
            track = self._random.integers(0, self._clean.tracks, len(which))
            storm.rows[which, : header.HEADER_BYTES] = self._clean._heads[track]

    def _receive(self, table: Table) -> None:
        now_ns = self._clock.now_ns()
        batch = DatagramBatch(table.rows, table.length, np.full(len(table.length), now_ns), table.source)
        if self.rules.is_strep:
            self._ask_oracle(batch, parse_strep(batch))
            self._strep.receive(batch, now_ns)
        else:
            # Of plain RTP each direction has its port.
            which = np.arange(len(batch)) & 1
            for direction in Direction:
                rows = np.flatnonzero(which == direction)
                part = DatagramBatch(
                    batch.table[rows], batch.length[rows], batch.arrival_ns[rows], batch.source[rows]
                )
                self._ask_oracle(part, parse_rtp(part))
                self._rtp.receive(part, direction, now_ns)
        self.sent += len(batch)

    def _ask_oracle(self, batch: DatagramBatch, columns: PacketColumns) -> None:
        """Ask the scalar parsers about some rows."""
        for row in self._random.integers(0, len(batch), ORACLE_ROWS).tolist():
            size = int(batch.length[row])
            data = batch.table[row, :size].tobytes().ljust(size, b"\0")
            expected = scalar_strep(data) if self.rules.is_strep else scalar_rtp(data)
            if isinstance(expected, Reject):
                assert columns.reject[row] == expected
                continue
            packet = expected if isinstance(expected, RtpPacket) else expected[1]
            i = int(np.searchsorted(columns.row, row))
            assert (columns.reject[row], columns.row[i]) == (Reject.NONE, row)
            start = int(columns.payload_offset[i])
            assert batch.table[row, start : start + int(columns.payload_length[i])].tobytes() == packet.payload
            found = columns.sequence_number[i], columns.timestamp[i], columns.ssrc[i], columns.payload_type[i]
            assert found == (packet.sequence_number, packet.timestamp, packet.ssrc, packet.payload_type)

    def _count(self) -> None:
        door = self.door
        waiting = self.guard.quarantine.held if self.rules.is_strep else 0
        taken = packets(self.engine) + self._listener.received
        assert door.datagrams == self.sent
        assert self.sent == taken + waiting + int(door.rejected.sum()), f"{self.sent} sent, {taken} taken"
        assert self.engine.conservation_errors == 0

    def finish(self) -> dict[str, int]:
        """End everything, and see that nothing is left; return how many datagrams ended how."""
        self._clock.advance(10 * NS_PER_SECOND)
        self.guard.quarantine.expire(self._clock.now_ns())
        self._strep.rejected[Reject.QUARANTINE] = self.guard.quarantine.dropped
        self.engine.end_all("shutdown")
        self._count()
        assert self._listener.heard_samples == self._clean.tracks * self._number * FRAME
        assert self.engine.calls_started == self.engine.calls_ended
        assert not self.engine.calls
        assert not len(self.engine.desk)
        assert not self.door._keys
        assert not len(self.door._demux)
        assert not len(self.guard.quarantine)
        assert list(self.engine.reels) == [self.engine.reels.code_bytes]
        reasons = {reason.name: int(self.door.rejected[reason]) for reason in Reject if self.door.rejected[reason]}
        return {"ACCEPTED": self._listener.received} | reasons
