"""`Bundler`: the feed's messages of a track joined to longer ones: fewer messages cost less, on both sides.

How much audio the feed has in a message is the smallest wish of all sinks (20 ms where keys are listened for). A
bundle is a message of the same format, with numbers of its own; where a number of the feed is missing, one is missing
here as well. Nothing is joined over a gap, and a patch stays alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from media.feed.wire import Flag, PcmMessage, parse
from strep.clock import NEVER_NS, NS_PER_MS
from strep.header import Direction

_ALONE = Flag.LATE | Flag.END


@dataclass(slots=True)
class _Track:
    pieces: list[PcmMessage] = field(default_factory=list)
    samples: int = 0
    since_ns: int = 0
    next_input: int = 0
    next_number: int = 0
    next_position: int = 0


class Bundler:
    """Bundles of many tracks, all at one rate and format each."""

    def __init__(self, bundle_ms: int) -> None:
        """Join to `bundle_ms` of audio; what began longer ago than that goes as it is."""
        self._bundle_ms = bundle_ms
        self._bundle_ns = bundle_ms * NS_PER_MS
        self._tracks: dict[tuple[str, Direction], _Track] = {}
        self._next_look_ns = 0

    def add(self, data: bytes, now_ns: int) -> list[PcmMessage]:
        """Take a message of the feed; return the bundles that are complete with it."""
        piece = parse(data)
        key = piece.call_id, piece.track
        track = self._tracks.get(key)
        if track is None:
            track = self._tracks[key] = _Track(next_input=piece.sequence_number)
        found: list[PcmMessage] = []
        is_alone = bool(piece.flags & (_ALONE | Flag.GAP))
        has_missed = piece.sequence_number != track.next_input
        if track.pieces and (is_alone or has_missed or piece.position_samples != track.next_position):
            found.append(_join(track))
        track.next_number += has_missed
        track.next_input = piece.sequence_number + 1
        if not track.pieces:
            track.since_ns = now_ns
        track.pieces.append(piece)
        track.samples += piece.samples
        if not piece.flags & Flag.LATE:
            track.next_position = piece.end_samples
        if piece.flags & _ALONE or track.samples * 1000 >= self._bundle_ms * piece.sample_rate_hz:
            found.append(_join(track))
        if piece.flags & Flag.END:
            del self._tracks[key]
        return found

    def poll(self, now_ns: int) -> list[PcmMessage]:
        """Return what has waited for as long as a bundle lasts, for nothing came; it looks twice in that time."""
        if now_ns < self._next_look_ns:
            return []
        self._next_look_ns = now_ns + self._bundle_ns // 2
        due_ns = now_ns - self._bundle_ns
        return [_join(track) for track in self._tracks.values() if track.pieces and track.since_ns <= due_ns]

    def deadline(self) -> int:
        """Return when `poll` is due."""
        return self._next_look_ns if self._tracks else NEVER_NS

    def end(self, call_id: str) -> list[PcmMessage]:
        """Forget a call; return what is left of it."""
        return list(self._rest(key for key in list(self._tracks) if key[0] == call_id))

    def _rest(self, keys: Iterator[tuple[str, Direction]]) -> Iterator[PcmMessage]:
        for key in keys:
            track = self._tracks.pop(key)
            if track.pieces:
                yield _join(track)


def _join(track: _Track) -> PcmMessage:
    pieces, first = track.pieces, track.pieces[0]
    flags, lost_samples = Flag.NONE, 0
    for piece in pieces:
        flags |= piece.flags
        lost_samples += piece.lost_samples
    payload = first.payload if len(pieces) == 1 else b"".join(piece.payload for piece in pieces)
    number = track.next_number
    track.next_number += 1
    track.pieces, track.samples = [], 0
    return replace(first, payload=payload, sequence_number=number, flags=flags, lost_samples=lost_samples)
