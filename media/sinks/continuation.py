"""Going on with a recording that a dead process left behind.

What is needed is on the disk: the audio, whose length the file's size tells (the header may be behind by
seconds), and the sidecar in state "recording", which says when position 0 was. Live and dead are told apart by the
lock on the file, never by its age. The new process has a timeline of its own, whose position 0 is the first
packet it received; all of it is moved to where that moment lies in the file, and what is missing is a `restart`.
Of a WebSocket that is silent at first, the moment is that of its start frame: its first media is not there yet.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from media.sealing.keys import Recipients
from media.sinks import sidecar
from media.sinks.audio_files import AudioFile, is_sealed, reopen
from media.sinks.contract import CallInfo, CallReport, TrackReport
from media.sinks.sidecar import Restart, Sidecar, read_finished, read_unfinished
from media.sinks.told import UNACCOUNTED, Segment, Told, boot_id, read_told
from media.sinks.wav import Encoding
from strep.clock import NS_PER_MS, NS_PER_SECOND, Clock
from strep.ledger import Kind

_LOG = logging.getLogger(__name__)

LONGEST_GAP_S = 300
"""A call that was silent for longer is another one of the same name."""
CLOCK_SLACK_S = 60
"""How far the file may be ahead of the clock: the sender's may be faster, but not another clock."""
_LOCK_TRIES, _LOCK_PAUSE_S = range(100), 2 * NS_PER_MS / NS_PER_SECOND
"""A process that is killed gives back its memory before its files; nobody else locks one but to go on with it."""
_HAND_OVER_TRIES = 5000
"""The process that hands calls over has their audio in a queue; ours has 30 s of room meanwhile, for all together."""
_TOGETHER_NS = 60 * NS_PER_SECOND


@dataclass(frozen=True, slots=True)
class Continuation:
    """A recording taken over.

    Attributes:
        wav: the file, locked; None: the recording failed before it was handed over, and stays as it is.
        path: of the sidecar.
        offset_samples: where in the file the new process' position 0 lies.
        before: what the sidecar said.
        restarts: all of them, the one that makes this a continuation included; a hand-over is none.
        told: what the processes before told of the call; None: nothing.
    """

    wav: AudioFile | None
    path: Path
    offset_samples: int
    before: Sidecar
    restarts: tuple[Restart, ...]
    told: Told | None = None

    def joined(self, report: CallReport) -> CallReport:
        """Return the report of the new process as that of the whole call."""
        if not self.restarts:  # every process before handed all of it over
            return replace(report, started_wall_ns=self.before.started_wall_ns)
        seen: set[int] = set()
        tracks = []
        for track in report.tracks:
            moved = replace(
                track,
                start_samples=track.start_samples + self.offset_samples,
                ledger=[(start + self.offset_samples, length, kind) for start, length, kind in track.ledger],
            )
            history = _with_history(moved, self.restarts, self.told)
            tracks.append(moved if track.direction in seen else history)
            seen.add(track.direction)
        return replace(
            report,
            started_wall_ns=self.before.started_wall_ns,
            length_samples=report.length_samples + self.offset_samples,
            tracks=tracks,
            events=[*(self.told.events() if self.told else ()), *(self._moved(event) for event in report.events)],
            note="" if self.restarts[0].start_samples else report.note,
        )

    def _moved(self, event: dict[str, Any]) -> dict[str, Any]:
        position = event.get("position_samples")
        return event if position is None else event | {"position_samples": position + self.offset_samples}


def history(
    length_samples: int, restarts: Sequence[Restart], told: Sequence[Segment] = ()
) -> list[tuple[int, int, str]]:
    """Return the ledger of what dead processes wrote: so much of the file, but for the restarts that lie in it.

    Args:
        length_samples: of the file.
        restarts: in it.
        told: what they told of one channel of it.
    """
    spans, position = [], 0
    for gap in restarts:
        spans.append((position, min(gap.start_samples, length_samples) - position, UNACCOUNTED))
        position = min(gap.start_samples + gap.length_samples, length_samples)
        spans.append((gap.start_samples, position - gap.start_samples, Kind.RESTART.value))
    spans.append((position, length_samples - position, UNACCOUNTED))
    return list(_refined(spans, told))


