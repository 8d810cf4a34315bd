"""`HearingSink`: publishes what is heard in calls, as it is heard, and says so in the log.

Keys may be of a PIN or of a card: the log says that there was one, and which only at level debug.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from media.blocks import PcmBatch
from media.events.bus import EventBus
from media.events.kinds import AudioDropped, DigitPressed, Event, SpeechEnded, SpeechStarted, TalkedOver, ToneHeard
from media.hearing.ear import Ear, Heard
from media.hearing.rows import CHANNELS, can_be_heard
from media.hearing.tones import Tone
from media.hearing.verdict import Digit
from media.hearing.voice import TalkOver, Voice
from media.sinks.contract import CallInfo, CallReport, SinkOptions
from strep.header import Direction

_LOG = logging.getLogger("strep.events")
BLOCK_MS = 20
PATIENCE_MS = 40
"""With less, media streams are read frame by frame (`media.ws.drain.READ_EVERY_MS`); a key is told so much later."""


class HearingSink:
    """Listens to all calls.

    Attributes:
        events: so many were told.
    """

    def __init__(self, kinds: Collection[str], bus: EventBus) -> None:
        """Listen for `kinds` of `media.hearing.ear.KINDS`."""
        self.options = SinkOptions("hearing", block_ms=BLOCK_MS, patience_ms=PATIENCE_MS, is_sensitive=False)
        self.events = 0
        self._kinds, self._bus = frozenset(kinds), bus
        self._calls: dict[int, CallInfo] = {}
        self._live: Counter[int] = Counter()  # calls, by their rate
        self._ears: dict[int, Ear] = {}

    def call_started(self, call: CallInfo) -> None:
        """Remember the call."""
        self._calls[call.index] = call
        self._live[call.sample_rate_hz] += 1
        if not can_be_heard(call.sample_rate_hz):
            _LOG.warning("nothing is heard in call %s: it has %d Hz", call.call_id, call.sample_rate_hz)

    def receive(self, batch: PcmBatch) -> None:
        """Hear the blocks, tell what there is in them, and what has ended because nothing came."""
        rate_hz = batch.sample_rate_hz
        if len(batch) and rate_hz not in self._ears and can_be_heard(rate_hz):
            self._ears[rate_hz] = Ear(self._kinds, rate_hz)
        for ear in self._ears.values():
            is_its_own = ear.sample_rate_hz == rate_hz
            self._report(ear.receive(batch) if is_its_own else ear.poll(batch.now_ns))

    def call_ended(self, call: CallInfo, report: CallReport) -> None:
        """Tell what ends with the call, and what the queue dropped; forget it."""
        ear = self._ears.get(call.sample_rate_hz)
        try:
            if ear is not None:
                self._report(ear.forget(call.index))
            for dropped in dropped_of(report):
                self._tell(call, dropped)
        finally:
            self._calls.pop(call.index, None)
            self._live[call.sample_rate_hz] -= 1
            if self._live[call.sample_rate_hz] <= 0:
                del self._live[call.sample_rate_hz]
                self._ears.pop(call.sample_rate_hz, None)

    def close(self) -> None:
        """Do nothing: all calls have ended."""

    def snapshot(self) -> dict[str, Any]:
        """Return counters."""
        return {"events": self.events}

    def _report(self, found: Iterable[Heard]) -> None:
        for heard in found:
            call = self._calls.get(heard.key // CHANNELS)
            if call is not None:
                self._tell(call, event_of(heard))

    def _tell(self, call: CallInfo, event: Event) -> None:
        told = self._bus.publish(call, event)
        if told is None:
            return
        self.events += 1
        document = told.to_json()
        if isinstance(event, DigitPressed):
            _LOG.info("heard", extra={name: value for name, value in document.items() if name != "digit"})
        _LOG.log(logging.INFO if isinstance(event, ToneHeard) else logging.DEBUG, "heard", extra=document)


def event_of(heard: Heard) -> Event:
    """Return what was heard as an event."""
    track = Direction(heard.key % CHANNELS).name.lower()
    about: dict[str, Any] = {"track": track, "position_samples": heard.position_samples}
    match heard:
        case Digit():
            tones: dict[str, Any] = {"level_dbm0": heard.level_dbm0, "twist_db": heard.twist_db}
            return DigitPressed(
                **about, digit=heard.digit, source="inband", duration_samples=heard.length_samples, **tones
            )
        case Voice(speaks=True):
            return SpeechStarted(**about, silence_samples=heard.length_samples)
        case Voice():
            return SpeechEnded(**about, duration_samples=heard.length_samples)
        case TalkOver():
            return TalkedOver(**about, duration_samples=heard.length_samples)
        case Tone():
            sound: dict[str, Any] = {"kind": heard.kind, "frequency_hz": heard.frequency_hz}
            return ToneHeard(**about, **sound, duration_samples=heard.length_samples)


def dropped_of(report: CallReport) -> Iterator[AudioDropped]:
    """Yield what of the call the queue in front of this sink dropped; see `media.sinks.queue`."""
    for event in report.events:
        if event.get("type") == "sink_dropped":
            yield AudioDropped(blocks=event["blocks"], duration_samples=event["samples"])
