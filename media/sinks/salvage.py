"""`Salvage`: recordings that a dead process left behind and nobody goes on with are finished.

They are looked for when the server starts, by their sidecars, and finished when their calls had time to be heard of
again (`media.sinks.continuation`): those that nobody has touched since, and nobody has locked. Not before then is
anything locked here: who only looks must not be in the way of who goes on with a recording. That takes a thread of
its own: a directory may be large. Those that are closed, but have a note of what is still to be done
(`media.sinks.notes`), are handed over at once.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import threading
from pathlib import Path
from typing import Any

import msgspec

from media.sealing.keys import Recipients
from media.sinks.accounts import remove_left_over as remove_left_over_accounts
from media.sinks.audio_files import SEALED_WAV, AudioFile, close, sidecar_of
from media.sinks.continuation import described_format, elapsed_ns, history, lock_left_behind, with_gap
from media.sinks.contract import CallInfo, TrackReport
from media.sinks.damage import AUDIO_LOST, describe_anew, is_damaged, read_short
from media.sinks.finisher import Closed, Finisher, finished_recording
from media.sinks.naming import remove_left_over
from media.sinks.notes import SUFFIX, Note, Wish, note_of
from media.sinks.sidecar import Restart, Sidecar, Track, read_finished, read_unfinished, replace
from media.sinks.told import HEADS, UNACCOUNTED, Told, read_told
from media.sinks.told import SUFFIX as ACCOUNT
from media.sinks.wav import Encoding
from strep.clock import NS_PER_SECOND, Clock, SystemClock
from strep.header import Direction
from strep.ledger import Kind

_LOG = logging.getLogger(__name__)

ERROR = "the recorder died, and the call was not heard of again"
_RECENTLY_NS = 60 * NS_PER_SECOND
"""So long before the last sidecar was written, what was written may not have been on the disk yet."""
_AUDIO = (".wav", f".{SEALED_WAV}")
_SMALL_BYTES = 4096
"""What has only begun is smaller: a header, or the keys of a sealed file."""


class Salvage:
    """Looks through a directory at once, and finishes what it found later; `stop` leaves it to the next start.

    Attributes:
        finished: recordings finished.
    """

    def __init__(
        self,
        directory: Path,
        wait_s: float,
        finisher: Finisher | None = None,
        clock: Clock | None = None,
        recipients: Recipients = (),
    ) -> None:
        """Prepare.

        Args:
            directory: of the recordings.
            wait_s: how long after the start a call may still go on.
            finisher: what gets those that are finished, as it gets others that are closed.
            clock: to say for how long nobody listened.
            recipients: for whom the ends of sealed ones are sealed.
        """
        self._clock = clock or SystemClock()
        self.finished = 0
        self._told: list[str] = []  # names of accounts that were there
        self._finisher, self._recipients = finisher, recipients
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
        self._finish_all(found, noted, there_again)
        if not self._stopping.is_set():
            remove_left_over_accounts(self._directory, self._told)

    def _finish_all(self, found: dict[Path, _Seen], noted: list[Path], there_again: tuple[int, int]) -> None:
        for path in noted:
            if self._stopping.is_set():
                return
            try:
                self._go_on(path)
            except (OSError, ValueError) as error:
                _LOG.warning("recording %s was left behind and cannot be finished: %s", path.name, error)
        if not found or self._stopping.wait(self._wait_s):
            return
        for path, seen in found.items():
            if self._stopping.is_set():
                return
            try:
                if _seen(path) != seen:  # somebody goes on with it, or has gone on and died: it is the next start's
                    continue
                document = finish(path, *there_again, self._recipients)
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
        call = CallInfo(-1, document.call_id, *about, dialect=document.dialect or "")
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

    def _found(self) -> tuple[dict[Path, _Seen], list[Path]]:
        """Return the sidecars of recordings that are not over, with what is there, and the notes of closed ones."""
        sidecars: list[tuple[int, Path]] = []
        noted: list[Path] = []
        small: list[Path] = []
        try:
            with os.scandir(self._directory) as entries:
                for entry in entries:
                    if self._stopping.is_set():
                        break
                    if remove_left_over(Path(entry.path)):
                        continue
                    if entry.name.endswith(".json"):
                        sidecars.append((entry.stat().st_mtime_ns, Path(entry.path)))
                    elif entry.name.startswith(".") and entry.name.endswith(SUFFIX):
                        noted.append(Path(entry.path))
                    elif entry.name.startswith(".") and entry.name.endswith((ACCOUNT, HEADS)):
                        self._told.append(entry.name)
                    elif entry.name.endswith(_AUDIO) and entry.stat().st_size < _SMALL_BYTES:
                        small.append(sidecar_of(Path(entry.path)))
        except OSError as error:
            _LOG.debug("%s cannot be looked through: %s", self._directory, error)
        recently_ns = max((wall_ns for wall_ns, _ in sidecars), default=0) - _RECENTLY_NS
        found = [path for wall_ns, path in sidecars if _is_open(path, is_recent=wall_ns >= recently_ns)]
        described = {path for _, path in sidecars}
        found += [path for path in small if path not in described]
        seen = {path: _seen(path) for path in found}
        return {path: what for path, what in seen.items() if any(what[1:])}, noted


_Seen = tuple[tuple[int, int, int] | None, ...]


def _seen(path: Path) -> _Seen:
    """Return what changes when somebody writes to the sidecar at `path` or to its audio; None where there is none."""
    seen: list[tuple[int, int, int] | None] = []
    for one in (path, *(path.with_suffix(ending) for ending in _AUDIO)):
        try:
            stat = one.stat()
            seen.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
        except OSError:
            seen.append(None)
    return tuple(seen)


def _is_open(path: Path, *, is_recent: bool) -> bool:
    """Whether the recording whose sidecar is at `path` is not over, or maybe not all there."""
    try:
        return _left_behind(path, is_recent=is_recent) is not None
    except OSError:
        return False


_Left = tuple[Sidecar | None, Path, tuple[Encoding, int] | None]


def _left_behind(path: Path, *, is_recent: bool = True) -> _Left | None:
    """Return document, audio and how that is encoded, unless the sidecar at `path` is of a recording that is over.

    Args:
        path: of the sidecar; where there is none the audio has only begun, or is not ours.
        is_recent: look also whether the end of one that is over came to the disk.
    """
    document = read_unfinished(path) or (read_short(path) if is_recent else None)
    if document is not None and document.file is not None:
        return document, path.with_name(document.file), described_format(document)
    if document is not None or (path.exists() and not is_damaged(path)):
        return None
    sealed = path.with_suffix(f".{SEALED_WAV}")
    return None, sealed if sealed.exists() else path.with_suffix(".wav"), None


def finish(path: Path, now_ns: int = 0, wall_ns: int = 0, recipients: Recipients = ()) -> Sidecar | None:
    """Bring the file of the sidecar at `path` to its end, and return what it says then; None: somebody else has it.

    Args:
        path: of the sidecar.
        now_ns, wall_ns: when a recorder was there again, by both clocks: until then nobody listened.
        recipients: for whom the end of a sealed one is sealed.

    Raises:
        OSError: the disk does not let us.
        ValueError: the audio is no file of ours.
    """
    found = _left_behind(path)
    if found is None:
        return None
    document, audio, described = found
    wav = lock_left_behind(audio, lambda: _left_behind(path) is not None, described, (), recipients)
    if wav is None:
        return None
    if wav.length_samples and not path.exists():  # somebody threw its sidecar away
        wav.let_go()
        return None
    try:
        ended = _ended(document, wav, now_ns, wall_ns, read_told(path)) if document else describe_anew(path, wav)
        wav.flush_header()
        replace(path, ended)
    finally:
        close(wav, is_whole=False)
    _LOG.warning("recording %s was left behind and is finished", path.stem)
    return ended


def _ended(document: Sidecar, wav: AudioFile, now_ns: int, wall_ns: int, told: Told | None) -> Sidecar:
    """Return the document of a recording that nobody goes on with: what a dead process wrote, and told, and for how
    long nobody listened then."""
    length, rate_hz = wav.length_samples, wav.sample_rate_hz
    if document.state != "recording":  # its end is known, and not on the disk
        short = {"state": "failed", "error": document.error or AUDIO_LOST, "length_samples": length, "tracks": []}
        return msgspec.structs.replace(document, **short)
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
        tracks=_tracks(length, restarts, told) if length and document.take is None else [],
        events=told.events() if told and document.take is None else document.events,
        restarts=restarts,
        clock=None,
        handed_over_samples=None,
    )


def _tracks(length: int, restarts: list[Restart], told: Told | None) -> list[Track]:
    """Return the tracks, as far as they are known: their ledgers; both, if nobody told of any."""
    channels = (told.channels() if told else None) or set(Direction)
    return [_track(direction, length, restarts, told) for direction in Direction if direction in channels]


def _track(direction: Direction, length: int, restarts: list[Restart], told: Told | None) -> Track:
    start = min(told.start(direction), length) if told else 0
    spans = [
        (max(first, start), first + count - max(first, start), kind)
        for first, count, kind in history(length, restarts, told.segments(direction, length) if told else ())
        if first + count > start
    ]
    totals = dict.fromkeys((kind.value for kind in Kind), 0) | {UNACCOUNTED: 0}
    for _, count, kind in spans:
        totals[kind] = totals.get(kind, 0) + count
    ledger = [span for span in spans if span[2] != Kind.RECEIVED.value]
    is_truncated = told is not None and told.is_truncated(direction)
    report = TrackReport(
        direction, None, start, length - start, {}, ledger, totals, [], ledger_truncated=is_truncated
    )
    return Track.of(report)