def _refined(spans: Iterable[tuple[int, int, str]], told: Sequence[Segment]) -> Iterator[tuple[int, int, str]]:
    """Yield spans, start and length, with what was told of the `UNACCOUNTED` ones; of "received" ones as well."""
    for start, length, kind in spans:
        if kind != UNACCOUNTED or not told:
            if length > 0:
                yield start, length, kind
            continue
        for first, last, what in told:
            if (begin := max(first, start)) < (end := min(last, start + length)):
                yield begin, end - begin, what


def _with_history(track: TrackReport, restarts: Sequence[Restart], told: Told | None) -> TrackReport:
    """Return the track with what lies before it: what was told, what else was written, and when nobody wrote."""
    spans, position = [], 0
    for number, gap in enumerate(restarts, 1):
        is_last = number == len(restarts)
        end = track.start_samples if is_last else gap.start_samples + gap.length_samples
        spans.append((position, gap.start_samples - position, UNACCOUNTED))
        spans.append((gap.start_samples, end - gap.start_samples, Kind.RESTART.value))
        position = end
    spans = list(_refined(spans, told.segments(int(track.direction), track.start_samples) if told else ()))
    totals = dict(track.totals)
    for _, length, kind in spans:
        totals[kind] = totals.get(kind, 0) + length
    spans = [span for span in spans if span[2] != Kind.RECEIVED.value]
    return replace(
        track,
        start_samples=0,
        length_samples=track.start_samples + track.length_samples,
        ledger=spans + track.ledger,
        totals=totals,
    )


