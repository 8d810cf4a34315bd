"""The WebSocket door's inner side: media streams as calls, whatever socket their frames come by."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from media.calls import Call, Track
from media.decoding.order import Packet
from media.engine import Engine
from media.frame_buffer import FrameBuffer
from media.sinks.contract import CallInfo
from media.tapes import format_of
from media.ws.chunks import ChunkSequencer, Placement
from media.ws.closing import close_with
from media.ws.host import StreamHandle, StreamRefused, StreamStart
from strep.frames import FrameBatch
from strep.header import Direction

_LOG = logging.getLogger("strep.streams")

MAX_PAYLOAD_SAMPLES = 8000
"""A frame of more than a second does not fit on the tape; it is counted as invalid, logged, and in the report."""

CLOSE_POLICY_VIOLATION = 1008

CLOSE_TRY_AGAIN_LATER = 1013
"""WebSocket close code (IANA registry) for a server at its limit."""


class StreamListener(Protocol):
    """Who talks back; none of these waits."""

    def stream_attached(self, info: CallInfo, start: StreamStart, hang_up: Callable[[], None]) -> None:
        """A call has begun, or goes on by another socket: ``start.wire``; `hang_up` ends it and closes all it has."""

    def stream_event(self, info: CallInfo, event: dict[str, Any]) -> bool:
        """The carrier said something; return whether it belongs into the sidecar."""

    def stream_detached(self, info: CallInfo) -> None:
        """The last socket of a call is gone; another may come."""


@dataclass(eq=False, slots=True)
class Stream:
    """One stream_id, over any number of sockets; the `StreamHandle` of `media.ws.host`.

    Attributes:
        start: what the carrier said at first.
        starts: what it said on each socket that may be open, the newest last; never empty.
        sequencer: places the chunks; it goes on when a second socket continues the stream.
        call: its call; a new one if audio comes after the first has ended.
        tracks: per direction.
        sockets: connections that carry it now.
        oversized: frames that were too long.
        leave: to be called when its tracks end.
        detached_ns: when the last of them closed without a stop frame; None while one is there.
    """

    start: StreamStart
    sequencer: ChunkSequencer
    starts: list[StreamStart]
    call: Call = field(init=False)
    tracks: dict[Direction, Track] = field(default_factory=dict)
    sockets: int = 1
    oversized: int = 0
    leave: Callable[[], None] | None = None
    detached_ns: int | None = None


class StreamDoor:
    """Implements `media.ws.host.StreamHost` on the engine.

    Attributes:
        frames: media frames taken.
        no_room: media frames of tracks that were refused because the server is at its limit.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        reconnect_grace_ns: int,
        wake: Callable[[], None],
        listener: StreamListener | None = None,
    ) -> None:
        """Start without a stream; `wake` is called when frames wait for `deliver`, `listener` talks back."""
        self.frames = self.no_room = 0
        self._told = 0  # of `frames`, to who calls `deliver`
        self._engine = engine
        self._wake = wake
        self._reconnect_grace_ns = reconnect_grace_ns
        self._buffer = FrameBuffer()
        self._streams: dict[str, Stream] = {}
        self._listener = listener

    def is_live(self, stream_id: str) -> bool:
        """Tell whether a stream goes on: another socket that names it gets into its call."""
        stream = self._streams.get(stream_id)
        return stream is not None and not stream.call.has_ended

    # -- StreamHost ------------------------------------------------------------------------------------

    def stream_started(self, start: StreamStart, now_ns: int) -> Stream:
        """Begin a call for a new stream_id, or continue the one that has it."""
        stream = self._streams.get(start.stream_id)
        if stream is not None and stream.start.encoding != start.encoding:
            if stream.sockets > 0:
                reason = f"the stream is live in {stream.start.encoding.name}, not {start.encoding.name}"
                raise StreamRefused(CLOSE_POLICY_VIOLATION, reason)
            self._end(stream, "closed")  # one tape holds one law: what follows is another recording
            stream = None
        if stream is not None and not stream.call.has_ended:
            stream.sockets += 1
            stream.detached_ns = None
            stream.call.add_event({"event": "reconnected", "after_ns": now_ns - stream.call.started_ns})
            stream.starts.append(start)
            self._attach(stream)
            return stream
        if now_ns > self._engine.draining_since_ns:
            raise StreamRefused(CLOSE_TRY_AGAIN_LATER, "the server is ending")
        if not self._engine.has_room():
            raise StreamRefused(CLOSE_TRY_AGAIN_LATER, "no free track: the server is at its limit")
        if refusal := self._engine.refusal():
            raise StreamRefused(CLOSE_TRY_AGAIN_LATER, f"the server is at its limit: {refusal}")
        stream = Stream(start, ChunkSequencer(start.encoding.sample_rate_hz), [start])
        stream.call = self._open_call(stream, now_ns)
        self._streams[start.stream_id] = stream
        self._attach(stream)
        return stream

    def stream_media(
        self, handle: StreamHandle, direction: Direction, placement: Placement, payload: bytes, now_ns: int
    ) -> None:
        """Take one media frame; it reaches the timeline with the next beat."""
        assert isinstance(handle, Stream)
        if handle.call.has_ended:
            if now_ns > self._engine.draining_since_ns or self._engine.refusal():
                self.no_room += 1
                return
            handle.call = self._open_call(handle, now_ns)
            self._streams.setdefault(handle.start.stream_id, handle)
            self._attach(handle)
        track = handle.tracks.get(direction)
        if track is None:
            if not self._engine.has_room():
                self.no_room += 1
                return
            track = handle.tracks[direction] = self._open_track(handle, direction, now_ns)
        if placement.shift_samples:
            self._deliver()
            following = (placement.sequence_number + 1) & 0xFFFF
            self._engine.reels.of(track).shift_waiting(track, following, placement.shift_samples)
        if not len(self._buffer):
            self._wake()
        self.frames += 1
        if track.decoder is not None:
            place = placement.sequence_number, placement.timestamp, placement.generation
            self._engine.desk.receive(track, Packet(*place, now_ns, payload, handle.start.encoding))
            return
        if len(payload) > MAX_PAYLOAD_SAMPLES:
            self._say_oversized(handle, len(payload))
            payload = b""
        place = placement.sequence_number, placement.timestamp, placement.generation
        self._buffer.add(track.slot, *place, now_ns, payload)

    def stream_slot(self, handle: StreamHandle, direction: Direction, leave: Callable[[], None]) -> int | None:
        """Return the slot of a track that needs no decoder; `leave` is called when its call ends."""
        assert isinstance(handle, Stream)
        track = handle.tracks.get(direction)
        if track is None or track.decoder is not None or handle.call.has_ended:
            return None
        handle.leave = leave
        return track.slot

    def stream_waiting(self) -> None:
        """Let the pulse beat: frames wait."""
        self._wake()

    def stream_frames(self, frames: FrameBatch) -> None:
        """Take media frames in order, at once."""
        self._deliver()
        self._engine.receive(frames)
        self.frames += len(frames)

    def stream_event(self, handle: StreamHandle, event: dict[str, Any]) -> None:
        """Keep a dtmf, mark or error frame for the sidecar."""
        assert isinstance(handle, Stream)
        if self._listener is None or self._listener.stream_event(handle.call.info, event):
            handle.call.add_event(event, self._engine.now_ns())
        self._engine.touch(handle.call)

    def stream_stopped(self, handle: StreamHandle, now_ns: int) -> None:
        """End the call: the carrier said stop."""
        assert isinstance(handle, Stream)
        self._end(handle, "stop")

    def stream_detached(self, handle: StreamHandle, now_ns: int) -> None:
        """A socket closed without a stop frame: wait for another one to continue the stream."""
        assert isinstance(handle, Stream)
        handle.sockets -= 1
        last = handle.starts[-1]
        handle.starts = [start for start in handle.starts if start.wire is not None and start.wire.is_open] or [last]
        if handle.sockets <= 0:
            handle.detached_ns = now_ns
            if self._listener is not None:
                self._listener.stream_detached(handle.call.info)
        elif handle.starts[-1] is not last:  # the newest is gone first: the way back is the one before
            self._attach(handle)

    def _attach(self, stream: Stream) -> None:
        if self._listener is None:
            return
        try:
            hang_up = partial(self._hang_up, stream, stream.call)
            self._listener.stream_attached(stream.call.info, stream.starts[-1], hang_up)
        except Exception:  # whoever cannot talk back must not cost the recording
            _LOG.exception("call %s: there is no way back", stream.call.info.call_id)

    def _hang_up(self, stream: Stream, call: Call) -> None:
        """End a call at once, and not after the grace for reconnecting: who dials again begins another."""
        if stream.call is not call:
            return  # it has ended, and its sockets carry another one
        for start in stream.starts:
            if start.wire is not None:
                start.wire.close(close_with(1000, "the application hung up"))
        self._end(stream, "hang_up")

    def _say_oversized(self, stream: Stream, samples: int) -> None:
        if not stream.oversized:
            stream.call.add_event({"event": "frame_too_long", "samples": samples, "limit": MAX_PAYLOAD_SAMPLES})
            limits = {"samples": samples, "limit": MAX_PAYLOAD_SAMPLES}
            _LOG.warning("stream %s sends frames longer than a second", stream.start.stream_id, extra=limits)
        stream.oversized += 1

    # -- the pulse's side ------------------------------------------------------------------------------

    def deliver(self, now_ns: int) -> int:
        """Hand the waiting frames to the engine; return how many have come since the last time."""
        self._deliver()
        told, self._told = self._told, self.frames
        return self.frames - told

    def _deliver(self) -> None:
        if len(self._buffer):
            self._engine.receive(self._buffer.take())

    def end_detached(self, now_ns: int) -> None:
        """End the calls of streams that nobody came back to continue."""
        for stream in list(self._streams.values()):
            if stream.detached_ns is not None and now_ns - stream.detached_ns >= self._reconnect_grace_ns:
                self._end(stream, "closed" if stream.start.dialect.has_stop else "stop")

    def _end(self, stream: Stream, reason: str) -> None:
        self._deliver()
        self._engine.end_call(stream.call, reason)

    def _open_call(self, stream: Stream, now_ns: int) -> Call:
        start, forget = stream.start, partial(self._forget, stream)
        tape, dialect = format_of(start.encoding), start.dialect.name
        return self._engine.open_call(start.stream_id, "ws", dict(start.identity), now_ns, forget, tape, dialect)

    def _open_track(self, stream: Stream, direction: Direction, now_ns: int) -> Track:
        source = {"stream_id": stream.start.stream_id, "track": direction.name.lower()}
        call = stream.call
        return self._engine.open_track(
            lambda slot: Track(slot, direction, now_ns, source, call),
            stream.start.encoding,
            lambda track, now_ns: call,
            call.tape,
            clock_hz=stream.start.encoding.sample_rate_hz,
        )

    def _forget(self, stream: Stream, _call: Call) -> None:
        """Let go of the tracks of a call that has ended; another stream may have the id by now."""
        if self._streams.get(stream.start.stream_id) is stream:
            del self._streams[stream.start.stream_id]
        leave, stream.leave, stream.tracks = stream.leave, None, {}
        if leave is not None:
            leave()
