"""`HearingSink`: says what was heard in calls, as it is heard: in the log and in ``<call_id>.events.jsonl``.

What the carrier says of digits itself is known to sinks when a call has ended; those that were not in the audio are
reported then.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from media.blocks import PcmBatch
from media.events.kinds import DigitPressed, Event, SpeechEnded, SpeechStarted, TalkedOver, ToneHeard
from media.events.merging import DigitMerger
from media.hearing.ear import DTMF, Ear, Heard
from media.hearing.rows import CHANNELS, can_be_heard
from media.hearing.tones import Tone
from media.hearing.verdict import Digit
from media.hearing.voice import TalkOver, Voice
from media.sinks.contract import CallInfo, CallReport, SinkOptions
from media.throttle import ThrottledLog
from strep.clock import Clock
from strep.header import Direction

_LOG = logging.getLogger("strep.events")
SUFFIX = ".events.jsonl"
BLOCK_MS = 20


class HearingSink:
    """Listens to all calls.

    Attributes:
        events: so many were reported.
        failed: so many could not be written.
    """

    def __init__(self, kinds: Collection[str], directory: Path | None, clock: Clock) -> None:
        """Listen for `kinds` of `media.hearing.ear.KINDS`; write into `directory`, which exists, if there is one."""
        self.options = SinkOptions("hearing", block_ms=BLOCK_MS)
        self.events = self.failed = 0
        self._kinds, self._directory = frozenset(kinds), directory
        self._trouble = ThrottledLog(_LOG, clock)
        self._calls: dict[int, CallInfo] = {}
        self._mergers: dict[int, DigitMerger] = {}
        self._ears: dict[int, Ear] = {}

    def call_started(self, call: CallInfo) -> None:
        """Remember the call."""
        self._calls[call.index] = call
        self._mergers[call.index] = DigitMerger()
        if not can_be_heard(call.sample_rate_hz):
            _LOG.warning("nothing is heard in call %s: it has %d Hz", call.call_id, call.sample_rate_hz)

    def receive(self, batch: PcmBatch) -> None:
        """Hear the blocks, report what there is in them."""
        rate_hz = batch.sample_rate_hz
        if batch.late or not len(batch) or not can_be_heard(rate_hz):
            return
        ear = self._ears.get(rate_hz)
        if ear is None:
            ear = self._ears[rate_hz] = Ear(self._kinds, rate_hz)
        self._report(ear.receive(batch))

    def call_ended(self, call: CallInfo, report: CallReport) -> None:
        """Report what ends with the call, and the digits that only the carrier knows of; forget it."""
        ear = self._ears.get(call.sample_rate_hz)
        if ear is not None:
            self._report(ear.forget(call.index))
        if DTMF in self._kinds:
            self._tell(call, [digit for digit in digits_of(call, report) if self._mergers[call.index].is_news(digit)])
        self._calls.pop(call.index, None)
        self._mergers.pop(call.index, None)
        if all(other.sample_rate_hz != call.sample_rate_hz for other in self._calls.values()):
            self._ears.pop(call.sample_rate_hz, None)

    def close(self) -> None:
        """Do nothing: all calls have ended."""

    def snapshot(self) -> dict[str, Any]:
        """Return counters."""
        return {"events": self.events, "failed": self.failed}

    def _report(self, found: Iterable[Heard]) -> None:
        by_call: dict[int, list[Event]] = {}
        for heard in found:
            index = heard.key // CHANNELS
            call = self._calls.get(index)
            if call is None:
                continue
            event = event_of(heard, call)
            if not isinstance(event, DigitPressed) or self._mergers[index].is_news(event):
                by_call.setdefault(index, []).append(event)
        for index, events in by_call.items():
            self._tell(self._calls[index], events)

    def _tell(self, call: CallInfo, events: list[Event] | list[DigitPressed]) -> None:
        if not events:
            return
        documents = [event.to_json() for event in events]
        self.events += len(events)
        for event, document in zip(events, documents, strict=True):
            level = logging.INFO if isinstance(event, DigitPressed | ToneHeard) else logging.DEBUG
            _LOG.log(level, "heard", extra=document)
        if self._directory is None:
            return
        lines = b"".join(msgspec.json.encode(document) + b"\n" for document in documents)
        try:
            with (self._directory / f"{call.call_id}{SUFFIX}").open("ab") as file:
                file.write(lines)
        except OSError as error:
            self.failed += len(events)
            self._trouble.warning(f"events of call {call.call_id} are not written: {error.strerror}")


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
        digit, duration_ms = event.get("digit"), event.get("duration_ms")
        if event.get("event") != "dtmf" or not isinstance(digit, str):
            continue
        duration = round(duration_ms * rate_hz / 1000) if isinstance(duration_ms, int) else None
        is_packets = event.get("source") == "rfc4733"
        known_at = event.get("position_samples")
        if known_at is not None and is_packets:
            known_at -= duration or 0  # it is told when it is over
        yield DigitPressed(
            call_id=call.call_id,
            track=str(event.get("track") or ""),
            position_samples=known_at,
            sample_rate_hz=rate_hz,
            digit=digit,
            source="rfc4733" if is_packets else "ws",
            duration_samples=duration,
        )
