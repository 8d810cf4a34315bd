"""`Bundler`: the feed's messages of a track joined to longer ones: fewer messages cost less, on both sides.

How much audio the feed has in a message is the smallest wish of all sinks (20 ms where keys are listened for). A
bundle is a message of the same format, with numbers of its own; where a number of the feed is missing, one is missing
here as well. Nothing is joined over a gap, and a patch stays alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from media.feed.wire import HEADER, Flag
from strep.clock import NEVER_NS, NS_PER_MS
from strep.header import Direction

# Whole numbers: flags are looked at for every message, and an enumeration takes its time.
_LATE, _END = int(Flag.LATE), int(Flag.END)
_ALONE = _LATE | _END
_BEFORE = _ALONE | int(Flag.GAP)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A message of `media.feed.wire`, and what of it is needed beside; ``number`` is its sequence number."""

    call_id: str
    track: Direction
    number: int
    sample_rate_hz: int
    position_samples: int
    end_samples: int
    data: bytes


@dataclass(slots=True)
class _Track:
    """What of a track is not in a bundle yet; the head is that of the first message."""

    call_id: str
    direction: Direction
    next_input: int
    head: bytes = b""
    payloads: list[memoryview] = field(default_factory=list)
    samples: int = 0
    lost_samples: int = 0
    flags: int = 0
    since_ns: int = 0
    next_number: int = 0
    next_position: int = 0


class Bundler:
    """Bundles of many tracks, all at one rate and format each."""

    def __init__(self, bundle_ms: int) -> None:
        """Join to `bundle_ms` of audio; what began longer ago than that goes as it is."""
        self._bundle_ms = bundle_ms
        self._bundle_ns = bundle_ms * NS_PER_MS
        self._tracks: dict[tuple[bytes, int], _Track] = {}
        self._next_look_ns = 0

    def add(self, data: bytes, now_ns: int) -> list[Bundle]:
        """Take a message of our own feed; return the bundles that are complete with it."""
        (
            _, _, _, channel, flags, header_bytes, call_id_bytes,
            rate_hz, sequence_number, position, _, samples, lost_samples,
        ) = HEADER.unpack_from(data)  # fmt: skip
        call_id = data[HEADER.size : HEADER.size + call_id_bytes]
        key = call_id, channel
        track = self._tracks.get(key)
        if track is None:
            track = self._tracks[key] = _Track(call_id.decode(), Direction(channel), sequence_number)
        found: list[Bundle] = []
        has_missed = sequence_number != track.next_input
        if track.payloads and (flags & _BEFORE or has_missed or position != track.next_position):
            found.append(_join(track))
        track.next_number += has_missed
        track.next_input = sequence_number + 1
        if not track.payloads:
            track.since_ns, track.head = now_ns, data[:header_bytes]
        track.payloads.append(memoryview(data)[header_bytes:])
        track.samples += samples
        track.lost_samples += lost_samples
        track.flags |= flags
        if not flags & _LATE:
            track.next_position = position + samples
        if flags & _ALONE or track.samples * 1000 >= self._bundle_ms * rate_hz:
            found.append(_join(track))
        if flags & _END:
            del self._tracks[key]
        return found

    def poll(self, now_ns: int) -> list[Bundle]:
        """Return what has waited for as long as a bundle lasts, for nothing came; it looks twice in that time."""
        if now_ns < self._next_look_ns:
            return []
        self._next_look_ns = now_ns + self._bundle_ns // 2
        due_ns = now_ns - self._bundle_ns
        return [_join(track) for track in self._tracks.values() if track.payloads and track.since_ns <= due_ns]

    def deadline(self) -> int:
        """Return when `poll` is due."""
        return self._next_look_ns if self._tracks else NEVER_NS

    def end(self, call_id: str) -> list[Bundle]:
        """Forget a call; return what is left of it."""
        name = call_id.encode()
        return list(self._rest((name, channel) for channel in map(int, Direction)))

    def _rest(self, keys: Iterable[tuple[bytes, int]]) -> Iterator[Bundle]:
        for key in keys:
            track = self._tracks.pop(key, None)
            if track is not None and track.payloads:
                yield _join(track)


def _join(track: _Track) -> Bundle:
    (
        magic, version, form, channel, _, header_bytes, call_id_bytes,
        rate_hz, _, position, origin_wall_ns, _, _,
    ) = HEADER.unpack_from(track.head)  # fmt: skip
    number, samples = track.next_number, track.samples
    head = HEADER.pack(
        magic, version, form, channel, track.flags, header_bytes, call_id_bytes,
        rate_hz, number, position, origin_wall_ns, samples, track.lost_samples,
    )  # fmt: skip
    data = b"".join((head, track.head[HEADER.size :], *track.payloads))
    track.next_number += 1
    track.payloads, track.samples, track.lost_samples, track.flags = [], 0, 0, 0
    return Bundle(track.call_id, track.direction, number, rate_hz, position, position + samples, data)
