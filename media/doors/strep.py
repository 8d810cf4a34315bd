"""The STREP door: thousands of legs on one UDP port, told apart by call_leg_id, L and D."""

from __future__ import annotations

from functools import partial
from uuid import UUID

import numpy as np

from media.calls import Call, Track
from media.codecs import Encoding
from media.doors.packets import frames_of
from media.doors.sources import describe_source
from media.engine import Engine
from media.tapes import format_of
from strep.datagrams import DatagramBatch, PacketColumns, parse_strep
from strep.demux import UNKNOWN, Demux, Key
from strep.header import Direction, Leg
from strep.reject import Reject


class StrepDoor:
    """Opens a call for every new (call_leg_id, L) and a track for every new D of it.

    Attributes:
        datagrams: datagrams received.
        rejected: (len(Reject),) int64, datagrams that were no call audio, by `Reject` code.
    """

    def __init__(self, engine: Engine) -> None:
        """Start without a leg."""
        self.datagrams = 0
        self.rejected = np.zeros(len(Reject), np.int64)
        self._engine = engine
        self._demux = Demux()
        self._calls: dict[Key, Call] = {}

    def receive(self, batch: DatagramBatch, now_ns: int) -> None:
        """Take the datagrams of one drain."""
        packets = parse_strep(batch)
        self.datagrams += len(batch)
        if len(packets) < len(batch):
            self.rejected += np.bincount(packets.reject, minlength=len(Reject))
            self.rejected[Reject.NONE] = 0
            if not len(packets):
                return
        third = packets.leg_direction.astype(np.uint64)
        slot = self._demux.lookup(packets.call_leg_high, packets.call_leg_low, third)
        unknown = slot == UNKNOWN
        if unknown.any():
            for i in np.flatnonzero(unknown).tolist():
                slot[i] = self._slot_of_newcomer(packets, i, batch)
            kept = np.flatnonzero(slot != UNKNOWN)
            if len(kept) < len(slot):
                self.rejected[Reject.NO_ROOM] += len(slot) - len(kept)
                packets, slot = packets.take(kept), slot[kept]
        self._engine.receive(frames_of(batch, packets, slot, self._engine))

    def _slot_of_newcomer(self, packets: PacketColumns, i: int, batch: DatagramBatch) -> int:
        key = (int(packets.call_leg_high[i]), int(packets.call_leg_low[i]), int(packets.leg_direction[i]))
        slot = self._demux.get(key)
        if slot != UNKNOWN or not self._engine.has_room():
            return slot
        arrival_ns = int(batch.arrival_ns[packets.row[i]])
        source = {**describe_source(batch.source[packets.row[i]]), "ssrc": int(packets.ssrc[i])}
        encoding = self._engine.payload_types.opening(int(packets.payload_type[i]))
        call = self._call_of(key, arrival_ns, encoding)
        direction = Direction(key[2] & 1)
        track = self._engine.open_track(
            lambda slot: Track(slot, direction, arrival_ns, source, call),
            encoding,
            lambda track, now_ns: call,
            call.tape,
        )
        self._demux.add(key, track.handle)
        return track.handle

    def _call_of(self, key: Key, arrival_ns: int, encoding: Encoding) -> Call:
        high, low, leg_direction = key
        leg = Leg(leg_direction >> 1)
        call = self._calls.get((high, low, leg))
        if call is None:
            call_leg_id = str(UUID(int=high << 64 | low))
            name = call_leg_id if leg is Leg.A else f"{call_leg_id}-b"
            identity = {"call_leg_id": call_leg_id, "leg": leg.name}
            forget = partial(self._forget, (high, low, leg))
            call = self._engine.open_call(name, "strep", identity, arrival_ns, forget, format_of(encoding))
            self._calls[high, low, leg] = call
        return call

    def _forget(self, key: Key, call: Call) -> None:
        high, low, leg = key
        del self._calls[key]
        for direction in Direction:
            self._demux.discard((high, low, leg << 1 | direction))
