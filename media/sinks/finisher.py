"""`Finisher`: what remains to be done with recordings that are closed, in a thread of its own, one after the other.

Sinks that record hand over and go on with their calls: hours of audio may have to be written anew
(`media.sinks.rewriting`). A recording that cannot be is left as it is: silence where it was to be shorter, two
channels where one was wanted, which its sidecar says.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from media.events.kinds import Event
from media.events.recordings import RecordingFailed, RecordingSaved
from media.sealing.keys import Recipients
from media.sinks import sealed_edits, sidecar
from media.sinks.audio_files import SEALED_WAV, is_sealed, sidecar_of
from media.sinks.contract import CallInfo
from media.sinks.finished import FileFormat, Finished, FinishedRecording
from media.sinks.notes import Note, Wish, length_if_rewritten
from media.sinks.recorded_call import RecordedCall
from media.sinks.rewriting import Single, Spans, rewrite
from strep.clock import NS_PER_SECOND, iso8601

_LOG = logging.getLogger(__name__)
CLOSE_TIMEOUT_S = 60.0
Publish = Callable[[CallInfo, Event], object]
"""`media.events.bus.EventBus.publish`."""


@dataclass(frozen=True, slots=True)
class Closed:
    """A recording that was closed.

    Attributes:
        recording: as it is, nothing omitted, with both channels.
        document: its sidecar.
        omit: what is to be cut out, in samples of the file.
        single: make it one channel.
        saved: whom else to tell when all is done; from the thread.
        note: says all that on the disk until it is done.
        is_again: a process died that may have written the file anew.
    """

    recording: FinishedRecording
    document: sidecar.Sidecar
    omit: Spans = ()
    single: Single | None = None
    saved: Finished | None = None
    note: Note | None = None
    is_again: bool = False


class Finisher:
    """Finishes recordings and hands each one on, exactly once.

    Attributes:
        finished, unchanged: recordings, and those of them that could not be written anew.
        gone: recordings of calls that were closed, and whose file was not there then.
        listeners: told of each before it is handed on, in the thread; they return at once.
    """

    name = "finisher"

    def __init__(
        self,
        publish: Publish,
        finished: Finished | None = None,
        *,
        delivers: bool = False,
        recipients: Recipients = (),
    ) -> None:
        """Prepare; `start` begins.

        Args:
            publish: told that recordings are saved, unless `finished` is given.
            finished: takes them over.
            delivers: it does more with each than tell of it.
            recipients: for whom sealed recordings are sealed.
        """
        self._recipients = recipients
        self._delivers = delivers
        self.finished = self.unchanged = self.gone = 0
        self.listeners: list[Finished] = []
        self._publish, self._finished = publish, finished or telling(publish)
        self._waiting: queue.SimpleQueue[Closed | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="finisher", daemon=True)

    async def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    async def close(self) -> None:
        """Finish what waits; what takes longer than a minute is left to the next start."""
        self._waiting.put(None)
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join, CLOSE_TIMEOUT_S)
            if self._thread.is_alive():
                _LOG.error(
                    "%d recordings are not finished yet; the next start goes on with them", self._waiting.qsize()
                )

    def snapshot(self) -> dict[str, Any]:
        """Return counters."""
        return {
            "finished": self.finished,
            "unchanged": self.unchanged,
            "gone": self.gone,
            "waiting": self._waiting.qsize(),
        }

    def wish(
        self, single: Single | None = None, trim_silence: bool = False, format: FileFormat | None = None
    ) -> Wish:
        """Return what is to become of a recording, for `RecordedCall.finish`."""
        return Wish(single, trim_silence, format, self._delivers)

    def put(self, closed: Closed) -> None:
        """Take over a recording whose file is closed; from any thread, without waiting."""
        self._waiting.put(closed)

    def give_up(self, call: CallInfo, recording_id: str, error: str, *, is_take: bool) -> None:
        """Tell of a recording of which there is no file; from any thread."""
        self._publish(call, RecordingFailed(recording_id=recording_id, error=error, is_take=is_take))

    def step(self) -> bool:
        """Finish one, waiting for it; False: there is to be no more. The whole of the thread's work."""
        closed = self._waiting.get()
        if closed is None:
            return False
        try:
            recording = self._rewritten(closed)
        except Exception as error:  # the disk's, or a mistake of ours: neither may cost the others anything
            self.unchanged += 1
            _LOG.warning("recording %s stays as it was recorded: %s", closed.recording.path.name, error)
            recording = closed.recording
        self.finished += 1
        is_taken = True
        for listener in self.listeners:
            listener(recording)
        for take in (self._finished, closed.saved):
            try:
                if take is not None:
                    take(recording)
            except Exception:
                is_taken = False
                _LOG.exception("recording %s was not handed over", recording.path.name)
        if closed.note is not None:
            closed.note.drop() if is_taken else closed.note.let_go()
        return True

    def _run(self) -> None:
        while self.step():
            pass

    def _rewrite(self, path: Path, omit: Spans, single: Single | None) -> int:
        if is_sealed(path):
            return sealed_edits.edit(path, self._recipients, omit, single)
        return rewrite(path, omit=omit, single=single)

    def _rewritten(self, closed: Closed) -> FinishedRecording:
        recording = closed.recording
        if not closed.omit and closed.single is None:
            return recording
        length = length_if_rewritten(recording.path, closed.document, closed.single) if closed.is_again else None
        if length is None:
            length = self._rewrite(recording.path, closed.omit, closed.single)
        channels = 1 if closed.single else recording.channels
        base = recording.start_samples
        gone = tuple((start + base, count) for start, count in closed.omit)
        document = msgspec.structs.replace(
            closed.document,
            length_samples=length,
            channels=channels,
            omitted=[sidecar.Omitted(*span) for span in gone],
        )
        try:
            sidecar.replace(recording.sidecar, document)
        except OSError as error:
            _LOG.warning("sidecar %s does not say that its file was written anew: %s", recording.sidecar.name, error)
        size = recording.path.stat().st_size
        return replace(recording, length_samples=length, channels=channels, size_bytes=size, omitted=gone)


