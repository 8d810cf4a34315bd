"""`Transcript`: what was said in one call, as events, as JSON lines and as WebVTT beside the recording.

Files are of mode 0600 and hold whole lines and cues only; there is none before the first.
``<call_id>.transcript.jsonl`` has final results and what is missing, in the order in which they became known, in the
form of the events' JSON. ``<call_id>.vtt`` has the same for players (https://www.w3.org/TR/webvtt1/): its cues have
to begin in order, so one waits there until the other side can say nothing before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from media.events.bus import EventBus
from media.events.files import EventFile
from media.events.kinds import Event
from media.events.transcripts import TranscribedWord, Transcription, TranscriptionMissing
from media.sealing.keys import Recipients
from media.sinks.contract import CallInfo
from media.transcribing.streams import Missing, Stream, Transcribed
from media.transcribing.vtt import Cue, VttFile, note

SUFFIX = ".transcript.jsonl"


@dataclass(slots=True)
class Transcript:
    """One call.

    Attributes:
        call: whose.
        directory: where the files go; None: there are none.
        streams: that something may still be said in.
        has_ended: no more streams will be added.
        notes: what is to be written when it has.
        recipients: for whom the files are sealed; nobody: they are in clear.
    """

    call: CallInfo
    bus: EventBus
    directory: Path | None
    streams: list[Stream] = field(default_factory=list)
    has_ended: bool = False
    notes: tuple[Event, ...] = ()
    recipients: Recipients = ()
    _lines: EventFile | None = None
    _cues: VttFile | None = None
    _waiting: list[tuple[int, Stream, Cue | str]] = field(default_factory=list)

    @property
    def has_waiting(self) -> bool:
        """Whether cues wait to be written."""
        return bool(self._waiting)

    @property
    def is_over(self) -> bool:
        """Whether everything was said."""
        return self.has_ended and not self.streams

    def take(self, outcome: Transcribed | Missing) -> None:
        """Tell and write what was said; a partial result is only told.

        Raises:
            OSError: it is told, but not written.
        """
        event = event_of(outcome)
        self.bus.publish(self.call, event)
        if self.directory is None or (isinstance(event, Transcription) and not event.is_final):
            return
        self._waiting.append((outcome.start_samples, outcome.stream, self._cue(outcome)))
        self._line(self.directory, event)

    def release(self, silent_until: dict[int, int | None]) -> None:
        """Write the cues that nothing can come before any more.

        Args:
            silent_until: of each stream in which something may still be said, by number: where the first thing begins
                that is not known yet, None if there is nothing of the kind.

        Raises:
            OSError: they are not written.
        """
        ready = [entry for entry in self._waiting if not _may_come_before(entry, silent_until)]
        if not ready or self.directory is None:
            return
        self._waiting = [entry for entry in self._waiting if entry not in ready]
        if self._cues is None:
            self._cues = VttFile(self.directory, self.call.call_id, self.recipients)
        self._cues.append(cue for _, _, cue in sorted(ready, key=lambda entry: entry[0]))

    def write(self, events: Iterable[Event]) -> None:
        """Write what else there is to be said of the call, if anything was.

        Raises:
            OSError: it is not written.
        """
        for event in events:
            if self.directory is not None and self._lines is not None:
                self._line(self.directory, event)

    def _line(self, directory: Path, event: Event) -> None:
        if self._lines is None:
            self._lines = EventFile(directory, self.call, SUFFIX, self.recipients)
        self._lines.append([{"event": event.NAME, **event.to_json(self.call.sample_rate_hz)}])

    def _cue(self, outcome: Transcribed | Missing) -> Cue | str:
        rate_hz = self.call.sample_rate_hz
        start_ms, end_ms = (round(at * 1000 / rate_hz) for at in (outcome.start_samples, outcome.end_samples))
        if isinstance(outcome, Missing):
            return note(start_ms, end_ms, f"{outcome.stream.track} missing: {outcome.reason}")
        return Cue(start_ms, end_ms, outcome.stream.track, outcome.text)


def event_of(outcome: Transcribed | Missing) -> Transcription | TranscriptionMissing:
    """Return what is to be told as an event."""
    stream, start, length = outcome.stream, outcome.start_samples, outcome.end_samples - outcome.start_samples
    if isinstance(outcome, Missing):
        return TranscriptionMissing(
            track=stream.track,
            position_samples=start,
            duration_samples=length,
            reason=outcome.reason,
            engine=stream.engine,
        )
    return Transcription(
        track=stream.track,
        position_samples=start,
        text=outcome.text,
        is_final=outcome.is_final,
        duration_samples=length,
        engine=stream.engine,
        confidence=outcome.confidence,
        words=tuple(TranscribedWord(w.word, w.start_samples, w.end_samples, w.confidence) for w in outcome.words),
    )


def _may_come_before(entry: tuple[int, Stream, Cue | str], silent_until: dict[int, int | None]) -> bool:
    start, stream, _ = entry
    others = (until for number, until in silent_until.items() if number != stream.number)
    return any(until is not None and until < start for until in others)
