"""The STREP door: thousands of legs on one UDP port, told apart by call_leg_id, L and D."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from media.admission.announced import GOOD_FOR_NS
from media.admission.desk import halves, whole
from media.admission.legs import SILENT_NS, LegGuard
from media.admission.quarantine import Held
from media.calls import Call, Track
from media.codecs import Encoding
from media.doors.packets import TURNED_AWAY, frames_of
from media.doors.sources import describe_source, pack_source, source_and
from media.engine import Engine
from media.outlets import Forget
from media.tapes import format_of
from strep.datagrams import DatagramBatch, PacketColumns, collect, parse_strep
from strep.demux import UNKNOWN, Demux, Key
from strep.header import Direction, Leg
from strep.reject import Reject

_MOST_SOURCES = 4
"""Ports of one address that a direction may come from, by turns."""


class StrepDoor:
    """Opens a call for every new (call_leg_id, L) and a track for every new D of it.

    A track is found by its leg and by where its packets come from: one of a known leg from elsewhere is looked at as
    one of an unknown leg is, which costs the others nothing.

    Attributes:
        datagrams: datagrams received; those in quarantine are neither accepted nor rejected yet.
        rejected: (len(Reject),) int64, datagrams that were no call audio, by `Reject` code.
        guard: who may send.
    """

    def __init__(self, engine: Engine, guard: LegGuard | None = None) -> None:
        """Start without a leg."""
        self.datagrams = 0
        self.rejected = np.zeros(len(Reject), np.int64)
        self.guard = guard or LegGuard()
        self._engine = engine
        self._demux = Demux()
        self._calls: dict[Key, Call] = {}
        self._keys: dict[int, list[Key]] = {}
        self._released: list[Held] = []

    @property
    def accepted(self) -> int:
        """Datagrams that were call audio of who may send."""
        return self.datagrams - int(self.rejected.sum()) - self.guard.quarantine.held

    def receive(self, batch: DatagramBatch, now_ns: int) -> None:
        """Take the datagrams of one drain."""
        self.datagrams += len(batch)
        self._take(batch)
        while self._released:
            released, self._released = self._released, []
            self._take(collect(list(released)))
        quarantine = self.guard.quarantine
        if len(quarantine):
            quarantine.expire(now_ns)
        self.rejected[Reject.QUARANTINE] = quarantine.dropped

    def register(self, call_leg_id: UUID, now_ns: int, good_for_ns: int = GOOD_FOR_NS) -> None:
        """Announce a leg: it may begin, and what has come of it already is taken now."""
        released = self.guard.register(halves(call_leg_id), now_ns, good_for_ns)
        if released:
            self._take(collect(list(released)))

    def take_in(self, call: Call) -> Forget:
        """Go on with a call that another process has begun; return what has to be done at its end."""
        key = _key_of(call)
        self._calls[key] = call
        return partial(self._forget, key)

    def take_in_track(self, track: Track, call: Call) -> None:
        """Go on with a track of it, which is known by where it came from last: no flood stands in its way."""
        high, low, leg = _key_of(call)
        third = np.array([leg << 1 | track.direction], np.uint64)
        if self.guard.is_pinned:
            source = np.frombuffer(pack_source(track.source["address"], track.source["port"]), np.uint8)[None]
            third = source_and(source, third)
        self._add((high, low, int(third[0])), track.handle)

    def _take(self, batch: DatagramBatch) -> None:
        packets = parse_strep(batch)
        if len(packets) < len(batch):
            counts = np.bincount(packets.reject, minlength=len(Reject))
            counts[Reject.NONE] = 0
            self.rejected += counts
            if not len(packets):
                return
        third = packets.leg_direction.astype(np.uint64)
        if self.guard.is_pinned:
            third = source_and(batch.source if len(packets) == len(batch) else batch.source[packets.row], third)
        slot = self._demux.lookup(packets.call_leg_high, packets.call_leg_low, third)
        unknown = slot == UNKNOWN
        if unknown.any():
            self._take_newcomers(np.flatnonzero(unknown), slot, packets, third, batch)
            kept = np.flatnonzero(slot != UNKNOWN)
            if len(kept) < len(slot):
                packets, slot = packets.take(kept), slot[kept]
        self._engine.receive(frames_of(batch, packets, slot, self._engine))

    def _take_newcomers(
        self,
        newcomers: NDArray[np.intp],
        slot: NDArray[np.int64],
        packets: PacketColumns,
        third: NDArray[np.uint64],
        batch: DatagramBatch,
    ) -> None:
        """Find slots for the packets at `newcomers`, until too many were turned away."""
        turned_away = 0
        for looked_at, i in enumerate(newcomers.tolist(), 1):
            slot[i] = self._slot_of_newcomer(packets, i, int(third[i]), batch)
            turned_away += slot[i] == UNKNOWN
            if turned_away >= TURNED_AWAY:
                self.rejected[Reject.CROWDED] += len(newcomers) - looked_at
                break

    def _slot_of_newcomer(self, packets: PacketColumns, i: int, third: int, batch: DatagramBatch) -> int:
        """Return the slot of a packet that was not found, `UNKNOWN` if it is not taken, which is counted."""
        high, low = int(packets.call_leg_high[i]), int(packets.call_leg_low[i])
        slot = self._demux.get((high, low, third))  # of a track that has begun in this batch
        if slot != UNKNOWN:
            return slot
        leg_direction, row = int(packets.leg_direction[i]), packets.row[i]
        source, arrival_ns = describe_source(batch.source[row]), int(batch.arrival_ns[row])
        call = self._calls.get((high, low, leg_direction >> 1))
        track = _track_of(call, Direction(leg_direction & 1)) if call is not None else None
        if track is not None:
            return self._move(track, (high, low, third), source, arrival_ns)
        if not self.guard.admits_address(source["address"]):
            self.rejected[Reject.ADDRESS] += 1
        elif not self._may_join((high, low), source["address"], arrival_ns):
            self.rejected[Reject.SOURCE] += 1
        elif call is None and arrival_ns > self._engine.draining_since_ns:
            self.rejected[Reject.ENDING] += 1
        elif not self._engine.has_room() or (call is None and self._engine.refusal()):
            self.rejected[Reject.NO_ROOM] += 1
        elif call is None and not self._is_admitted((high, low), batch, int(row)):
            pass  # it waits
        else:
            source["ssrc"] = int(packets.ssrc[i])
            encoding = self._engine.payload_types.opening(int(packets.payload_type[i]))
            return self._open((high, low, third), leg_direction, source, arrival_ns, encoding)
        return UNKNOWN

    def _may_join(self, leg: tuple[int, int], address: str, arrival_ns: int) -> bool:
        """Tell whether a further direction or side of `leg` may come from `address`: from where it has one, that is.

        Who is told by others that a call goes on knows its id, and would speak where nobody has spoken yet.
        """
        calls = [self._calls[key] for side in Leg if (key := (*leg, int(side))) in self._calls]
        tracks = [track for call in calls for track in call.tracks]
        known = {track.source["address"] for track in tracks}
        if not self.guard.is_pinned or address in known:
            return True
        return all(arrival_ns - self._engine.last_delivery_ns(track) >= SILENT_NS for track in tracks)

    def _is_admitted(self, leg: tuple[int, int], batch: DatagramBatch, row: int) -> bool:
        if any((*leg, side) in self._calls for side in Leg):
            return True
        size = min(int(batch.length[row]), batch.table.shape[1])
        held = Held(batch.table[row, :size].tobytes(), int(batch.arrival_ns[row]), batch.source[row].tobytes())
        released = self.guard.admit(leg, held)
        self._released += released or ()
        return released is not None

    def _move(self, track: Track, key: Key, source: dict[str, Any], arrival_ns: int) -> int:
        """Let a track be found by another source too, if it may come from there."""
        known, address = track.source["address"], source["address"]
        silent_ns = arrival_ns - self._engine.last_delivery_ns(track)
        if not (self.guard.may_move(known, address, silent_ns) and self.guard.admits_address(address)):
            self.rejected[Reject.SOURCE] += 1
            return UNKNOWN
        keys = self._keys[track.handle]
        while keys and (known != address or len(keys) >= _MOST_SOURCES):
            self._demux.discard(keys.pop(0))
        self._add(key, track.handle)
        track.source |= source
        return track.handle

    def _open(self, key: Key, leg_direction: int, source: dict[str, Any], arrival_ns: int, encoding: Encoding) -> int:
        call = self._call_of((*key[:2], leg_direction >> 1), arrival_ns, encoding)
        direction = Direction(leg_direction & 1)
        track = self._engine.open_track(
            lambda slot: Track(slot, direction, arrival_ns, source, call),
            encoding,
            lambda track, now_ns: call,
            call.tape,
        )
        self._add(key, track.handle)
        return track.handle

    def _add(self, key: Key, handle: int) -> None:
        self._demux.add(key, handle)
        self._keys.setdefault(handle, []).append(key)

    def _call_of(self, key: Key, arrival_ns: int, encoding: Encoding) -> Call:
        high, low, leg_bit = key
        leg, call = Leg(leg_bit), self._calls.get(key)
        if call is None:
            call_leg_id = str(whole((high, low)))
            name = call_leg_id if leg is Leg.A else f"{call_leg_id}-b"
            identity = {"call_leg_id": call_leg_id, "leg": leg.name}
            forget = partial(self._forget, key)
            call = self._engine.open_call(name, "strep", identity, arrival_ns, forget, format_of(encoding))
            self._calls[key] = call
        return call

    def _forget(self, key: Key, call: Call) -> None:
        del self._calls[key]
        for track in call.tracks:
            for known in self._keys.pop(track.handle, ()):
                self._demux.discard(known)


def _key_of(call: Call) -> Key:
    """Return the key in `StrepDoor._calls` of a call that this door, or that of another process, has opened."""
    identity = call.info.identity
    return (*halves(UUID(identity["call_leg_id"])), int(Leg[identity["leg"]]))


def _track_of(call: Call, direction: Direction) -> Track | None:
    return next((track for track in call.tracks if track.direction is direction), None)
