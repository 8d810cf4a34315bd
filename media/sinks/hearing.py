"""`HearingSink`: says what was heard in calls, as it is heard: in the log and in ``<call_id>.events.jsonl``.

Keys may be of a PIN or of a card: the log says that there was one, and which only at level debug. The file, closed to
other users as recordings are, has them.

What the carrier says of digits itself is known to sinks when a call has ended; those that were not in the audio are
reported then, at the place where the call was when they came.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from media.blocks import PcmBatch
from media.events.kinds import AudioDropped, DigitPressed, Event, SpeechEnded, SpeechStarted, TalkedOver, ToneHeard
from media.events.merging import DigitMerger
from media.hearing.ear import DTMF, Ear, Heard
from media.hearing.rows import CHANNELS, can_be_heard
from media.hearing.tones import Tone
from media.hearing.verdict import Digit
from media.hearing.voice import TalkOver, Voice
from media.sinks.contract import CallInfo, CallReport, SinkOptions
from media.sinks.event_file import EventFile
from media.throttle import ThrottledLog
from strep.clock import Clock
from strep.header import Direction

_LOG = logging.getLogger("strep.events")
BLOCK_MS = 20
PATIENCE_MS = 40
"""With less, media streams are read frame by frame (`media.ws.drain.READ_EVERY_MS`); a key is told so much later."""
TRACKS = tuple(direction.name.lower() for direction in Direction)


@dataclass(slots=True)
class _HeardCall:
    call: CallInfo
    file: EventFile | None
    merger: DigitMerger = field(default_factory=DigitMerger)


class HearingSink:
    """Listens to all calls.

    Attributes:
        events: so many were reported.
        failed: so many could not be written.
    """

    def __init__(self, kinds: Collection[str], directory: Path | None, clock: Clock) -> None:
        """Listen for `kinds` of `media.hearing.ear.KINDS`; write into `directory`, which exists, if there is one."""
        self.options = SinkOptions("hearing", block_ms=BLOCK_MS, patience_ms=PATIENCE_MS)
        self.events = self.failed = 0
        self._kinds, self._directory = frozenset(kinds), directory
        self._trouble = ThrottledLog(_LOG, clock)
        self._calls: dict[int, _HeardCall] = {}
        self._live: Counter[int] = Counter()  # calls, by their rate
        self._ears: dict[int, Ear] = {}

    def call_started(self, call: CallInfo) -> None:
        """Remember the call."""
        file = EventFile(self._directory, call) if self._directory is not None else None
        self._calls[call.index] = _HeardCall(call, file)
        self._live[call.sample_rate_hz] += 1
        if not can_be_heard(call.sample_rate_hz):
            _LOG.warning("nothing is heard in call %s: it has %d Hz", call.call_id, call.sample_rate_hz)

    def receive(self, batch: PcmBatch) -> None:
        """Hear the blocks, report what there is in them, and what has ended because nothing came."""
        rate_hz = batch.sample_rate_hz
        if len(batch) and rate_hz not in self._ears and can_be_heard(rate_hz):
            self._ears[rate_hz] = Ear(self._kinds, rate_hz)
        for ear in self._ears.values():
            is_its_own = ear.sample_rate_hz == rate_hz
            self._report(ear.receive(batch) if is_its_own else ear.poll(batch.now_ns))

    def call_ended(self, call: CallInfo, report: CallReport) -> None:
        """Report what ends with the call, and what only the carrier or the queue knows of; forget it."""
        ear = self._ears.get(call.sample_rate_hz)
        try:
            if ear is not None:
                self._report(ear.forget(call.index))
            self._tell(self._calls[call.index], self._known_at_the_end(call, report))
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
        return {"events": self.events, "failed": self.failed}

    def _known_at_the_end(self, call: CallInfo, report: CallReport) -> list[Event]:
        merger, digits = self._calls[call.index].merger, digits_of(call, report) if DTMF in self._kinds else ()
        return [*(digit for digit in digits if merger.is_news(digit)), *dropped_of(call, report)]

    def _report(self, found: Iterable[Heard]) -> None:
        by_call: dict[int, list[Event]] = {}
        for heard in found:
            index = heard.key // CHANNELS
            known = self._calls.get(index)
            if known is None:
                continue
            event = event_of(heard, known.call)
            if not isinstance(event, DigitPressed) or known.merger.is_news(event):
                by_call.setdefault(index, []).append(event)
        for index, events in by_call.items():
            self._tell(self._calls[index], events)

    def _tell(self, known: _HeardCall, events: Sequence[Event]) -> None:
        if not events:
            return
        documents = [event.to_json() for event in events]
        self.events += len(events)
        for event, document in zip(events, documents, strict=True):
            _log(event, document)
        if known.file is None:
            return
        try:
            known.file.append(documents)
        except OSError as error:
            self.failed += len(events)
            self._trouble.warning(f"events of call {known.call.call_id} are not written: {error.strerror}")


def _log(event: Event, document: dict[str, Any]) -> None:
    if isinstance(event, DigitPressed):
        _LOG.info("heard", extra={name: value for name, value in document.items() if name != "digit"})
    _LOG.log(logging.INFO if isinstance(event, ToneHeard) else logging.DEBUG, "heard", extra=document)


def event_of(heard: Heard, call: CallInfo) -> Event:
    """Return what was heard in `call` as an event."""
    track = Direction(heard.key % CHANNELS).name.lower()
    position, rate_hz = heard.position_samples, call.sample_rate_hz
    about: dict[str, Any] = {
        "call_id": call.call_id, "track": track, "position_samples": position, "sample_rate_hz": rate_hz,
    }  # fmt: skip
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


def digits_of(call: CallInfo, report: CallReport) -> Iterator[DigitPressed]:
    """Yield the digits that the carrier told of, as telephone-events or frames."""
    rate_hz = call.sample_rate_hz
    for event in report.events:
        digit, duration_ms, track = event.get("digit"), event.get("duration_ms"), event.get("track")
        if event.get("event") != "dtmf" or not isinstance(digit, str):
            continue
        duration = round(duration_ms * rate_hz / 1000) if isinstance(duration_ms, int) else None
        is_packets = event.get("source") == "rfc4733"
        known_at = event.get("position_samples")
        if known_at is not None and is_packets:
            known_at -= duration or 0  # it is told when it is over
        yield DigitPressed(
            call_id=call.call_id,
            track=track if isinstance(track, str) and track in TRACKS else "",
            position_samples=known_at,
            sample_rate_hz=rate_hz,
            digit=digit,
            source="rfc4733" if is_packets else "ws",
            duration_samples=duration,
        )


def dropped_of(call: CallInfo, report: CallReport) -> Iterator[AudioDropped]:
    """Yield what of the call the queue in front of this sink dropped; see `media.sinks.queue`."""
    about: dict[str, Any] = {"call_id": call.call_id, "track": "", "position_samples": None}
    for event in report.events:
        if event.get("type") == "sink_dropped":
            yield AudioDropped(
                **about, sample_rate_hz=call.sample_rate_hz, blocks=event["blocks"], duration_samples=event["samples"]
            )
