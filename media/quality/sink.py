"""`QualitySink`: listens to all calls for their quality, tells what is the matter, and answers who asks.

Whoever has the `CallInfo` may ask, in any thread, by `CallInfo.audio_quality`: the figures of the moment while the
call goes on, the last ones once this sink has heard all of it. A sidecar that is written before that has what was
heard until then; the event ``quality``, told behind ``call_ended``, has all.

What lies within a pause of the recording is not listened to, whole blocks of it. A call that goes on in another
process begins anew there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from media.blocks import PcmBatch
from media.events.bus import EventBus
from media.events.kinds import Event
from media.events.ratings import EchoHeard, OneWayAudioEnded, OneWayAudioStarted, QualityMeasured
from media.hearing.rows import CHANNELS, FRAME_MS, can_be_heard
from media.quality.document import track_quality
from media.quality.meter import AudioMeter, Finding
from media.quality.one_way import Silent
from media.sinks.contract import HANDED_OVER, CallInfo, CallReport, SinkOptions
from strep.header import Direction

BLOCK_MS, PATIENCE_MS = 100, 100
"""In no more of a hurry than a recording."""


class QualitySink:
    """Listens to calls.

    Attributes:
        events: so many were told.
    """

    def __init__(self, bus: EventBus) -> None:
        """Tell `bus`."""
        self.options = SinkOptions("quality", block_ms=BLOCK_MS, patience_ms=PATIENCE_MS, grid_ms=FRAME_MS)
        self.events = 0
        self._bus = bus
        self._calls: dict[int, CallInfo] = {}
        self._meters: dict[int, AudioMeter] = {}  # by rate

    def call_started(self, call: CallInfo) -> None:
        """Listen to a call; not to one of a rate that nobody can hear."""
        if not can_be_heard(call.sample_rate_hz):
            return
        self._calls[call.index] = call
        meter = self._meters.setdefault(call.sample_rate_hz, AudioMeter(call.sample_rate_hz))
        meter.forget(call.index)

        def tell(direction: Direction) -> dict[str, Any] | None:
            return meter.of(call.index * CHANNELS + direction)

        call.audio_quality = tell

    def receive(self, batch: PcmBatch) -> None:
        """Listen to the blocks, and tell what begins or ends."""
        meter = self._meters.get(batch.sample_rate_hz)
        if meter is None or not len(batch):
            return
        for found in meter.receive(self._without_pauses(batch)):
            call = self._calls.get(found.key // CHANNELS)
            if call is not None:
                self._tell(call, _event_of(found))

    def _without_pauses(self, batch: PcmBatch) -> PcmBatch:
        """Return the blocks that do not touch a pause; the audio within pauses is silence, which is no silence."""
        paused = [index for index, call in self._calls.items() if call.pauses]
        rows = np.flatnonzero(np.isin(batch.call, paused)) if paused else ()
        kept = np.ones(len(batch), np.bool_)
        for row in rows:
            call = self._calls[int(batch.call[row])]
            start = int(batch.positions[row] + batch.first[row])
            length = int(batch.last[row] - batch.first[row])
            kept[row] = not call.is_paused_at(start, length, Direction(int(batch.channel[row])).name.lower())
        return batch if kept.all() else batch.take(kept)

    def call_ended(self, call: CallInfo, report: CallReport) -> None:
        """Keep the last figures with the call, tell them, and forget it."""
        if self._calls.pop(call.index, None) is None:
            return
        meter = self._meters[call.sample_rate_hz]
        heard = {direction: meter.of(call.index * CHANNELS + direction) for direction in Direction}
        call.audio_quality = heard.get
        meter.forget(call.index)
        if not any(other.sample_rate_hz == call.sample_rate_hz for other in self._calls.values()):
            del self._meters[call.sample_rate_hz]
        if report.reason != HANDED_OVER:
            tracks: dict[str, Any] = {
                track.direction.name.lower(): track_quality(track.quality, call, track.direction)
                for track in report.tracks
            }
            self._tell(call, QualityMeasured(**tracks))

    def close(self) -> None:
        """Do nothing: all calls have ended."""

    def snapshot(self) -> dict[str, Any]:
        """Return counters."""
        return {"events": self.events}

    def _tell(self, call: CallInfo, event: Event) -> None:
        if self._bus.publish(call, event) is not None:
            self.events += 1


def _event_of(found: Finding) -> Event:
    track = Direction(found.key % CHANNELS).name.lower()
    if isinstance(found, Silent):
        kind = OneWayAudioStarted if found.begins else OneWayAudioEnded
        return kind(track=track, position_samples=found.position_samples, duration_ms=found.spoken_ms)
    said = found.as_dict()
    del said["windows"]
    return EchoHeard(track=track, **said)
