"""`RunningTake`: a take that goes on, in the sink's thread: what is placed in its file, and when it is over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from media.pauses.spans import FOREVER, within
from media.sinks.contract import CallInfo, CallReport
from media.sinks.finished import FinishedRecording
from media.sinks.linear import LinearCall
from media.sinks.notes import Wish
from media.sinks.recorded_call import RecordedCall
from media.sinks.sidecar import Take
from media.sinks.takes.beep import beep
from media.sinks.takes.options import TakeOptions
from media.sinks.takes.silence import SilenceWatch
from strep.clock import NS_PER_SECOND
from strep.header import Direction

WAIT_S = 1.0
"""How long a take waits, at its end, for a track that lags or is silent."""
MAX_MISSING = 1000
"""Spans that a sidecar tells of; the last one grows when there are more."""
EndedBy = Literal["stop", "max_length", "silence", "initial_timeout", "call_ended"]


@dataclass(frozen=True, slots=True)
class Order:
    """That a take is to begin.

    Attributes:
        call: of what.
        options: how.
        recording_id: UUID.
        start_samples: its first sample, on the call's timeline; it looks back from `command_samples`.
        command_samples: where the call was when it was ordered.
        begun_ns: when that was, monotonic.
        saved: whom to tell that it is finished.
        failed: whom to tell that there is no file.
    """

    call: CallInfo
    options: TakeOptions
    recording_id: str
    start_samples: int
    command_samples: int
    begun_ns: int
    saved: Callable[[FinishedRecording], object] = field(repr=False)
    failed: Callable[[str], object] = field(repr=False)

    def describe(self) -> Take:
        """Return what the sidecar says of it."""
        return Take(
            name=self.options.name,
            start_samples=self.start_samples,
            end_samples=None,
            track=self.options.track,
            channels="single" if self.options.single else "dual",
            look_back_samples=self.command_samples - self.start_samples,
        )


class RunningTake:
    """One take; positions are those of its call.

    Attributes:
        order: as given.
        recording: its file.
    """

    def __init__(self, order: Order, recording: RecordedCall) -> None:
        options, self._rate = order.options, order.call.sample_rate_hz
        self.order, self.recording = order, recording
        self._file = LinearCall(recording)
        self._wait = round(WAIT_S * self._rate)
        self._seen = dict.fromkeys(options.wanted_channels, order.start_samples)
        self._next: dict[int, int] = {}  # by channel: position behind what came of it, also before the take begins
        self._suspect: set[int] = set()  # channels of which something may have been dropped behind that
        self._missing: list[dict[str, Any]] = []
        self._watch = SilenceWatch(order.command_samples, self._rate, options.silence_dbm0)
        self._end, self._ended_by = FOREVER, "stop"
        if options.max_length_s:
            self.stop_at(order.command_samples + round(options.max_length_s * self._rate), "max_length")

    def stop_at(self, position: int, ended_by: EndedBy) -> None:
        """Let it end at `position`, unless it ends before."""
        if position < self._end:
            self._end, self._ended_by = max(position, self.order.start_samples), ended_by

    def receive(self, channel: int, position: int, pcm: NDArray[np.int16], now_ns: int, *, late: bool) -> None:
        """Take samples of a track; those that are not wanted are left out."""
        if channel not in self._seen:
            return
        if not late:
            self._look_for_a_hole(channel, position, position + len(pcm))
        pcm = pcm[: max(self._end - position, 0)]
        self._file.place(channel, position, pcm, now_ns)
        self._file.write_due(now_ns)
        if late:
            return
        self._seen[channel] = max(self._seen[channel], position + len(pcm))
        if len(pcm) and position >= self.order.command_samples:
            self._watch.hear(position, pcm)

    def expect_a_hole(self) -> None:
        """Take note that blocks were dropped in front of the sink, behind all that it has received."""
        self._suspect.update(self._seen)

    def _look_for_a_hole(self, channel: int, position: int, end: int) -> None:
        """Note what was dropped; a jump for which there is no other cause than the track's own is none of ours."""
        before, self._next[channel] = self._next.get(channel, position), end
        if channel not in self._suspect:
            return
        self._suspect.discard(channel)
        first, last = max(before, self.order.start_samples), min(position, self._end)
        if first >= last:
            return
        if len(self._missing) < MAX_MISSING:
            track = Direction(channel).name.lower()
            self._missing.append({"type": "sink_dropped", "sink": "takes", "track": track, "position_samples": first})
        self._missing[-1]["samples"] = max(last - self._missing[-1]["position_samples"], 1)

    def is_over(self, now_ns: int) -> bool:
        """Look whether it is to end, and whether all of it is here."""
        if self.recording.wav is None:
            return True
        elapsed = (now_ns - self.order.begun_ns) * self._rate // NS_PER_SECOND
        seen = self._seen.values()
        until = max(min(seen), max(seen) - self._wait, self.order.command_samples + elapsed - self._wait)
        self._look_for_silence(until)
        return until >= self._end

    def _look_for_silence(self, until: int) -> None:
        options, watch = self.order.options, self._watch
        limit_s = options.end_silence_s if watch.has_sounded else options.initial_timeout_s
        if not limit_s:
            return
        watch.skip(self.order.call.pauses, until)
        limit = round(limit_s * self._rate)
        if until - watch.last_sound >= limit:
            self.stop_at(watch.last_sound + limit, "silence" if watch.has_sounded else "initial_timeout")

    def sweep(self, now_ns: int) -> None:
        """Write what has waited for long."""
        self._file.sweep(now_ns)

    def finish(self, now_ns: int, call_end: int | None = None, wish: Wish | None = None) -> None:
        """Close the file, which ends where it was to, or with its call at `call_end`; see `RecordedCall.finish`."""
        order, recording = self.order, self.recording
        if call_end is not None:
            self.stop_at(max(call_end, order.command_samples), "call_ended")
        end = self._end if self._end != FOREVER else max(self._seen.values())
        self._file.write_all(now_ns)
        if order.options.beep_in_file:
            self._add_beep(now_ns)
        recording.take = msgspec.structs.replace(order.describe(), end_samples=end, ended_by=self._ended_by)
        recording.cut(end - order.start_samples)
        events = [
            hole | {"samples": min(hole["samples"], end - hole["position_samples"])}
            for hole in self._missing
            if hole["position_samples"] < end
        ]
        for _, _, pause in within(order.call.pauses, order.start_samples, end):
            events += pause.audit
        events.sort(key=itemgetter("position_samples"))
        began_ns = order.call.position_0_wall_ns
        ended_ns = began_ns + end * NS_PER_SECOND // self._rate
        report = CallReport("", ended_ns, end - order.start_samples, [], events, started_wall_ns=began_ns)
        recording.finish(report, wish)

    def _add_beep(self, now_ns: int) -> None:
        """Mix the beep into the file where the take was ordered: into the side that would have played it."""
        wav, sound = self.recording.wav, beep(self._rate)
        channel = max(self._seen)
        if wav is None:
            return
        position = self.order.command_samples - self.order.start_samples
        try:
            there = wav.read(position, len(sound))[:, channel].astype(np.int32) + sound
        except OSError as error:
            self.recording.fail(error)
        else:
            self.recording.patch(channel, position, np.clip(there, -32768, 32767).astype(np.int16))
