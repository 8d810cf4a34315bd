"""One call's media stream on paper: which frame leaves when, and how it is numbered.

Numbers are given in the order in which the carrier *made* the frames, before the network model loses,
repeats and disorders them. ``sequence_number`` counts everything (start is 1), ``chunk`` counts media
frames per track or for both together. A frame made on the spot, a returned mark for example, takes the
number of its moment, and later frames move up by one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from media.carrier import seeds
from media.carrier.frames import INVALID_MEDIA, UNKNOWN_ERROR, FrameWriter, StreamIdentity
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
    write: Callable[[int], str]
    is_numbered: bool = True


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
    """

    def __init__(self, plan: Plan, call: int) -> None:
        self._plan = plan
        options = plan.options.websocket
        self._tracks = [t for t, script in enumerate(plan.scripts) if script.party.call == call]
        self._start_ns = plan.scripts[self._tracks[0]].start_ns
        self.writer = FrameWriter(_identity(plan.options.seed, call), plan.options.codec, options)
        self.gap = None
        if options.drop_at_ns is not None:
            self.gap = Span(self._start_ns + options.drop_at_ns, options.redial_after_ns)
        self._events = self._write_events()
        self._interjections_ns: list[int] = []
        self._number_frames()
        self._merge()

    def __len__(self) -> int:
        """Return the number of frames, ``connected`` not among them."""
        return len(self.times_ns)

    def frame(self, row: int) -> str:
        """Return the text of one frame."""
        track, item = int(self._row_tracks[row]), int(self._row_items[row])
        if track < 0:
            event = self._events[item]
            return event.write(self._shifted(int(self._event_numbers[item]), event.time_ns))
        script = self._plan.scripts[track]
        sequence_number = self._shifted(int(self._numbers[track][item]), int(script.send_times_ns[item]))
        payload = self._plan.payload(track, item).tobytes()
        direction = script.party.direction.name.lower()
        chunk, timestamp = int(self._chunks[track][item]), int(script.blocks[item]) * self._unit()
        return self.writer.media(sequence_number, direction, chunk, timestamp, payload)

    def interject(self, now_ns: int) -> int:
        """Return the sequence number of a frame made at `now_ns`; times must not fall from call to call."""
        made = int(np.searchsorted(self._made_ns, now_ns, side="right"))
        number = 1 + made + len(self._interjections_ns)
        self._interjections_ns.append(now_ns)
        return number

    def _shifted(self, sequence_number: int, made_ns: int) -> int:
        # A frame made in the same nanosecond as an interjection comes before it.
        return sequence_number + bisect_right(self._interjections_ns, made_ns - 1)

    def _unit(self) -> int:
        options = self._plan.options
        unit = options.websocket.timestamp_unit
        if unit is TimestampUnit.MILLISECONDS:
            return options.ptime_ms
        return options.samples_per_packet if unit is TimestampUnit.SAMPLES else 1

    def _write_events(self) -> list[_Event]:
        options, writer = self._plan.options.websocket, self.writer
        duration_ns = self._plan.options.duration_ns
        events = [_Event(self._start_ns, writer.start)]
        if self.gap is not None:
            events.append(_Event(self.gap.end_ns, writer.start))
        for place, digit in enumerate(options.dtmf, 1):
            offset_ns = duration_ns * place // (len(options.dtmf) + 1)
            events.append(_Event(self._start_ns + offset_ns, _dtmf(writer, digit, offset_ns)))
        if options.oddities:
            events += _oddities(writer, self._start_ns, duration_ns)
        events = [e for e in events if self.gap is None or not self.gap.start_ns <= e.time_ns < self.gap.end_ns]
        if options.stop_frame:
            last_ns = max(int(self._plan.deliveries[track].times_ns[-1]) for track in self._tracks)
            events.append(_Event(max(self._start_ns + duration_ns, last_ns), writer.stop))
        return events

    def _number_frames(self) -> None:
        """Number everything in the order of making: by time, then events, then tracks."""
        scripts = self._plan.scripts
        numbered = [event for event in self._events if event.is_numbered]
        event_times_ns = np.array([event.time_ns for event in numbered], np.int64)
        track_times_ns = [scripts[track].send_times_ns for track in self._tracks]
        counts = [len(numbered), *map(len, track_times_ns)]
        ranks = _ranks(np.concatenate([event_times_ns, *track_times_ns]))
        self._made_ns = np.sort(np.concatenate([event_times_ns, *track_times_ns]))
        first, *rest = np.split(1 + ranks, np.cumsum(counts)[:-1])
        self._event_numbers = np.zeros(len(self._events), np.int64)
        self._event_numbers[[event.is_numbered for event in self._events]] = first
        self._numbers = dict(zip(self._tracks, rest, strict=True))
        options = self._plan.options.websocket
        chunks = [np.arange(len(times_ns)) for times_ns in track_times_ns]
        if options.shared_chunks:
            chunks = np.split(_ranks(np.concatenate(track_times_ns)), np.cumsum(counts[1:])[:-1])
        self._chunks = {t: options.first_chunk + c for t, c in zip(self._tracks, chunks, strict=True)}

    def _merge(self) -> None:
        """Lay out what is delivered: events before media of the same nanosecond, stop after everything."""
        deliveries = [self._plan.deliveries[track] for track in self._tracks]
        event_times_ns = np.array([event.time_ns for event in self._events], np.int64)
        times_ns = np.concatenate([event_times_ns, *(d.times_ns for d in deliveries)])
        counts = [len(event_times_ns), *(len(d.times_ns) for d in deliveries)]
        tracks = np.repeat([-1, *self._tracks], counts)
        items = np.concatenate([np.arange(len(event_times_ns)), *(d.packets for d in deliveries)])
        is_last = np.zeros(len(times_ns), np.bool_)
        is_last[len(event_times_ns) - 1] = self._plan.options.websocket.stop_frame
        order = np.lexsort((np.arange(len(times_ns)), times_ns, is_last))
        self.times_ns, self._row_tracks, self._row_items = times_ns[order], tracks[order], items[order]
        self.is_media = self._row_tracks >= 0