def finished_recording(
    call: CallInfo, path: Path, document: sidecar.Sidecar, ended_wall_ns: int, **wishes: Any
) -> FinishedRecording:
    """Return what the sidecar says of a file that is closed; it is at `path`, beside its sidecar.

    Raises:
        OSError: it is not there.
    """
    start = document.take.start_samples if document.take else 0
    return FinishedRecording(
        call=call,
        recording_id=document.recording_id,
        path=path,
        sidecar=sidecar_of(path),
        is_take=document.take is not None,
        channels=document.channels,
        sample_rate_hz=document.sample_rate_hz,
        start_samples=start,
        length_samples=document.length_samples,
        size_bytes=path.stat().st_size,
        started_wall_ns=document.started_wall_ns + start * NS_PER_SECOND // document.sample_rate_hz,
        ended_wall_ns=ended_wall_ns,
        error=document.error,
        **wishes,
    )


def hand_over(recording: RecordedCall, finisher: Finisher, **closed: Any) -> None:
    """Give a recording that is finished to `finisher`, with what is to be omitted of it.

    Args:
        recording: of a call, or a take.
        finisher: who takes it.
        **closed: of `Closed`, and of `FinishedRecording` under "wishes".
    """
    there, call, is_take = recording.closed(), recording.call, recording.take is not None
    if there is None:
        finisher.give_up(call, recording.recording_id, recording.error or "there is no file", is_take=is_take)
        return
    path, document = there
    ended_ns = document.ended_wall_ns or document.started_wall_ns
    try:
        finished = finished_recording(call, path, document, ended_ns, **closed.pop("wishes", {}))
    except OSError as error:  # somebody took it away
        finisher.gone += document.take is None
        finisher.give_up(call, recording.recording_id, str(error), is_take=is_take)
        if recording.note is not None:
            recording.note.drop()
    else:
        finisher.put(Closed(finished, document, recording.omit(), note=recording.note, **closed))


def telling(publish: Publish) -> Finished:
    """Return what tells the event bus of every finished recording: where nothing else becomes of them."""

    def tell(recording: FinishedRecording) -> None:
        if recording.error is not None:
            failed = RecordingFailed(
                position_samples=recording.start_samples,
                recording_id=recording.recording_id,
                error=recording.error,
                is_take=recording.is_take,
            )
            publish(recording.call, failed)
        publish(recording.call, saved_event(recording))

    return tell


def saved_event(recording: FinishedRecording) -> RecordingSaved:
    """Return the event of a recording that is where it is to be."""
    return RecordingSaved(
        position_samples=recording.start_samples,
        recording_id=recording.recording_id,
        started_at=iso8601(recording.started_wall_ns),
        ended_at=iso8601(recording.ended_wall_ns),
        channels="single" if recording.channels == 1 else "dual",
        format=SEALED_WAV if is_sealed(recording.path) else "wav",
        path=str(recording.path),
        size_bytes=recording.size_bytes,
        duration_samples=recording.length_samples,
        is_take=recording.is_take,
    )
