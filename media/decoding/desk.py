"""`Desk`: all tracks of a process that are decoded packet by packet, and all keys that are pressed."""

from __future__ import annotations

from itertools import count

from media.calls import Track
from media.decoding.events import TelephoneEvents
from media.decoding.order import Packet
from strep.clock import NEVER_NS

FIRST_HANDLE = 1 << 32
"""Handles of decoded tracks begin here; those of others are their slots."""


class Desk:
    """Finds tracks by handle, and remembers which of them wait for something."""

    def __init__(self) -> None:
        """Start without a track."""
        self._tracks: dict[int, Track] = {}
        self._handles = count(FIRST_HANDLE)
        self._waiting: set[Track] = set()

    def __len__(self) -> int:
        """Return how many tracks have a handle of this desk."""
        return len(self._tracks)

    def __getitem__(self, handle: int) -> Track:
        """Return the track with this handle."""
        return self._tracks[handle]

    def add(self, track: Track) -> None:
        """Give `track`, which has a decoder, a handle."""
        track.handle = next(self._handles)
        self._tracks[track.handle] = track

    def watch(self, track: Track) -> None:
        """Take note of what `track` waits for, which has come from elsewhere."""
        if _deadline(track) != NEVER_NS:
            self._waiting.add(track)

    def receive(self, track: Track, packet: Packet) -> None:
        """Decode a packet, when its turn has come."""
        decoder = track.decoder
        assert decoder is not None
        decoder.receive(packet)
        if decoder.deadline() != NEVER_NS:
            self._waiting.add(track)

    def press(self, track: Track, packet: Packet, clock_hz: int) -> None:
        """Take a telephone-event; it is an event of the call when it is over."""
        if track.keys is None:
            track.keys = TelephoneEvents(clock_hz)
        for event in track.keys.receive(packet.ssrc, packet.timestamp, packet.payload, packet.arrival_ns):
            track.add_event(event, packet.arrival_ns)
        if track.keys.deadline() != NEVER_NS:
            self._waiting.add(track)

    def deadline(self) -> int:
        """Return when `poll` has something to do, in ns; `NEVER_NS` if nothing waits."""
        return min(map(_deadline, self._waiting), default=NEVER_NS)

    def poll(self, now_ns: int) -> None:
        """Go on where something was waited for long enough."""
        for track in list(self._waiting):
            if track.decoder is not None:
                track.decoder.poll(now_ns)
            if track.keys is not None:
                for event in track.keys.poll(now_ns):
                    track.add_event(event, now_ns)
            if _deadline(track) == NEVER_NS:
                self._waiting.discard(track)

    def finish(self, track: Track) -> None:
        """Let go of all that `track` holds back: it ends."""
        if track.decoder is not None:
            track.decoder.finish()
        if track.keys is not None:
            for event in track.keys.finish():
                track.add_event(event, None)
        self._waiting.discard(track)

    def remove(self, track: Track) -> None:
        """Forget `track`, and what it waits for: it may go on elsewhere."""
        self._tracks.pop(track.handle, None)
        self._waiting.discard(track)


def _deadline(track: Track) -> int:
    decoder_ns = NEVER_NS if track.decoder is None else track.decoder.deadline()
    return min(decoder_ns, NEVER_NS if track.keys is None else track.keys.deadline())