def _ranks(times_ns: Int64) -> Int64:
    ranks = np.empty(len(times_ns), np.int64)
    ranks[np.argsort(times_ns, kind="stable")] = np.arange(len(times_ns))
    return ranks


def _dtmf(writer: FrameWriter, digit: str, offset_ns: int) -> Callable[[int], str]:
    return lambda number: writer.dtmf(number, digit, offset_ns)


def _oddities(writer: FrameWriter, start_ns: int, duration_ns: int) -> list[_Event]:
    frames: list[tuple[Callable[[int], str], bool]] = [
        (lambda number: writer.old_error(number, INVALID_MEDIA, "simulated, old shape"), True),
        (lambda _: writer.error(UNKNOWN_ERROR, "simulated, present shape"), False),
        (lambda number: writer.mark(number, "nobody-asked"), True),
        (lambda number: writer.unknown(number, {"sky": "clear", "degrees": 21}), True),
    ]
    step_ns = duration_ns // (len(frames) + 1)
    return [
        _Event(start_ns + place * step_ns + NS_PER_MS, write, is_numbered)
        for place, (write, is_numbered) in enumerate(frames, 1)
    ]


def _identity(seed: int, call: int) -> StreamIdentity:
    random = random_stream(seed, Purpose.IDENTITY, call + 1, direction=Direction.OUTBOUND)
    return StreamIdentity(
        stream_id=str(seeds.stream_id(seed, call)),
        call_control_id=f"v3:simulated-{call}-{random.bytes(6).hex()}",
        call_session_id=str(random_uuid(random)),
        user_id=str(random_uuid(random_stream(seed, Purpose.IDENTITY))),
        call=call,
    )
