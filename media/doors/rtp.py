"""The plain RTP door: one port per direction, tracks keyed by source address and SSRC.

The fork's ``rx``/``tx`` form and other vendors' taps. A packet does not say which call it belongs to, so
that is decided when a track's first block is due, and by then it is known who else is talking:

* a new SSRC from the same address and port, whose predecessor has fallen silent, continues that track's call;
* else a track joins the live call of this name that comes from the same host, has nobody in this direction
  and began nearest in time, if its audio is of the same rate and kind;
* else it begins a call of its own.
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from media.admission.legs import LegGuard
from media.calls import Call, Track
from media.doors.joining import Joining
from media.doors.packets import TURNED_AWAY, frames_of
from media.doors.sources import describe_source, pack_source, source_words
from media.engine import Engine
from media.tapes import format_of
from strep.clock import NS_PER_MS, NS_PER_SECOND
from strep.datagrams import DatagramBatch, PacketColumns, parse_rtp
from strep.demux import UNKNOWN, Demux, Key
from strep.header import Direction
from strep.reject import Reject

OVERLAP_NS = 60 * NS_PER_MS
"""A predecessor that is heard of so long after its successor began is no predecessor."""


class RtpDoor:
    """A pair of ports under one name.

    Attributes:
        name: as given by the operator; calls are named after it.
        datagrams: datagrams received.
        rejected: (len(Reject),) int64, datagrams that were no call audio, by `Reject` code.
    """

    def __init__(self, name: str, engine: Engine, guard: LegGuard | None = None) -> None:
        """Start without a track; `guard` says from which networks tracks may begin."""
        self._guard = guard or LegGuard()
        self.name = name
        self.datagrams = 0
        self.rejected = np.zeros(len(Reject), np.int64)
        self._engine = engine
        self._demux = Demux()
        self._keys: dict[int, Key] = {}
        self._joining = Joining()

    def receive(self, batch: DatagramBatch, direction: Direction, now_ns: int) -> None:
        """Take the datagrams of one drain of the port for `direction`."""
        packets = parse_rtp(batch)
        self.datagrams += len(batch)
        self.rejected += np.bincount(packets.reject, minlength=len(Reject))
        self.rejected[Reject.NONE] = 0
        if not len(packets):
            return
        high, low, port = source_words(batch.source[packets.row])
        third = packets.ssrc.astype(np.uint64) | port << np.uint64(32) | np.uint64(direction << 48)
        slot = self._demux.lookup(high, low, third)
        newcomers, turned_away = np.flatnonzero(slot == UNKNOWN), 0
        for looked_at, i in enumerate(newcomers.tolist(), 1):
            key = int(high[i]), int(low[i]), int(third[i])
            slot[i] = self._slot_of_newcomer(key, packets, i, batch, direction)
            turned_away += slot[i] == UNKNOWN
            if turned_away >= TURNED_AWAY:
                self.rejected[Reject.CROWDED] += len(newcomers) - looked_at
                break
        kept = np.flatnonzero(slot != UNKNOWN)
        if len(kept) < len(slot):
            packets, slot = packets.take(kept), slot[kept]
        self._engine.receive(frames_of(batch, packets, slot, self._engine))

    def has(self, track: Track) -> bool:
        """Whether `track` is of this door."""
        return track.handle in self._keys

    def take_in(self, track: Track) -> None:
        """Go on with a track that another process has begun; `join` and `forget` are the door's part of it."""
        source = np.frombuffer(pack_source(track.source["address"], track.source["port"]), np.uint8)[None]
        high, low, port = (int(word[0]) for word in source_words(source))
        key = high, low, track.source["ssrc"] | port << 32 | track.direction << 48
        self._demux.add(key, track.handle)
        self._keys[track.handle] = key
        if track.call is not None:
            self._joining.add(track, track.call)

    def let_go(self, track: Track) -> None:
        """Forget a track of no call, which goes on elsewhere."""
        self._demux.discard(self._keys.pop(track.handle))

    def _slot_of_newcomer(
        self, key: Key, packets: PacketColumns, i: int, batch: DatagramBatch, direction: Direction
    ) -> int:
        slot = self._demux.get(key)
        if slot != UNKNOWN:
            return slot
        row = packets.row[i]
        source = {**describe_source(batch.source[row]), "ssrc": int(packets.ssrc[i])}
        arrival_ns = int(batch.arrival_ns[row])
        encoding = self._engine.payload_types.opening(int(packets.payload_type[i]))
        tape = format_of(encoding)
        begins = self._begins(Track(UNKNOWN, direction, arrival_ns, source, tape=tape))
        if arrival_ns > self._engine.draining_since_ns:
            self.rejected[Reject.ENDING] += 1
        elif not self._guard.admits_address(source["address"]):
            self.rejected[Reject.ADDRESS] += 1
        elif not self._engine.has_room() or (begins and self._engine.refusal()):
            self.rejected[Reject.NO_ROOM] += 1
        else:
            track = self._engine.open_track(
                lambda slot: Track(slot, direction, arrival_ns, source), encoding, self.join, tape
            )
            self._joining.wait(track, begins=begins)
            self._engine.calls_beginning += begins
            self._demux.add(key, track.handle)
            self._keys[track.handle] = key
            return track.handle
        return UNKNOWN

    def _begins(self, track: Track) -> bool:
        """Tell whether a track that has just come will begin a call, as far as one can tell already."""
        for other in self._joining.predecessors(track):
            call, silent_ns = other.call, track.first_arrival_ns - self._engine.last_delivery_ns(other)
            if silent_ns >= OVERLAP_NS and call is not None and call.tape == track.tape:
                return False
        return self._joining.begins(track)

    def join(self, track: Track, now_ns: int) -> Call:
        """Return the call of `track`, a new one if need be."""
        self._engine.calls_beginning -= self._joining.decide(track)
        call = self._continued_by(track) or self._joining.partner(track)
        if call is None or call.tape != track.tape:  # one recording has one rate
            started = datetime.fromtimestamp(self._engine.wall_ns(track.first_arrival_ns) / NS_PER_SECOND, UTC)
            name = f"{self.name}-{started:%Y%m%dT%H%M%S}-{track.source['ssrc']:08x}"
            identity = {"name": self.name, "source": track.source}
            call = self._engine.open_call(name, "rtp", identity, track.first_arrival_ns, self.forget, track.tape)
        self._joining.add(track, call)
        return call

    def _continued_by(self, track: Track) -> Call | None:
        for other in self._joining.predecessors(track):
            is_over = self._engine.last_delivery_ns(other) <= track.first_arrival_ns + OVERLAP_NS
            if is_over and other.call is not None and not other.call.has_ended:
                return other.call
        return None

    def forget(self, call: Call) -> None:
        """Drop what is known of a call that has ended."""
        self._joining.remove(call)
        for track in call.tracks:
            self._demux.discard(self._keys.pop(track.handle))
