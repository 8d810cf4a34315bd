"""One call's media stream on paper: which frame leaves when, and how it is numbered.

Numbers are given in the order in which the carrier *made* the frames, before the network model loses,
repeats and disorders them. ``sequence_number`` counts everything (start is 1), ``chunk`` counts media
frames per track or for both together. A frame made on the spot, a returned mark for example, takes the
number of its moment, and later frames move up by one.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from media.carrier import seeds
from media.carrier.dialects import DIALECTS
from media.carrier.dialects.contract import FrameWriter, Message, StreamIdentity
from media.carrier.dialects.telnyx import INVALID_MEDIA, UNKNOWN_ERROR
from media.carrier.network import Span
from media.carrier.options import TimestampUnit
from media.carrier.plan import Plan
from media.carrier.seeds import Purpose, random_stream, random_uuid
from strep.clock import NS_PER_MS
from strep.header import Direction

Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Event:
    """A frame that is not media: made and delivered at `time_ns`."""

    time_ns: int
    kind: str
    details: tuple[Any, ...] = ()


class MediaStream:
    """The frames of one call.

    Args:
        plan: of a simulation over WebSocket.
        call: which of its calls.

    Attributes:
        times_ns: (n,) int64, when each frame leaves, on the simulation's clock, never falling.
        is_media: (n,) bool.
        gap: when the socket is broken, None if it holds.
        writer: for frames that have no place in the plan: ``connected``, returned marks, errors.
        identity: of the stream.
        options: of its spelling.
        start_ns: when the call begins.
    """

    def __init__(self, plan: Plan, call: int) -> None:
        self._plan = plan
        self.options = options = plan.options.websocket
        self._tracks = [t for t, script in enumerate(plan.scripts) if script.party.call == call]
        self.start_ns = plan.scripts[self._tracks[0]].start_ns
        self.identity = identity_of(plan.options.identity, call)
        encoding = plan.options.encoding
        self.writer: FrameWriter = DIALECTS[options.dialect].writer(
            self.identity, encoding.name, encoding.sample_rate_hz, options
        )
        self.gap = None
        if options.drop_at_ns is not None:
            self.gap = Span(self.start_ns + options.drop_at_ns, options.redial_after_ns)
        self._events = self._write_events()
        self._interjections_ns: list[int] = []
        self._number_frames()
        self._merge()

    def __len__(self) -> int:
        """Return the number of frames, ``connected`` not among them."""
        return len(self.times_ns)

    def frame(self, row: int) -> Message:
        """Return one frame."""
        track, item = self._row_tracks[row], self._row_items[row]
        if track < 0:
            event = self._events[item]
            number = self._shifted(int(self._event_numbers[item]), event.time_ns)
            return self.writer.write(event.kind, number, *event.details)
        lane = self._lanes[track]
        payload = lane.payload(lane.blocks[item], is_text=self.writer.is_text)
        sequence_number = self._shifted(lane.numbers[item], lane.times_ns[item])
        frame: Message = self.writer.media(
            sequence_number, lane.direction, lane.chunks[item], lane.blocks[item] * self._unit, payload
        )
        return frame

    def made(self, rows: int) -> dict[int, int]:
        """Return by track of the plan how many media frames there are among the first `rows`."""
        tracks = self._row_tracks[:rows]
        return {track: tracks.count(track) for track in self._tracks}

    def text(self, row: int) -> str:
        """Return one frame of a dialect that has text frames only."""
        frame = self.frame(row)
        return frame if isinstance(frame, str) else frame.decode()

    def interject(self, now_ns: int) -> int:
        """Return the sequence number of a frame made at `now_ns`; times must not fall from call to call."""
        made = int(np.searchsorted(self._made_ns, now_ns, side="right"))
        number = 1 + made + len(self._interjections_ns)
        self._interjections_ns.append(now_ns)
        return number

    def _shifted(self, sequence_number: int, made_ns: int) -> int:
        # A frame made in the same nanosecond as an interjection comes before it.
        return sequence_number + bisect_right(self._interjections_ns, made_ns - 1)

    def _write_events(self) -> list[_Event]:
        options = self._plan.options.websocket
        duration_ns = self._plan.options.duration_ns
        events = [_Event(self.start_ns, "start")]
        if self.gap is not None:
            events.append(_Event(self.gap.end_ns, "start"))
        for offset_ns, digit in self._plan.options.key_presses():
            events.append(_Event(self.start_ns + offset_ns, "dtmf", (digit, offset_ns)))
        if options.oddities:
            events += _oddities(self.start_ns, duration_ns)
        events = [e for e in events if self.gap is None or not self.gap.start_ns <= e.time_ns < self.gap.end_ns]
        if options.stop_frame:
            last_ns = max(int(self._plan.deliveries[track].times_ns[-1]) for track in self._tracks)
            events.append(_Event(max(self.start_ns + duration_ns, last_ns), "stop"))
        return [event for event in events if event.kind in self.writer.frames]

    def _number_frames(self) -> None:
        """Number everything in the order of making: by time, then events, then tracks."""
        scripts = self._plan.scripts
        is_numbered = [self.writer.frames[event.kind].is_numbered for event in self._events]
        numbered = [event for event, counts in zip(self._events, is_numbered, strict=True) if counts]
        event_times_ns = np.array([event.time_ns for event in numbered], np.int64)
        track_times_ns = [scripts[track].send_times_ns for track in self._tracks]
        counts = [len(numbered), *map(len, track_times_ns)]
        ranks = _ranks(np.concatenate([event_times_ns, *track_times_ns]))
        self._made_ns = np.sort(np.concatenate([event_times_ns, *track_times_ns]))
        first, *rest = np.split(1 + ranks, np.cumsum(counts)[:-1])
        self._event_numbers = np.zeros(len(self._events), np.int64)
        self._event_numbers[is_numbered] = first
        options = self._plan.options.websocket
        chunks = [np.arange(len(times_ns)) for times_ns in track_times_ns]
        if options.shared_chunks:
            chunks = np.split(_ranks(np.concatenate(track_times_ns)), np.cumsum(counts[1:])[:-1])
        self._lanes = {
            track: _Lane(self._plan, track, numbers.tolist(), (options.first_chunk + chunk).tolist())
            for track, numbers, chunk in zip(self._tracks, rest, chunks, strict=True)
        }
        self._unit = self._timestamp_unit()

    def _merge(self) -> None:
        """Lay out what is delivered: events before media of the same nanosecond, stop after everything."""
        deliveries = [self._plan.deliveries[track] for track in self._tracks]
        event_times_ns = np.array([event.time_ns for event in self._events], np.int64)
        times_ns = np.concatenate([event_times_ns, *(d.times_ns for d in deliveries)])
        counts = [len(event_times_ns), *(len(d.times_ns) for d in deliveries)]
        tracks = np.repeat([-1, *self._tracks], counts)
        items = np.concatenate([np.arange(len(event_times_ns)), *(d.packets for d in deliveries)])
        is_last = np.zeros(len(times_ns), np.bool_)
        is_last[: len(event_times_ns)] = [event.kind == "stop" for event in self._events]
        order = np.lexsort((np.arange(len(times_ns)), times_ns, is_last))
        self.times_ns, self.is_media = times_ns[order], tracks[order] >= 0
        self._row_tracks, self._row_items = tracks[order].tolist(), items[order].tolist()

    def _timestamp_unit(self) -> int:
        options = self._plan.options
        unit = options.websocket.timestamp_unit
        if unit is TimestampUnit.MILLISECONDS:
            return options.ptime_ms
        return options.samples_per_packet if unit is TimestampUnit.SAMPLES else 1


class _Lane:
    """What one track's media frames are made of, as plain numbers: many frames a second are written from it."""

    def __init__(self, plan: Plan, track: int, numbers: list[int], chunks: list[int]) -> None:
        script = plan.scripts[track]
        self.numbers, self.chunks = numbers, chunks
        self.blocks: list[int] = script.blocks.tolist()
        self.times_ns: list[int] = script.send_times_ns.tolist()
        self.direction = script.party.direction.name.lower()
        self.payload = partial(plan.block, track)


