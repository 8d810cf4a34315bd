"""The engine: tracks of both doors on one timeline, joined into calls, handed to the sinks. Sans-I/O.

Doors call `open_call`, `open_track`, `receive`, `end_call`; the shell calls `poll` and asks `deadline`.
Per packet nothing happens here: a block of every track that has one ready passes through as one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from media.blocks import PcmBatch
from media.calls import Call, CallIndexes, Track
from media.reports import call_report
from media.sinks.contract import CallInfo
from media.sinks.queue import CallEnded, CallStarted, Item
from strep.clock import NS_PER_SECOND, Clock
from strep.frames import FrameBatch
from strep.g711 import Codec
from strep.table import TrackBlocks
from strep.timeline import Timeline

HOUSEKEEPING_NS = NS_PER_SECOND
UNJOINED = -1
PAYLOAD_TYPES = 128


class Outlet(Protocol):
    """The near end of a sink's queue: takes everything at once and never blocks."""

    def put(self, item: Item) -> None:
        """Queue the beginning of a call, the blocks of a tick, or the end of a call."""


JoinTrack = Callable[[Track, int], Call]
"""Decides which call a track belongs to, when its first block is due: (track, now_ns) -> call."""
Forget = Callable[[Call], None]
"""A door drops what it knows of a call that has ended."""


