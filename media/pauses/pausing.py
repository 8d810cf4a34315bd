"""`Pausing`: the commands that pause and resume a call's recording, given in the event loop.

They are obeyed at once and for all sensitive sinks together: whatever the engine hands out from then on is masked
(`media.pauses.mask`), and what it has handed out already from the pause's start on, a fraction of a second of a track
that is ahead, is taken back by a patch of silence, which recordings put over it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import numpy as np

from media.blocks import PcmBatch
from media.calls import Call, Track
from media.engine import Engine
from media.events.kinds import Event
from media.events.recordings import RecordingPaused, RecordingResumed
from media.outlets import is_sensitive
from media.pauses.mask import SILENCE
from media.pauses.spans import BEGINNING, Pause, PauseMode
from media.pauses.whereabouts import head_of, released_end, whereabouts
from media.sinks.contract import CallInfo
from strep.errors import UsageError

MAX_PAUSES = 10_000
"""Of a call: they are kept until it ends."""
MOST_AT_ONCE_S = 30
"""Of what is taken back, in one row of a batch."""
WORDS = 200
"""Characters of who paused, and why, that are kept."""

Publish = Callable[[CallInfo, Event], object]
"""`media.events.bus.EventBus.publish`."""


class Pausing:
    """Pauses calls of an engine."""

    def __init__(self, engine: Engine, publish: Publish) -> None:
        self._engine, self._publish = engine, publish

    def pause(self, info: CallInfo, mode: PauseMode = "silence", *, by: str = "", reason: str = "") -> Pause:
        """Keep nothing of a call from now on; a call that is paused already stays so as it is.

        Args:
            info: the call.
            mode: "silence" keeps the time in files, "omit" cuts it out of them.
            by: who wants it, for the audit trail.
            reason: why, likewise.

        Raises:
            UsageError: the call has ended, no such mode, or it has been paused too often.
        """
        call = self._live(info)
        if mode not in get_args(PauseMode):
            raise UsageError(f"mode {mode!r}: a pause keeps time as silence, or takes it out: silence or omit")
        if info.is_paused_at(None):
            return info.pauses[-1]
        if len(info.pauses) >= MAX_PAUSES:
            raise UsageError(f"call {info.call_id} was paused {MAX_PAUSES} times; start another call")
        now_ns, reels = self._engine.now_ns(), self._engine.reels
        before = info.pauses[-1].end_samples if info.pauses else BEGINNING
        placed = [track for track in call.tracks if track.offset_samples is not None]
        start = max(whereabouts(call, reels, now_ns).earliest, before) if placed else BEGINNING
        starts = [BEGINNING, BEGINNING if call.played is None else start]
        for channel in {int(track.direction) for track in placed}:
            heads = [head_of(track, reels) for track in placed if track.direction == channel]
            starts[channel] = min(start, *heads)
        pause = Pause(start, (starts[0], starts[1]), mode, now_ns)
        info.pauses.append(pause)
        self._engine.pauses.update(info)
        for track in placed:
            self._take_back(call, track, start)
        self._audit(call, pause, "recording_paused", start, by, reason, mode=mode)
        self._publish(info, RecordingPaused(position_samples=max(start, 0), mode=mode, by=by, reason=reason))
        return pause

    def resume(self, info: CallInfo, *, by: str = "", reason: str = "") -> Pause | None:
        """Keep what comes from now on; return the pause that is over.

        None: there was none, or the call has ended, and is paused to its end: that may happen to anybody at any time.
        """
        call = self._engine.calls.get(info.call_id)
        if call is None or call.info is not info or not info.is_paused_at(None):
            return None
        pause, now_ns = info.pauses[-1], self._engine.now_ns()
        pause.end_samples = max(whereabouts(call, self._engine.reels, now_ns).latest, pause.start_samples)
        pause.ended_ns = now_ns
        self._engine.pauses.update(info)
        self._audit(call, pause, "recording_resumed", pause.end_samples, by, reason)
        self._publish(info, RecordingResumed(position_samples=pause.end_samples, by=by, reason=reason))
        return pause

    def _live(self, info: CallInfo) -> Call:
        call = self._engine.calls.get(info.call_id)
        if call is None or call.info is not info:
            raise UsageError(f"call {info.call_id} has ended")
        return call

    def _take_back(self, call: Call, track: Track, start: int) -> None:
        """Let sensitive sinks forget what they have of a track from `start` on."""
        end = released_end(track, self._engine.reels)
        if end <= start:
            return
        reel = self._engine.reels.of(track)
        # In one piece: what a sealed recording has to forget it seals anew, once for each.
        width = min(end - start, MOST_AT_ONCE_S * call.info.sample_rate_hz)
        codec = int(reel.timeline.codec[track.slot])
        positions = np.arange(start, end, width)
        rows = len(positions)
        batch = PcmBatch(
            call=np.full(rows, call.info.index, np.int32),
            channel=np.full(rows, track.direction, np.uint8),
            positions=positions,
            first=np.zeros(rows, np.int32),
            last=np.minimum(end - positions, width).astype(np.int32),
            codec=np.full(rows, codec, np.uint8),
            encoded=np.full((rows, width), SILENCE[codec], np.int16 if reel.format.is_linear else np.uint8),
            sample_rate_hz=call.info.sample_rate_hz,
            late=True,
            now_ns=self._engine.now_ns(),
        )
        self._engine.tell_some(batch, is_sensitive)

    def _audit(self, call: Call, pause: Pause, name: str, position: int, by: str, reason: str, **more: Any) -> None:
        said = {key: value[:WORDS] for key, value in (("by", by), ("reason", reason)) if value}
        pause.audit.append({"event": name, "position_samples": max(position, 0), **more, **said})
        call.add_event(pause.audit[-1])