def _ranks(times_ns: Int64) -> Int64:
    ranks = np.empty(len(times_ns), np.int64)
    ranks[np.argsort(times_ns, kind="stable")] = np.arange(len(times_ns))
    return ranks


def _oddities(start_ns: int, duration_ns: int) -> list[_Event]:
    kinds: list[tuple[str, tuple[Any, ...]]] = [
        ("old_error", (INVALID_MEDIA, "simulated, old shape")),
        ("error", (UNKNOWN_ERROR, "simulated, present shape")),
        ("mark", ("nobody-asked",)),
        ("unknown", ()),
    ]
    step_ns = duration_ns // (len(kinds) + 1)
    return [
        _Event(start_ns + place * step_ns + NS_PER_MS, kind, details)
        for place, (kind, details) in enumerate(kinds, 1)
    ]


def identity_of(seed: int, call: int) -> StreamIdentity:
    """Return the names of a call's stream."""
    random = random_stream(seed, Purpose.IDENTITY, call + 1, direction=Direction.OUTBOUND)
    return StreamIdentity(
        stream_id=str(seeds.stream_id(seed, call)),
        call_control_id=f"v3:simulated-{call}-{random.bytes(6).hex()}",
        call_session_id=str(random_uuid(random)),
        user_id=str(random_uuid(random_stream(seed, Purpose.IDENTITY))),
        call=call,
    )
