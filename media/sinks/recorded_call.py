"""`RecordedCall`: the file and the sidecar of one call, and what becomes of them when the disk refuses.

A disk that refuses, or a mistake of ours, ends this recording and no other: what was written stays, under a header
that fits it, and the sidecar says why. What is done with the file does not raise; `error`, the counters of `Trouble`
and the log tell. The log names every call with trouble, however many they are: each is somebody's lost recording.
"""

from __future__ import annotations

import dataclasses
import logging
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from numpy.typing import NDArray

from media.events.kinds import WITHHELD
from media.pauses.spans import omitted
from media.sealing.keys import Recipients
from media.sinks import sidecar
from media.sinks.audio_files import AudioFile, blank, close, create, patch, sidecar_of, unused_sidecar
from media.sinks.continuation import Patience, beginning, take_over
from media.sinks.contract import CallInfo, CallReport, SinkUse
from media.sinks.notes import Note, Wish, note_of
from media.sinks.overwriting import put
from media.sinks.rewriting import Spans
from media.sinks.sealed import SealedWav
from media.sinks.sidecar import UNSERIALIZABLE, Sidecar, State, describe
from media.sinks.told import boot_id
from media.sinks.wav import Encoding
from strep.clock import NS_PER_SECOND, Clock, SystemClock, iso8601

_LOG = logging.getLogger(__name__)
NO_MEDIA = "no_media"
_MOVED_NS = NS_PER_SECOND // 10
"""A sidecar that is further off about the time of position 0 is worth writing anew while the call goes on."""


@dataclass(slots=True)
class Trouble:
    """What went wrong, over all calls.

    Attributes:
        recordings: recordings that ended early.
        sidecars: calls with a sidecar that could not be written, or not all of it.
    """

    recordings: int = 0
    sidecars: int = 0


