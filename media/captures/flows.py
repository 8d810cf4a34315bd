"""The door of plain RTP that came to no port of ours: tracks by source, destination and SSRC.

It differs from `media.doors.rtp` in the key alone. A server knows which port is which direction of which call; a
capture shows streams between strangers. So each stream is a call of its own, unless it goes the opposite way
between the same two sockets, as it does in nearly all telephony: then it is that call's other direction.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from media.calls import Call, Track
from media.captures.census import FlowKey
from media.captures.layers import Address
from media.codecs import Encoding
from media.doors.packets import frames_of
from media.engine import Engine
from media.tapes import format_of
from strep.datagrams import DatagramBatch, PacketColumns, parse_rtp
from strep.demux import UNKNOWN
from strep.header import Direction
from strep.reject import Reject

Int64 = NDArray[np.int64]


class FlowDoor:
    """Opens a track for each of `flows` when its first packet comes.

    Attributes:
        rejected: (len(Reject),) int64, datagrams that were no call audio, by `Reject` code.
    """

    def __init__(self, engine: Engine, flows: Sequence[FlowKey]) -> None:
        """Start without a track."""
        self.rejected = np.zeros(len(Reject), np.int64)
        self._engine = engine
        self._flows = flows
        self._slots = np.full(len(flows), UNKNOWN, np.int64)
        self._flow_of_handle: dict[int, int] = {}
        self._calls: dict[tuple[Address, Address], Call] = {}

    def receive(self, batch: DatagramBatch, flow: Int64) -> None:
        """Take datagrams; `flow`, (n,) int64, says which of the flows each belongs to."""
        packets = parse_rtp(batch)
        self.rejected += np.bincount(packets.reject, minlength=len(Reject))
        self.rejected[Reject.NONE] = 0
        if not len(packets):
            return
        flow = flow[packets.row]
        for i in np.flatnonzero(self._slots[flow] == UNKNOWN).tolist():
            if self._slots[flow[i]] == UNKNOWN and self._engine.has_room():
                self._slots[flow[i]] = self._open(int(flow[i]), packets, i, batch)
        slot = self._slots[flow]
        kept = np.flatnonzero(slot != UNKNOWN)
        if len(kept) < len(slot):
            self.rejected[Reject.NO_ROOM] += len(slot) - len(kept)
            packets, slot = packets.take(kept), slot[kept]
        self._engine.receive(frames_of(batch, packets, slot, self._engine))

    def _open(self, flow: int, packets: PacketColumns, i: int, batch: DatagramBatch) -> int:
        key = self._flows[flow]
        arrival_ns = int(batch.arrival_ns[packets.row[i]])
        encoding = self._engine.payload_types.opening(int(packets.payload_type[i]))
        call, direction = self._place(key, arrival_ns, encoding)
        (address, port), (to_address, to_port) = key.source, key.destination
        source = {"address": address, "port": port, "ssrc": key.ssrc}
        source["destination"] = {"address": to_address, "port": to_port}
        track = self._engine.open_track(
            lambda slot: Track(slot, direction, arrival_ns, source, call),
            encoding,
            lambda track, now_ns: call,
            call.tape,
        )
        self._flow_of_handle[track.handle] = flow
        return track.handle

    def _place(self, key: FlowKey, arrival_ns: int, encoding: Encoding) -> tuple[Call, Direction]:
        answered = self._calls.get((key.destination, key.source))
        if answered is not None and all(track.direction is Direction.INBOUND for track in answered.tracks):
            return answered, Direction.OUTBOUND
        ends = f"{key.source[0]}-{key.source[1]}-{key.destination[0]}-{key.destination[1]}"
        name = f"{ends}-{key.ssrc:08x}".replace(":", "_")
        call = self._engine.open_call(name, "rtp", {"name": name}, arrival_ns, self._forget, format_of(encoding))
        self._calls[key.source, key.destination] = call
        return call, Direction.INBOUND

    def _forget(self, call: Call) -> None:
        for track in call.tracks:
            self._slots[self._flow_of_handle.pop(track.handle)] = UNKNOWN
        self._calls = {ends: other for ends, other in self._calls.items() if other is not call}
