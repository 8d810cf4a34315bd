"""`Salvage`: recordings that a dead process left behind and nobody goes on with are finished.

They are found when the server starts, by their sidecars and the lock that is missing, and finished when their calls
had time to be heard of again (`media.sinks.continuation`). That takes a thread of its own: a directory may be large.
Those that are closed, but have a note of what is still to be done (`media.sinks.notes`), are handed over at once.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import threading
from pathlib import Path
from typing import Any

import msgspec

from media.sinks.continuation import UNACCOUNTED, described_format, elapsed_ns, history, lock_left_behind, with_gap
from media.sinks.contract import CallInfo, TrackReport
from media.sinks.damage import describe_anew, is_damaged
from media.sinks.finisher import Closed, Finisher, finished_recording
from media.sinks.notes import SUFFIX, Note, Wish, note_of
from media.sinks.rewriting import remove_left_over
from media.sinks.sidecar import Restart, Sidecar, Track, read_finished, read_unfinished, replace
from media.sinks.wav import WavFile
from strep.clock import NS_PER_SECOND, Clock, SystemClock
from strep.header import Direction
from strep.ledger import Kind

_LOG = logging.getLogger(__name__)

ERROR = "the recorder died, and the call was not heard of again"


class Salvage:
    """Looks through a directory at once, and finishes what it found later; `stop` leaves it to the next start.

    Attributes:
        finished: recordings finished.
    """

    def __init__(
        self, directory: Path, wait_s: float, finisher: Finisher | None = None, clock: Clock | None = None
    ) -> None:
        """Prepare.

        Args:
            directory: of the recordings.
            wait_s: how long after the start a call may still go on.
            finisher: what gets those that are finished, as it gets others that are closed.
            clock: to say for how long nobody listened.
        """
        self._clock = clock or SystemClock()
        self.finished = 0
        self._finisher = finisher
        self._directory = directory
        self._wait_s = wait_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="salvage", daemon=True)

    def start(self) -> None:
        """Begin, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop soon."""
        self._stopping.set()

    def join(self, timeout_s: float | None = None) -> None:
        """Wait for the end."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        there_again = self._clock.now_ns(), self._clock.wall_ns()
        found, noted = self._found()
        for path in noted:
            if self._stopping.is_set():
                return
            try:
                self._go_on(path)
            except (OSError, ValueError) as error:
                _LOG.warning("recording %s was left behind and cannot be finished: %s", path.name, error)
        if found:
            _LOG.info("%d recordings were left behind by a process that died", len(found))
        if not found or self._stopping.wait(self._wait_s):
            return
        for path in found:
            if self._stopping.is_set():
                return
            try:
                document = finish(path, *there_again)
                if document is not None:
                    self.finished += 1
                    self._hand_over(path, document)
            except (OSError, ValueError) as error:
                _LOG.warning("recording %s was left behind and cannot be finished: %s", path.stem, error)

    def _go_on(self, path: Path) -> None:
        """Hand over a recording that was closed, but not finished, by the note at `path`."""
        note = Note.take(path) if self._finisher is not None else None
        if note is None:
            return
        sidecar = path.with_name(f"{path.name[1:].removesuffix(SUFFIX)}.json")
        try:
            document = read_finished(sidecar)
            if document is None:  # it was closed only just, which `finish` will see to
                note.let_go()
            elif note.to_finish.recording_id not in ("", document.recording_id) or document.files:
                note.drop()
            else:
                _LOG.warning("recording %s was not finished by a process that died, and is now", sidecar.stem)
                self._hand_over(sidecar, document, note)
        except FileNotFoundError:  # it was removed, or delivered and not to be kept
            note.drop()
        except BaseException:
            note.let_go()
            raise

    def _hand_over(self, path: Path, document: Sidecar, note: Note | None = None) -> None:
        if self._finisher is None or document.file is None:
            return
        audio = path.with_name(document.file)
        note = note or Note.take(note_of(audio))
        wish = note.to_finish.wish if note else Wish()
        about = document.door, document.started_wall_ns, document.sample_rate_hz, document.identity
        call = CallInfo(-1, document.call_id, *about)
        length_ns = document.length_samples * NS_PER_SECOND // document.sample_rate_hz
        wishes: dict[str, Any] = {"trim_silence": wish.trim_silence, "format": wish.format}
        recording = finished_recording(call, audio, document, document.ended_wall_ns or 0, **wishes)
        if not recording.ended_wall_ns:
            recording = dataclasses.replace(recording, ended_wall_ns=recording.started_wall_ns + length_ns)
        single = document.take.track if document.take and document.take.channels == "single" else wish.single
        omit = note.to_finish.omit if note else ()
        if document.omitted or document.channels == 1:  # that is done
            gone = tuple((span.start_samples, span.length_samples) for span in document.omitted)
            recording, omit, single = dataclasses.replace(recording, omitted=gone), (), None
        self._finisher.put(Closed(recording, document, omit, single, note=note, is_again=True))

    def _found(self) -> tuple[list[Path], list[Path]]:
        """Return the sidecars of recordings that nobody writes, and the notes of recordings that were closed."""
        found: list[Path] = []
        noted: list[Path] = []
        try:
            with os.scandir(self._directory) as entries:
                for entry in entries:
                    if self._stopping.is_set():
                        break
                    if remove_left_over(Path(entry.path)):
                        continue
                    if entry.name.endswith(".json") and is_left_behind(Path(entry.path)):
                        found.append(Path(entry.path))
                    elif entry.name.startswith(".") and entry.name.endswith(SUFFIX):
                        noted.append(Path(entry.path))
        except OSError as error:
            _LOG.debug("%s cannot be looked through: %s", self._directory, error)
        return found, noted


