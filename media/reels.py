"""`Reel`: one timeline with the calls that lie on it; there is one for every `media.tapes.TapeFormat` in use."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from media.blocks import PcmBatch
from media.calls import Call, Track
from media.frame_buffer import FrameBuffer
from media.tapes import TapeFormat
from strep.clock import NS_PER_SECOND
from strep.g711 import Codec
from strep.table import TrackBlocks
from strep.timeline import Timeline

UNJOINED = -1
PAYLOAD_TYPES = 128


class Reel:
    """All tracks of one format: their timeline, and what calls make of its slots.

    Attributes:
        timeline: where they lie.
        format: of all of them.
        tracks: by slot.
        buffer: frames that were decoded and go to the timeline with the next beat.
        index_of_slot: (capacity,) int32, `CallInfo.index` of the slot's call; UNJOINED before it is known.
        channel_of_slot: (capacity,) uint8.
        offset_of_slot: (capacity,) int64, call position = tape position + offset.
        payload_types: (capacity, PAYLOAD_TYPES) uint32, packets that are no audio we can decode.
    """

    def __init__(self, timeline: Timeline) -> None:
        """Start without a track."""
        settings, capacity = timeline.settings, timeline.capacity
        self.timeline = timeline
        self.format = TapeFormat(settings.sample_rate_hz, settings.is_linear)
        self.tracks: dict[int, Track] = {}
        self.buffer = FrameBuffer(is_linear=settings.is_linear)
        self.index_of_slot = np.full(capacity, UNJOINED, np.int32)
        self.channel_of_slot = np.zeros(capacity, np.uint8)
        self.offset_of_slot = np.zeros(capacity, np.int64)
        self.payload_types = np.zeros((capacity, PAYLOAD_TYPES), np.uint32)
        self._again: deque[int] = deque()  # slots; put in by threads of those who write accounts

    def open(self, track_of: Callable[[int], Track], law: Codec | None) -> Track:
        """Return a new track, which `track_of` makes from its slot; `law` is None where the tape is PCM."""
        slot = self.timeline.open(law)
        track = self.tracks[slot] = track_of(slot)
        track.tape = self.format
        self._grow()
        self.index_of_slot[slot] = UNJOINED
        self.channel_of_slot[slot] = track.direction
        self.payload_types[slot] = 0
        return track

    def take_in(self, track: Track) -> None:
        """Let `track`, which came with its slot from another timeline, be here; it lies where it lay there."""
        slot = track.slot
        self.tracks[slot] = track
        self._grow()
        is_placed = track.call is not None and track.offset_samples is not None
        self.index_of_slot[slot] = track.call.info.index if track.call is not None and is_placed else UNJOINED
        self.offset_of_slot[slot] = track.offset_samples or 0
        self.channel_of_slot[slot] = track.direction
        self.payload_types[slot] = 0
        self.timeline.changed.add(slot)

    def _grow(self) -> None:
        capacity = self.timeline.capacity
        missing = capacity - len(self.index_of_slot)
        if missing > 0:
            self.index_of_slot = np.append(self.index_of_slot, np.full(missing, UNJOINED, np.int32))
            self.channel_of_slot = np.append(self.channel_of_slot, np.zeros(missing, np.uint8))
            self.offset_of_slot = np.append(self.offset_of_slot, np.zeros(missing, np.int64))
            more = np.zeros((missing, PAYLOAD_TYPES), np.uint32)
            self.payload_types = np.concatenate([self.payload_types, more])

    def unjoined(self, slot: NDArray[np.int64]) -> list[Track]:
        """Return the tracks among `slot`, (n,), that no call is known of, in the order in which they began.

        The first of a call is where it begins, and slots are used again in any order.
        """
        newcomers = slot[self.index_of_slot[slot] == UNJOINED]
        tracks = [self.tracks[newcomer] for newcomer in newcomers.tolist()]
        return sorted(tracks, key=lambda track: (track.first_arrival_ns, track.direction))

    def place(self, track: Track, call: Call) -> None:
        """Let `track`, whose beginning is known, lie where it belongs on the timeline of `call`."""
        columns, slot = self.timeline.table_for(track.slot).tracks, track.slot
        origin = int(columns.origin[slot])
        ahead = origin - int(columns.anchor_position[slot])
        origin_ns = int(columns.anchor_ns[slot]) + ahead * NS_PER_SECOND // self.format.sample_rate_hz
        self.index_of_slot[slot] = call.info.index
        self.timeline.changed.add(slot)
        self.offset_of_slot[slot] = call.place(track, origin, origin_ns)

    def batch(self, blocks: TrackBlocks, now_ns: int, *, late: bool) -> PcmBatch:
        """Return `blocks` of tracks that have been placed as the sinks get them."""
        slot = blocks.slot
        return PcmBatch(
            call=self.index_of_slot[slot],
            channel=self.channel_of_slot[slot],
            positions=blocks.position + self.offset_of_slot[slot],
            first=blocks.first.astype(np.int32),
            last=blocks.last.astype(np.int32),
            codec=self.timeline.codec[slot],
            encoded=blocks.encoded,
            sample_rate_hz=self.format.sample_rate_hz,
            late=late,
            now_ns=now_ns,
            lost=blocks.lost,
            beyond=blocks.beyond,
        )

    def take_blocks(self) -> list[TrackBlocks]:
        """Return what was released since the last call; the accounts of its calls have all news before."""
        while self._again:
            self._look_again(self._again.popleft())
        changed = self.timeline.changed
        while changed:
            self._tell_changes(changed.pop())
        return self.timeline.take_blocks()

    def _look_again(self, slot: int) -> None:
        if slot in self.tracks:  # which may be another track by now, and is none the worse for a look
            self.timeline.changed.add(slot)

    def _tell_changes(self, slot: int) -> None:
        """Tell the account of its call what is new of a track; what is told to nobody costs nothing but this look."""
        track = self.tracks[slot]
        if track.call is None or (offset := track.offset_samples) is None:
            return  # `place` comes back to it
        account = track.call.info.account
        if not account.is_kept:
            account.park(slot, self._again.append)
            return
        if track.number is None:
            origin = int(self.timeline.table_for(slot).tracks.origin[slot])
            track.number = account.begin_track(track.direction, origin + offset)
        account.tell_spans(track.number, self.timeline.ledgers[slot].take_changes(), offset)

    def close(self, track: Track) -> None:
        """Give the slot back."""
        self.index_of_slot[track.slot] = UNJOINED
        self.timeline.close(track.slot)
        del self.tracks[track.slot]

    def deliver(self) -> None:
        """Hand decoded frames to the timeline."""
        if len(self.buffer):
            self.timeline.receive(self.buffer.take())

    def count_payload_types(self, slot: NDArray[np.int64], payload_type: NDArray[np.uint8]) -> None:
        """Count packets that are no audio we can decode, for the report of their tracks."""
        np.add.at(self.payload_types, (slot, payload_type), 1)

    def payload_types_of(self, track: Track) -> dict[str, int]:
        """Return the packets of `track` that are no audio we can decode, by RTP payload type."""
        counts = self.payload_types[track.slot]
        return {str(payload_type): int(counts[payload_type]) for payload_type in np.flatnonzero(counts).tolist()}

    def shift_waiting(self, track: Track, sequence_number: int, shift_samples: int) -> None:
        """Move frames of `track` from `sequence_number` on that wait; see `Timeline.shift_waiting`."""
        self.deliver()
        self.timeline.shift_waiting(track.slot, sequence_number, shift_samples)
        if track.decoder is not None:
            track.decoder.shift(sequence_number, shift_samples)


class Reels:
    """The reels in use, by format."""

    def __init__(self, timeline: Timeline) -> None:
        """Start with that of code bytes, which stays; others are made with the same settings when they are needed."""
        self.code_bytes = Reel(timeline)
        self._by_format = {self.code_bytes.format: self.code_bytes}

    def __iter__(self) -> Iterator[Reel]:
        """Iterate over those that there are now."""
        return iter(list(self._by_format.values()))

    def at(self, tape: TapeFormat) -> Reel:
        """Return the reel of format `tape`."""
        reel = self._by_format.get(tape)
        if reel is None:
            settings = self.code_bytes.timeline.settings
            wide = replace(settings, sample_rate_hz=tape.sample_rate_hz, is_linear=tape.is_linear)
            reel = self._by_format[tape] = Reel(Timeline(wide))
        return reel

    def of(self, track: Track) -> Reel:
        """Return the reel that `track` is on."""
        return self._by_format[track.tape]

    def close(self, track: Track) -> None:
        """Take `track` off its reel, and forget a reel that nobody is on: peers may name any number of rates."""
        reel = self._by_format[track.tape]
        reel.close(track)
        if not reel.tracks and reel is not self.code_bytes:
            del self._by_format[track.tape]