class Patience:
    """How often a recorder looks whether those that hand over have let go: so often for all calls that come together.

    One that does not let go must not hold up all that are recorded here, once for each of its calls.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tries: Iterator[int] = iter(())
        self._until_ns: int | None = None

    def left(self) -> Iterator[int]:
        """Return what is left of them."""
        now_ns = self._clock.now_ns()
        if self._until_ns is None or now_ns >= self._until_ns:
            self._tries = iter(range(_HAND_OVER_TRIES))
        self._until_ns = now_ns + _TOGETHER_NS
        return self._tries


def take_over(
    call: CallInfo,
    directory: Path,
    encoding: Encoding,
    clock: Clock,
    recipients: Recipients = (),
    patience: Patience | None = None,
) -> Continuation | None:
    """Return the unfinished recording of `call` that nobody writes any more, or None: there hardly ever is one.

    Args:
        call: who begins.
        directory: of the recordings.
        encoding: what would be written into a new file; a G.711 law stands for either.
        clock: to find the place of the call's beginning in the file.
        recipients: for whom it would be sealed; a recording in clear does not go on sealed, nor the other way round.
        patience: of the recorder, with processes that hand over.
    """
    tries = (patience or Patience(clock)).left() if call.goes_on else _LOCK_TRIES
    stem, number = os.path.join(directory, call.call_id), 1
    while os.path.exists(name := f"{stem}.json" if number == 1 else f"{stem}.{number}.json"):
        path, number = Path(name), number + 1
        try:
            taken = _take_over(call, path, encoding, clock, recipients, tries)
        except Exception as error:  # of the disk, or a mistake of ours: the call gets a recording of its own
            _LOG.warning("recording %s was left behind and cannot be continued: %s", path.stem, error)
            continue
        if taken and call.goes_on:
            return taken
        if taken:
            gap_ms = taken.restarts[-1].length_samples * 1000 // call.sample_rate_hz
            _LOG.warning("recording %s goes on after a gap of %d ms", path.stem, gap_ms)
            return taken
    return None


def _take_over(
    call: CallInfo, path: Path, encoding: Encoding, clock: Clock, recipients: Recipients, tries: Iterable[int]
) -> Continuation | None:
    before = read_unfinished(path)
    if before is None:
        return _given_up(call, path)
    if before.file is None or (before.call_id, before.door) != (call.call_id, call.door):
        return None
    if before.take is not None:  # whoever started it has to start it again
        return None
    if is_sealed(Path(before.file)) != bool(recipients):
        return None
    audio, is_left = path.with_name(before.file), lambda: read_unfinished(path) is not None
    wav = lock_left_behind(audio, is_left, described_format(before), tries, recipients)
    if wav is None:
        return _given_up(call, path)
    if call.goes_on:
        before = read_unfinished(path) or before  # what it says now that nobody writes it
        if before.handed_over_samples is not None:
            about = before.handed_over_samples, before, tuple(before.restarts)
            return Continuation(wav, path, *about, read_told(path))
    rate = call.sample_rate_hz
    offset = max(place := round(_elapsed_ns(before, call, clock) * rate / NS_PER_SECOND), wav.length_samples)
    same_format = (wav.encoding is Encoding.PCM16) == (encoding is Encoding.PCM16) and wav.sample_rate_hz == rate
    gap = offset - wav.length_samples
    if not same_format or gap > LONGEST_GAP_S * rate or offset - place > CLOCK_SLACK_S * rate:
        wav.let_go()
        return None
    gaps = with_gap(before.restarts, wav.length_samples, offset)
    return Continuation(wav, path, offset, before, gaps, read_told(path))


def _given_up(call: CallInfo, path: Path) -> Continuation | None:
    """Return the recording at `path` if it failed while `call` went on, which it does here."""
    try:
        before = read_finished(path) if call.goes_on else None
    except (OSError, ValueError):
        return None
    if before is None or before.handed_over_samples is None or before.take is not None:
        return None
    if (before.state, before.call_id, before.door) != ("failed", call.call_id, call.door):
        return None
    return Continuation(None, path, before.handed_over_samples, before, tuple(before.restarts))


def with_gap(restarts: Sequence[Restart], length_samples: int, until_samples: int) -> tuple[Restart, ...]:
    """Return the restarts of a file that ends at `length_samples` and goes on at `until_samples`.

    A process that died before it had written anything behind its own gap leaves one that is not over: they are one.
    """
    over = [gap for gap in restarts if gap.start_samples + gap.length_samples <= length_samples]
    start = min([gap.start_samples for gap in restarts if gap not in over] + [length_samples])
    return (*over, Restart(start, until_samples - start))


def lock_left_behind(
    audio: Path,
    is_left: Callable[[], bool],
    described: tuple[Encoding, int] | None = None,
    tries: Iterable[int] = _LOCK_TRIES,
    recipients: Recipients = (),
) -> AudioFile | None:
    """Return the file, locked, if nobody writes it, and it is still left behind then.

    Args:
        audio: the file.
        is_left: whether it is.
        described: see `WavFile.reopen`.
        tries: one for each time to look again, 2 ms later; what is taken of an iterator is gone for the next file.
        recipients: for whom a sealed one goes on.

    Raises:
        ValueError: it is no file of ours, or sealed, and nobody said for whom to go on.
        OSError: it cannot be opened.
    """
    if is_sealed(audio) and not recipients:
        raise ValueError("it is sealed; its end can be sealed with --encrypt-to only")
    wav = reopen(audio, recipients, described)
    again = iter(tries)
    while wav is None and next(again, None) is not None:  # who dies gives back its memory before its files
        threading.Event().wait(_LOCK_PAUSE_S)
        wav = reopen(audio, recipients, described)
    if wav is not None and not is_left():  # it was finished before we had the lock
        wav.let_go()
        return None
    return wav


def described_format(document: Sidecar) -> tuple[Encoding, int] | None:
    """Return encoding and sample rate of the file that `document` describes."""
    encodings = [encoding for encoding in Encoding if encoding.label == document.format]
    return (encodings[0], document.sample_rate_hz) if encodings else None


def beginning(call: CallInfo, clock: Clock) -> sidecar.Clock:
    """Return when position 0 of `call` was, as far as that is known, for whoever may have to go on with it."""
    return sidecar.Clock(boot_id(), clock.now_ns() - (clock.wall_ns() - call.position_0_wall_ns))


def _elapsed_ns(before: Sidecar, call: CallInfo, clock: Clock) -> int:
    """Return how long after position 0 `call` begins."""
    return elapsed_ns(before, beginning(call, clock).started_monotonic_ns, call.position_0_wall_ns)


def elapsed_ns(before: Sidecar, monotonic_ns: int, wall_ns: int) -> int:
    """Return how long after position 0 a moment is; by wall time if the machine was started in between."""
    if before.clock is not None and before.clock.boot_id and before.clock.boot_id == boot_id():
        return monotonic_ns - before.clock.started_monotonic_ns
    return wall_ns - before.started_wall_ns