def is_left_behind(path: Path) -> bool:
    """Whether the sidecar at `path` says that its audio is being recorded, or nothing any more, and nobody does."""
    try:
        document = read_unfinished(path)
        if document is not None and document.file is not None:
            wav = WavFile.reopen(path.with_name(document.file), described_format(document))
        elif document is None and is_damaged(path):
            wav = WavFile.reopen(path.with_suffix(".wav"))
        else:
            return False
    except (OSError, ValueError):
        return False
    if wav is not None:
        wav.let_go()
    return wav is not None


def finish(path: Path, now_ns: int = 0, wall_ns: int = 0) -> Sidecar | None:
    """Bring the file of the sidecar at `path` to its end, and return what it says then; None: somebody else has it.

    Args:
        path: of the sidecar.
        now_ns, wall_ns: when a recorder was there again, by both clocks: until then nobody listened.

    Raises:
        OSError: the disk does not let us.
        ValueError: the audio is no file of ours.
    """
    document = read_unfinished(path)
    audio = path.with_name(document.file) if document and document.file else path.with_suffix(".wav")
    wav = lock_left_behind(audio, path, document)
    if wav is None:
        return None
    try:
        described = _ended(document, wav, now_ns, wall_ns) if document else describe_anew(path, wav)
        wav.flush_header()
        replace(path, described)
    finally:
        wav.close()
    _LOG.warning("recording %s was left behind and is finished", path.stem)
    return described


def _ended(document: Sidecar, wav: WavFile, now_ns: int, wall_ns: int) -> Sidecar:
    """Return the document of a recording that nobody goes on with: what a dead process wrote, and for how long
    nobody listened then."""
    length, rate_hz = wav.length_samples, wav.sample_rate_hz
    again = elapsed_ns(document, now_ns, wall_ns) * rate_hz // NS_PER_SECOND
    restarts = document.restarts
    if again > length and document.take is None:
        restarts = list(with_gap(restarts, length, again))
    return msgspec.structs.replace(
        document,
        state="failed",
        error=ERROR,
        format=wav.encoding.label,
        length_samples=length,
        tracks=_tracks(length, restarts) if length and document.take is None else [],
        restarts=restarts,
        clock=None,
    )


def _tracks(length: int, restarts: list[Restart]) -> list[Track]:
    """Return both tracks, as far as they are known: their ledgers."""
    ledger = history(length, restarts)
    totals = dict.fromkeys((kind.value for kind in Kind), 0) | {UNACCOUNTED: 0}
    for _, count, kind in ledger:
        totals[kind] += count
    reports = [TrackReport(direction, None, 0, length, {}, ledger, totals, []) for direction in Direction]
    return [Track.of(report) for report in reports]