class Engine:
    """All calls of a process.

    Attributes:
        timeline: all tracks.
        calls: live calls by call_id.
        calls_started, calls_ended: totals; their difference is the number of live calls.
        conservation_errors: tracks whose packets did not add up at their end; always 0.
    """

    def __init__(
        self,
        timeline: Timeline,
        clock: Clock,
        outlets: Iterable[Outlet],
        *,
        idle_timeout_ns: int,
        max_tracks: int,
        patience_ns: int = 0,
    ) -> None:
        """Start without calls.

        Args:
            timeline: where the tracks lie.
            clock: only for wall times of calls; decisions use the ``now_ns`` that is given.
            outlets: where blocks and calls go to.
            idle_timeout_ns: a call ends when no track of it got audio for so long.
            max_tracks: tracks that may live at once; more are refused.
            patience_ns: how long a block that is ready may wait, so that more tracks share a batch.
        """
        self.timeline = timeline
        self.calls: dict[str, Call] = {}
        self.calls_started = self.calls_ended = self.conservation_errors = 0
        self._clock = clock
        self._outlets = list(outlets)
        self._idle_timeout_ns = idle_timeout_ns
        self._max_tracks = max_tracks
        self._indexes = CallIndexes()
        self._tracks: dict[int, Track] = {}
        self._joiners: dict[int, JoinTrack] = {}
        self._forgetters: dict[str, Forget] = {}
        self._next_housekeeping_ns = self._next_release_ns = 0
        self._patience_ns = patience_ns
        capacity = timeline.capacity
        self._index_of_slot = np.full(capacity, UNJOINED, np.int32)
        self._channel_of_slot = np.zeros(capacity, np.uint8)
        self._offset_of_slot = np.zeros(capacity, np.int64)
        self._payload_types = np.zeros((capacity, PAYLOAD_TYPES), np.uint32)

    def wall_ns(self, now_ns: int) -> int:
        """Return the wall time, in ns since the epoch, of a monotonic moment of this process."""
        return self._clock.wall_ns() - (self._clock.now_ns() - now_ns)

    # -- calls and tracks ------------------------------------------------------------------------------

    def touch(self, call: Call) -> None:
        """Take note that the carrier spoke up on `call` otherwise than by audio."""
        call.last_activity_ns = self._clock.now_ns()

    def has_room(self) -> bool:
        """Whether one more track may be opened."""
        return len(self._tracks) < self._max_tracks

    def open_call(
        self, call_id: str, door: str, identity: dict[str, Any], now_ns: int, forget: Forget | None = None
    ) -> Call:
        """Begin a call under `call_id`, which gets a number behind it if a live call has it already."""
        name, again = call_id, 1
        while name in self.calls:
            again += 1
            name = f"{call_id}.{again}"
        info = CallInfo(self._indexes.take(), name, door, self.wall_ns(now_ns), identity=identity)
        call = Call(info, started_ns=now_ns, last_activity_ns=now_ns)
        self.calls[name] = call
        self.calls_started += 1
        if forget is not None:
            self._forgetters[name] = forget
        for outlet in self._outlets:
            outlet.put(CallStarted(info))
        return call

    def open_track(self, track_of: Callable[[int], Track], codec: Codec, join: JoinTrack) -> Track:
        """Open a track; `track_of` makes it from its slot, `join` names its call when the first block is due."""
        slot = self.timeline.open(codec)
        track = self._tracks[slot] = track_of(slot)
        self._joiners[slot] = join
        self._grow()
        self._index_of_slot[slot] = UNJOINED
        self._channel_of_slot[slot] = track.direction
        self._payload_types[slot] = 0
        if track.call is not None:
            track.call.tracks.append(track)
        return track

    def _grow(self) -> None:
        capacity = self.timeline.capacity
        if capacity > len(self._index_of_slot):
            missing = capacity - len(self._index_of_slot)
            self._index_of_slot = np.append(self._index_of_slot, np.full(missing, UNJOINED, np.int32))
            self._channel_of_slot = np.append(self._channel_of_slot, np.zeros(missing, np.uint8))
            self._offset_of_slot = np.append(self._offset_of_slot, np.zeros(missing, np.int64))
            more = np.zeros((missing, PAYLOAD_TYPES), np.uint32)
            self._payload_types = np.concatenate([self._payload_types, more])

    def end_call(self, call: Call, reason: str) -> None:
        """Finish all tracks of `call`, hand out the rest of their audio and report; a second end does nothing."""
        if call.has_ended:
            return
        call.has_ended = True
        self.timeline.finish(*(track.slot for track in call.tracks))
        self._hand_out(self._clock.now_ns())
        statistics = [self.timeline.statistics(track.slot) for track in call.tracks]
        self.conservation_errors += sum(not s.conserved or s.in_flight != 0 for s in statistics)
        started_wall_ns = call.info.started_wall_ns if call.origin_ns is None else self.wall_ns(call.origin_ns)
        payload_types = {track.slot: self.payload_types(track) for track in call.tracks}
        report = call_report(call, reason, self.timeline, payload_types)
        report.started_wall_ns, report.ended_wall_ns = started_wall_ns, self._clock.wall_ns()
        for track in call.tracks:
            self._close_track(track)
        del self.calls[call.info.call_id]
        self.calls_ended += 1
        forget = self._forgetters.pop(call.info.call_id, None)
        if forget is not None:
            forget(call)
        for outlet in self._outlets:
            outlet.put(CallEnded(call.info, report))
        self._indexes.give_back(call.info.index)

    def _close_track(self, track: Track) -> None:
        self._index_of_slot[track.slot] = UNJOINED
        self.timeline.close(track.slot)
        del self._tracks[track.slot]
        self._joiners.pop(track.slot, None)

    def end_all(self, reason: str) -> None:
        """End every call, also those of tracks that have not joined one yet."""
        now_ns = self._clock.now_ns()
        homeless = [track for track in self._tracks.values() if track.call is None]
        self.timeline.finish(*self._tracks)  # where the homeless begin is known only then
        self._hand_out(now_ns)
        for track in homeless:
            self._join(track, now_ns)
        for call in list(self.calls.values()):
            self.end_call(call, reason)

    # -- audio -----------------------------------------------------------------------------------------

    def receive(self, frames: FrameBatch) -> None:
        """Take frames of known tracks, in the order of their arrival."""
        self.timeline.receive(frames)

    def count_payload_types(self, slot: NDArray[np.int64], payload_type: NDArray[np.uint8]) -> None:
        """Count packets that are no audio we can decode, for the report of their tracks."""
        np.add.at(self._payload_types, (slot, payload_type), 1)

    def payload_types(self, track: Track) -> dict[str, int]:
        """Return the packets of `track` that are no audio we can decode, by RTP payload type."""
        counts = self._payload_types[track.slot]
        return {str(payload_type): int(counts[payload_type]) for payload_type in np.flatnonzero(counts).tolist()}

    def poll(self, now_ns: int) -> None:
        """Give up what is overdue, hand out what is ready, and once a second look after idle calls."""
        is_due = now_ns >= self._next_release_ns
        self.timeline.poll(now_ns, release=is_due)
        if is_due:
            self._next_release_ns = (
                now_ns + self._patience_ns // 2
            )  # due with the next beat, even if that is a little early
            self._hand_out(now_ns)
        if now_ns >= self._next_housekeeping_ns:
            self._next_housekeeping_ns = now_ns + HOUSEKEEPING_NS
            self.timeline.realign()
            self._end_idle_calls(now_ns)

    def deadline(self) -> int:
        """Return when `poll` is due at the latest, in ns."""
        return min(self.timeline.deadline(), self._next_housekeeping_ns)

    def _hand_out(self, now_ns: int) -> None:
        for blocks in self.timeline.take_blocks():
            self._hand_out_batch(blocks, now_ns, late=False)
        for blocks in self.timeline.take_patches():
            self._hand_out_batch(blocks, now_ns, late=True)

    def _hand_out_batch(self, blocks: TrackBlocks, now_ns: int, *, late: bool) -> None:
        slot = blocks.slot
        index = self._index_of_slot[slot]
        if (index == UNJOINED).any():
            for newcomer in slot[index == UNJOINED].tolist():
                self._join(self._tracks[newcomer], now_ns)
            index = self._index_of_slot[slot]
        batch = PcmBatch(
            call=index,
            channel=self._channel_of_slot[slot],
            positions=blocks.position + self._offset_of_slot[slot],
            first=blocks.first.astype(np.int32),
            last=blocks.last.astype(np.int32),
            codec=self.timeline.codec[slot],
            encoded=blocks.encoded,
            sample_rate_hz=self.timeline.settings.sample_rate_hz,
            late=late,
            now_ns=now_ns,
        )
        for outlet in self._outlets:
            outlet.put(batch)

    def _join(self, track: Track, now_ns: int) -> None:
        """The start of a track is known: fix its call and its place there."""
        if track.offset_samples is not None:
            return
        columns, slot = self.timeline.table_for(track.slot).tracks, track.slot
        if track.call is None:
            track.call = self._joiners[slot](track, now_ns)
            track.call.tracks.append(track)
        origin = int(columns.origin[slot])
        ahead = origin - int(columns.anchor_position[slot])
        origin_ns = int(columns.anchor_ns[slot]) + ahead * NS_PER_SECOND // self.timeline.settings.sample_rate_hz
        self._index_of_slot[slot] = track.call.info.index
        self._offset_of_slot[slot] = track.call.place(track, origin, origin_ns)

    # -- the end of silence ----------------------------------------------------------------------------

    def last_delivery_ns(self, track: Track) -> int:
        """Return when audio of `track` last found its place: not when packets last arrived."""
        return max(self.timeline.last_delivery_ns(track.slot), track.first_arrival_ns)

    def _end_idle_calls(self, now_ns: int) -> None:
        for track in [track for track in self._tracks.values() if track.call is None]:
            if now_ns - track.first_arrival_ns > NS_PER_SECOND:
                self._join(track, now_ns)
        oldest = now_ns - self._idle_timeout_ns
        for call in [call for call in self.calls.values() if call.last_activity_ns < oldest]:
            heard_ns = [self.last_delivery_ns(track) for track in call.tracks]
            call.last_activity_ns = max([call.last_activity_ns, *heard_ns])  # not asked again before that is too old
            if call.last_activity_ns < oldest:
                self.end_call(call, "idle")

    def snapshot(self) -> dict[str, Any]:
        """Return totals for logs and tables."""
        return {
            "calls": len(self.calls),
            "calls_started": self.calls_started,
            "calls_ended": self.calls_ended,
            "tracks": len(self._tracks),
            "conservation_errors": self.conservation_errors,
        }
