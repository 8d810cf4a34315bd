"""`Reel`: one timeline with the calls that lie on it; there is one for every `media.tapes.TapeFormat` in use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from media.calls import Track
from media.doors.buffer import FrameBuffer
from media.tapes import TapeFormat
from strep.g711 import Codec
from strep.table import TimelineSettings
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

    @classmethod
    def like(cls, settings: TimelineSettings, tape: TapeFormat) -> Reel:
        """Return an empty reel of format `tape`, with the other `settings`."""
        return cls(Timeline(replace(settings, sample_rate_hz=tape.sample_rate_hz, is_linear=tape.is_linear)))

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

    def _grow(self) -> None:
        capacity = self.timeline.capacity
        missing = capacity - len(self.index_of_slot)
        if missing > 0:
            self.index_of_slot = np.append(self.index_of_slot, np.full(missing, UNJOINED, np.int32))
            self.channel_of_slot = np.append(self.channel_of_slot, np.zeros(missing, np.uint8))
            self.offset_of_slot = np.append(self.offset_of_slot, np.zeros(missing, np.int64))
            more = np.zeros((missing, PAYLOAD_TYPES), np.uint32)
            self.payload_types = np.concatenate([self.payload_types, more])

    def close(self, track: Track) -> None:
        """Give the slot back."""
        self.index_of_slot[track.slot] = UNJOINED
        self.timeline.close(track.slot)
        del self.tracks[track.slot]

    def deliver(self) -> None:
        """Hand decoded frames to the timeline."""
        if len(self.buffer):
            self.timeline.receive(self.buffer.take())
