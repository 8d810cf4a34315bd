"""A storm of WebSocket frames on the media door (handshake, frames, messages, express lane) amid clean calls.

The referee: nothing raises and nothing fails inside; each message of a socket that sends whole frames is counted,
and once; each frame of audio that the door took is a packet of a track, or of the report of a call that is over; what
the clean calls are heard to say is what they said, to the byte; in the end nothing is left of anything.
"""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np

from media.blocks import PcmBatch
from media.doors.stream import StreamDoor
from media.engine import Engine
from media.sinks.queue import CallEnded, CallStarted, Item
from media.ws.desk import Desk
from media.ws.dialects.telnyx import TELNYX
from media.ws.options import WsServerOptions
from media.ws.reject import WsReject
from strep.clock import NS_PER_MS, NS_PER_SECOND, ManualClock
from strep.frames import FrameBatch
from strep.timeline import Timeline
from tests.fuzz.storms.messages import chunk, started, whole
from tests.fuzz.storms.peers import FRAME, Peer, Victim
from tests.fuzz.test_datagram_fuzz import packets
from tests.ws.sockets import UPGRADE

CLEAN, VICTIMS = 6, 30
MOST_CALLS = 60


class Clean:
    """A call that nothing may happen to; it says what is in a pool of bytes."""

    def __init__(self, desk: Desk, number: int, seed: int) -> None:
        self._random, self.stream_id, self.chunks, self.heard_samples = Random(seed), f"clean-{number}", 0, 0
        self._pool = np.random.default_rng(number).integers(0, 256, 1 << 14).astype(np.uint8)
        self.peer = Peer(desk, self._random, f"192.0.2.{number}")
        self.peer.send(UPGRADE)
        self._say(started(TELNYX, self.stream_id))

    def _say(self, message: str | bytes) -> None:
        self.peer.whole_messages += 1
        self.peer.send(whole(message, self._random))

    def audio(self, start: int, stop: int) -> Any:
        return self._pool[np.arange(start, stop) % len(self._pool)]

    def step(self) -> None:
        start, self.chunks = self.chunks * FRAME, self.chunks + 1
        self._say(chunk(TELNYX, self.stream_id, self.chunks, self.audio(start, start + FRAME).tobytes()))

    def hear(self, item: PcmBatch, i: int) -> None:
        first, last = int(item.first[i]), int(item.last[i])
        start = int(item.positions[i]) + first
        assert not item.late
        assert start == self.heard_samples
        assert np.array_equal(item.encoded[i, first:last], self.audio(start, start + last - first))
        self.heard_samples += last - first


class CountingDoor(StreamDoor):
    """Counts the frames that were foreseen, see `media.ws.express`."""

    in_columns = 0

    def stream_frames(self, frames: FrameBatch) -> None:
        self.in_columns += len(frames)
        super().stream_frames(frames)


class FrameStorm:
    """One door with its sockets, one engine, one seed; to be used within `without_loop`.

    Attributes:
        mutated: frames so far.
    """

    def __init__(self, seed: int, frames: int) -> None:
        """Begin with the clean calls; each victim sends `frames` every 20 ms."""
        self._frames, self._clock = frames, ManualClock(100 * NS_PER_SECOND)
        self._received, self._names = 0, dict[int, str]()
        self._clean: list[Clean] = []
        self.engine = Engine(
            Timeline(), self._clock, [self], idle_timeout_ns=30 * NS_PER_SECOND, max_tracks=2 * MOST_CALLS
        )
        self.door = CountingDoor(self.engine, reconnect_grace_ns=NS_PER_SECOND, wake=lambda: None)
        self.desk = Desk(self.door, WsServerOptions(patience_ms=100, max_strangers=20), self._clock)
        for number in range(CLEAN):
            self._clean.append(Clean(self.desk, number, seed))
        self._victims = [Victim(self.desk, number, seed) for number in range(VICTIMS)]

    @property
    def mutated(self) -> int:
        """How many there were of the victims."""
        return sum(victim.frames for victim in self._victims)

    def _peers(self) -> list[Peer]:
        return [clean.peer for clean in self._clean] + [victim.peer for victim in self._victims]

    def put(self, item: Item) -> None:
        """Listen: an outlet of the engine."""
        if isinstance(item, CallStarted):
            self._names[item.call.index] = item.call.call_id
        elif isinstance(item, PcmBatch):
            for i in range(len(item)):
                name = self._names[int(item.call[i])]
                if name.startswith("clean-"):
                    self._clean[int(name[6:])].hear(item, i)
        elif isinstance(item, CallEnded):
            del self._names[item.call.index]
            self._received += sum(track.statistics["received"] for track in item.report.tracks)

    def step(self) -> None:
        """Let 20 ms pass."""
        for clean in self._clean:
            clean.step()
        for victim in self._victims:
            victim.step(self._frames)
        now_ns = self._clock.advance(20 * NS_PER_MS)
        while self.desk.drain._read(list(self.desk.drain._riders)):
            pass  # in a sweep each socket is read but once
        for peer in self._peers():
            peer.settle()
            peer.check()
        self.door.deliver(now_ns)
        self.door.end_detached(now_ns)
        self.engine.poll(now_ns)
        self._count()

    def _count(self) -> None:
        assert self.door.frames == packets(self.engine) + self._received + len(self.door._buffer)
        totals = self.desk.snapshot()
        assert totals.accepted + sum(totals.rejected.values()) == totals.received
        assert not totals.failed
        assert WsReject.HOST_FAILED not in totals.rejected
        assert self.engine.conservation_errors == 0
        assert all(clean.peer.is_open for clean in self._clean)

    def finish(self) -> dict[str, int]:
        """End everything, and see that nothing is left; return what became of the messages, and of sockets."""
        for peer in self._peers():
            peer.leave()
        now_ns = self._clock.advance(2 * NS_PER_SECOND)
        self.door.deliver(now_ns)
        self.door.end_detached(now_ns)
        self.engine.end_all("shutdown")
        totals = self.desk.snapshot()
        self._clean_heard()
        assert self.door.frames == self._received
        assert self.engine.calls_started == self.engine.calls_ended
        assert not any((self.desk.open, self.desk.opening, self.engine.calls, self.door._streams))
        assert not len(self.desk.crowd)
        assert not len(self.engine.desk)
        lane = self.desk.lane
        assert lane is not None
        assert len(lane._free) == len(lane._passengers) - 1
        assert not lane._layouts
        assert not any((self.desk.drain._riders, self.desk.drain._rests))
        sockets = {"SOCKETS": totals.opened, "BAD_HANDSHAKES": totals.bad_handshakes}
        sockets |= {"FORESEEN": self.door.in_columns}
        return sockets | {"ACCEPTED": totals.accepted} | {reason.name: n for reason, n in totals.rejected.items()}

    def _clean_heard(self) -> None:
        for clean in self._clean:
            assert clean.heard_samples == clean.chunks * FRAME