class RecordedCall:
    """One call on disk.

    Attributes:
        call: who it is.
        slot: place in the stage, -1 while it has none.
        wav: the open file, None before and after.
        error: why the recording failed, or None.
        continued: the recording that this one goes on with, or None.
        take: what it is if it is not that of the whole call.
        recording_id: UUID.
        note: says what is to be done with it after its end; None: nothing.
    """

    def __init__(
        self,
        call: CallInfo,
        directory: Path,
        encoding: Encoding,
        trouble: Trouble,
        clock: Clock | None = None,
        take: sidecar.Take | None = None,
        recording_id: str = "",
        wish: Wish | None = None,
        recipients: Recipients = (),
        patience: Patience | None = None,
    ) -> None:
        """Create file and sidecar, or go on with those of a dead process; failing is an `error`, not an exception.

        A take is never gone on with: whoever started it has to start it again. If the process dies, the next one
        finishes it and makes of it what was wished, so that is written down at once.
        """
        self.call, self.slot = call, -1
        self.wav: AudioFile | None = None
        self.error: str | None = None
        self.note: Note | None = None
        self._has_audio = self._is_described = False
        self._trouble, self._sidecar_failed = trouble, False
        self._file: str | None = None
        self._length_samples = 0
        self._encoding = encoding
        self._clock = clock or SystemClock()
        self._recipients, self.take = recipients, take
        about = call, directory, encoding, self._clock, recipients, patience
        self.continued = take_over(*about) if take is None else None
        recording_id = self.continued.before.recording_id if self.continued else recording_id
        self.recording_id = recording_id or str(uuid.uuid4())
        if self.continued and self.continued.wav is None:
            self._stay_failed(self.continued.path, self.continued.before)
            return
        name = call.call_id if take is None else f"{call.call_id}.{take.name}"
        try:
            went_on = self.continued.wav if self.continued else None
            self.wav = wav = went_on or create(directory, name, encoding, call.sample_rate_hz, recipients)
            self._file, self._sidecar = wav.path.name, sidecar_of(wav.path)
        except Exception as error:
            self._sidecar = unused_sidecar(directory, name)
            self.fail(error)
        self._write_sidecar("recording" if self.wav else "failed", None)
        if self.wav and wish is not None:
            self.note = Note.write(self.wav.path, self.recording_id, wish, ())

    def _stay_failed(self, path: Path, before: Sidecar) -> None:
        """Be the recording that failed in another process: it does not begin again here either."""
        self._sidecar, self.document = path, before
        self.error, self._file, self._length_samples = before.error or "failed", before.file, before.length_samples
        self._encoding = next((each for each in Encoding if each.label == before.format), self._encoding)

    @property
    def offset_samples(self) -> int:
        """Where in the file the call's position 0 lies."""
        if self.take is not None:
            return -self.take.start_samples
        return self.continued.offset_samples if self.continued else 0

    @property
    def next_samples(self) -> int:
        """Where in the file to go on."""
        return max(self.offset_samples, self.wav.length_samples if self.wav else 0)

    @property
    def sidecar_path(self) -> Path:
        """Where its sidecar is."""
        return self._sidecar

    def set_encoding(self, encoding: Encoding) -> None:
        """Choose the encoding of a file that is still empty."""
        if self.wav:
            try:
                self.wav.set_encoding(encoding)
            except Exception as error:
                self.fail(error)

    def write(self, position_samples: int, frames: NDArray[Any]) -> None:
        """Write whole frames, see `WavFile.write`, and the header that speaks of them.

        Every time: whoever opens the file sees all that was written, and so does the next process if this one dies.
        """
        if self.wav:
            if not self._has_audio:
                self._has_audio = True
                self._note_origin()
            try:
                self.wav.write(position_samples, frames)
                self.wav.flush_header()
            except Exception as error:
                self.fail(error)

    def patch(self, channel: int, position_samples: int, samples: NDArray[Any]) -> None:
        """Put one track's samples into frames that are in the file already."""
        if self.wav:
            try:
                before = self.wav.length_samples
                place = position_samples - self.offset_samples, len(samples), ("inbound", "outbound")[channel]
                put = blank if self.call.is_paused_at(*place) else patch
                put(self.wav, channel, position_samples, samples)
                if self.wav.length_samples > before:
                    self.wav.flush_header()
            except Exception as error:
                self.fail(error)

    def cut(self, length_samples: int) -> None:
        """Shorten the file to a length."""
        if self.wav:
            try:
                self.wav.cut(length_samples)
            except Exception as error:
                self.fail(error)

    def _note_origin(self) -> None:
        """Let the sidecar say when position 0 was if that was not known when it was written: now there is audio."""
        if not self.continued and abs(self.call.position_0_wall_ns - self.document.started_wall_ns) > _MOVED_NS:
            self._write_sidecar("recording", None)

    def finish(self, report: CallReport | None, wish: Wish | None = None, sinks: Sequence[SinkUse] = ()) -> None:
        """Pad to the call's length, close the file, note what is to be done with it, write the last sidecar.

        Args:
            report: how the call ended; None when nobody said, which is an error.
            wish: what is to become of it.
            sinks: what each sink got of the call.
        """
        if report is None and self.error is None:
            self.fail(RuntimeError("nobody said how the call ended"))
        if report and self.continued:
            report = self.continued.joined(report)
        try:
            if self.wav and report:
                self.wav.extend(report.length_samples)
                if isinstance(self.wav, SealedWav):
                    self.wav.describe(self._about(report))
        except Exception as error:
            self.fail(error)
        self._close()
        if wish is not None and self._file is not None:
            audio = self._sidecar.with_name(self._file)
            self._rewrite_note(Note.write(audio, self.recording_id, wish, self.omit()))
            if self.note is None and self.continued:  # the process before may have died when it had left one
                with suppress(OSError):
                    note_of(audio).unlink(missing_ok=True)
        self._write_sidecar("failed" if self.error else "complete", report, sinks, is_over=True)

    def _rewrite_note(self, note: Note | None) -> None:
        """Hold the new note, in place of the one of the beginning; keep that where the disk does not take another."""
        if note is not None:
            before, self.note = self.note, note
            if before is not None:
                before.let_go()

    def hand_over(self) -> None:
        """Let another process go on with the file: the sidecar tells it where; it waits for the lock until then."""
        note, self.note = self.note, None
        if note is not None:
            note.let_go()
        try:
            if self.wav:
                self.wav.flush_header()
        except OSError as error:
            self.fail(error)
        self._write_sidecar("failed" if self.error else "recording", None)
        if self.wav:
            self.wav.let_go()
        self.wav = None

    def _about(self, report: CallReport) -> dict[str, Any]:
        """Return what a sealed file says itself: whose it is, and the keys that its sidecar does not tell."""
        call, events = self.call, report.events
        about = {"call_id": call.call_id, "recording_id": self.recording_id, "door": call.door}
        return about | {"identity": call.identity, "started_wall_ns": report.started_wall_ns, "events": events}

    def omit(self) -> Spans:
        """Return what is to be cut out of the file once it is closed, in its samples."""
        take, offset = self.take, self.offset_samples
        end = take.end_samples if take and take.end_samples is not None else self._length_samples - offset
        return tuple((start + offset, count) for start, count in omitted(self.call.pauses, max(-offset, 0), end))

    def closed(self) -> tuple[Path, Sidecar] | None:
        """Return file and sidecar of a recording that is finished; None if there is no file."""
        return (self._sidecar.with_name(self._file), self.document) if self._file is not None else None

    def fail(self, error: Exception) -> None:
        """End the recording; its sidecar says so at once, and the rest when the call ends.

        Before the lock goes: who finds neither lock nor failure finds a recording to go on with.
        """
        if self.error is not None:
            return
        self.error = f"{type(error).__name__}: {error}"
        self._trouble.recordings += 1
        name = f"{self.call.call_id}.{self.take.name}" if self.take else self.call.call_id
        _LOG.warning("recording %s failed: %s", name, self.error)
        if self._is_described:
            self._write_sidecar("failed", None)
        self._close()

    def _close(self) -> None:
        wav, self.wav = self.wav, None
        if wav is None:
            return
        self._length_samples, self._encoding = wav.length_samples, wav.encoding
        try:
            close(wav, is_whole=self.error is None)
        except Exception as error:
            self.fail(error)

    def _write_sidecar(
        self,
        state: State,
        report: CallReport | None,
        sinks: Sequence[SinkUse] = (),
        *,
        is_over: bool = False,
    ) -> None:
        length = self.wav.length_samples if self.wav else self._length_samples
        encoding = self.wav.encoding if self.wav else self._encoding
        note = report.note if report else ""
        if state == "complete" and length == 0:
            note = note or NO_MEDIA
        if report and self._recipients:
            events = [event | {"digit": WITHHELD} if "digit" in event else event for event in report.events]
            report = dataclasses.replace(report, events=events)  # of a key not which it was
        document = describe(
            self.call,
            report,
            state=state,
            file=self._file,
            encoding=encoding.label if self._file else None,
            length_samples=length,
            note=note,
            error=self.error,
            clock=self._beginning() if state == "recording" else None,
            restarts=self.continued.restarts if self.continued else (),
            recording_id=self.recording_id,
            take=self.take,
            sinks=sinks,
            encrypted_to=[str(recipient) for recipient in self._recipients],
        )
        if self.continued:
            started_wall_ns = self.continued.before.started_wall_ns
            started = {"started_wall_ns": started_wall_ns, "started_at": iso8601(started_wall_ns)}
            document = msgspec.structs.replace(document, **started)
        if not is_over and self.take is None:
            document = msgspec.structs.replace(document, handed_over_samples=self.offset_samples)
        self.document, self._is_described = document, True
        try:
            if cut_short := put(self._sidecar, document):
                self._fail_sidecar(f"not written in full: {cut_short}")
        except (OSError, *UNSERIALIZABLE) as error:  # no value in it is worth the recording
            self._fail_sidecar(f"not written: {error}")

    def _beginning(self) -> sidecar.Clock:
        """Return when position 0 of the file was, by the clock that nobody sets."""
        if self.continued and self.continued.before.clock and self.continued.before.clock.boot_id == boot_id():
            return self.continued.before.clock
        began = beginning(self.call, self._clock)
        earlier_ns = self.offset_samples * NS_PER_SECOND // self.call.sample_rate_hz
        return sidecar.Clock(began.boot_id, began.started_monotonic_ns - earlier_ns)

    def _fail_sidecar(self, text: str) -> None:
        """Count it once; a call of which there is neither file nor sidecar has its line in the log already."""
        if not self._sidecar_failed:
            self._sidecar_failed = True
            self._trouble.sidecars += 1
            if self.error is None or self._file is not None:
                _LOG.warning("sidecar %s %s", self._sidecar.name, text)
