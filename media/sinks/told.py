"""What dead processes told of a call while they recorded it: the account beside a recording; `media.sinks.accounts`.

Read by who goes on with the recording, or finishes it. What is not told is `unaccounted`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from media.account import EventCame, SpansChanged, TrackBegan
from media.pauses.ledger import with_pauses
from media.pauses.spans import Pause
from media.sinks.contract import TrackReport
from strep.header import Direction
from strep.ledger import MAX_SPANS, Kind

UNACCOUNTED = "unaccounted"
"""The kind of span that a dead process wrote: in the file, but what its ledger said of it died with it."""
SUFFIX, HEADS = ".account", ".heads"
BOOT_BYTES, ROW = 40, np.dtype([("token", "<i8"), ("heads", "<i8", 2)])
"""A file of heads: which start of the machine it is of, padded; a row for each call, zero where there is none."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MOST_BYTES = 256 << 20
Segment = tuple[int, int, str]
"""Start, end (exclusive) and kind, "received" included."""


class ProcessBegan(msgspec.Struct, frozen=True, array_like=True, tag="process"):
    """What follows is of another process: its position 0 in the file, and where its heads are."""

    offset_samples: int
    heads_file: str
    row: int
    token: int


class KnownUntil(msgspec.Struct, frozen=True, array_like=True, tag="known"):
    """How far both channels had come when the process before left off."""

    heads: tuple[int, int]


class Paused(msgspec.Struct, frozen=True, array_like=True, tag="paused"):
    """All pauses up to now: start, where the channels had come, and end."""

    pauses: list[tuple[int, tuple[int, int], int]]


Line = ProcessBegan | KnownUntil | Paused | TrackBegan | SpansChanged | EventCame
_DECODER = msgspec.json.Decoder(Line)


@dataclass(slots=True)
class _Track:
    began: TrackBegan
    spans: list[tuple[int, int, str]] = field(default_factory=list)

    def change(self, spans: Sequence[tuple[int, int, str]]) -> None:
        """Put spans in place of those from where they begin.

        Raises:
            ValueError: they are not in order.
        """
        ends = (start + length for start, length, _ in spans)
        if any(length <= 0 for _, length, _ in spans) or any(b[0] < a for a, b in zip(ends, spans[1:], strict=False)):
            raise ValueError("spans in no order")
        while spans and self.spans and self.spans[-1][0] >= spans[0][0]:
            self.spans.pop()
        self.spans += spans


@dataclass(slots=True)
class _Process:
    began: ProcessBegan
    heads: tuple[int, int] = (0, 0)
    tracks: dict[int, _Track] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    pauses: list[Pause] = field(default_factory=list)

    def take(self, line: Line) -> None:
        """Take what follows on `ProcessBegan`.

        Raises:
            KeyError, ValueError: it is of a track that there is not, or cannot be.
        """
        if isinstance(line, TrackBegan):
            if line.channel not in (0, 1):
                raise ValueError("no channel")
            self.tracks[line.number] = _Track(line)
        elif isinstance(line, SpansChanged):
            self.tracks[line.number].change(line.spans)
        elif isinstance(line, EventCame):
            self.events.append(line.event)
        elif isinstance(line, KnownUntil):
            self.heads = line.heads
        elif isinstance(line, Paused):
            self.pauses = [Pause(start, starts, "silence", 0, end) for start, starts, end in line.pauses]

    def segments(self, track: _Track, length_samples: int) -> Iterator[Segment]:
        """Yield what is known of a track, in samples of the file."""
        began, offset = track.began, self.began.offset_samples
        start = max(began.start_samples, -offset)
        end = min(self.heads[began.channel], length_samples - offset)
        spans = [(first, min(count, end - first), kind) for first, count, kind in track.spans if first < end]
        spans = [span for span in spans if span[1] > 0]
        report = TrackReport(Direction(began.channel), None, start, max(end - start, 0), {}, spans, {}, [])
        position = start
        for first, count, kind in [*with_pauses(report, self.pauses).ledger, (max(end, start), 0, "")]:
            if position < first:
                yield position + offset, first + offset, Kind.RECEIVED.value
            if first + count > max(position, first):
                yield max(position, first) + offset, first + count + offset, kind
            position = max(position, first + count)


class Told:
    """The account of a recording.

    Attributes:
        size_bytes: of the lines that are whole.
        known: how far the channels had come in the last process, as far as is known.
    """

    def __init__(self, processes: list[_Process], size_bytes: int) -> None:
        self._processes, self.size_bytes = processes, size_bytes

    @property
    def known(self) -> tuple[int, int]:
        """On the timeline of the last process."""
        return self._processes[-1].heads

    def channels(self) -> set[int]:
        """Return those of which there was a track."""
        return {track.began.channel for process in self._processes for track in process.tracks.values()}

    def start(self, channel: int) -> int:
        """Return where in the file the first track of a channel begins."""
        first = self._processes[0]
        if first.began.offset_samples:
            return 0
        starts = [track.began.start_samples for track in first.tracks.values() if track.began.channel == channel]
        return max(min(starts, default=0), 0)

    def is_truncated(self, channel: int) -> bool:
        """Whether a ledger had more spans than are kept."""
        tracks = (track for process in self._processes for track in process.tracks.values())
        return any(track.began.channel == channel and len(track.spans) >= MAX_SPANS for track in tracks)

    def segments(self, channel: int, length_samples: int) -> list[Segment]:
        """Return what a file of so many samples has in a channel, without a hole; in part `UNACCOUNTED`."""
        segments: list[Segment] = [(0, length_samples, UNACCOUNTED)]
        for process in self._processes:
            for track in process.tracks.values():
                if track.began.channel == channel:
                    segments = _painted(segments, list(process.segments(track, length_samples)))
        return segments

    def events(self) -> list[dict[str, Any]]:
        """Return events of the carrier, with their places in the file."""
        return [_moved(event, one.began.offset_samples) for one in self._processes for event in one.events]


def read_told(sidecar: Path) -> Told | None:
    """Return the account of the recording whose sidecar is at `sidecar`; None if there is none that says anything."""
    processes: list[_Process] = []
    size = 0
    try:
        path = account_of(sidecar)
        if path.stat().st_size > _MOST_BYTES:
            return None
        for line in path.read_bytes().splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break
            told = _DECODER.decode(line)
            if isinstance(told, ProcessBegan):
                processes.append(_Process(told))
            else:
                processes[-1].take(told)
            size += len(line)
    except OSError:
        return None
    except (ValueError, KeyError, IndexError, RecursionError):  # the machine lost its power, or it is not ours
        pass
    if not processes:
        return None
    last = processes[-1]
    if last.heads == (0, 0):
        last.heads = _heads(sidecar.parent, last.began)
    return Told(processes, size)


def _heads(directory: Path, began: ProcessBegan) -> tuple[int, int]:
    """Return how far both channels had come when the process died; if the machine was started since nobody knows."""
    with suppress(OSError, ValueError):
        if os.path.basename(began.heads_file) != began.heads_file or began.row < 0:
            return 0, 0
        with (directory / began.heads_file).open("rb") as file:
            boot = file.read(BOOT_BYTES)
            file.seek(BOOT_BYTES + began.row * ROW.itemsize)
            rows = np.frombuffer(file.read(ROW.itemsize), ROW)
        if boot == boot_bytes() and len(rows) and int(rows[0]["token"]) == began.token:
            inbound, outbound = rows[0]["heads"].tolist()
            return inbound, outbound
    return 0, 0


def _painted(below: Sequence[Segment], above: Sequence[Segment]) -> list[Segment]:
    """Return segments with others, which adjoin, in place of what was there."""
    if not above:
        return list(below)
    start, end = above[0][0], above[-1][1]
    before = [(first, min(last, start), kind) for first, last, kind in below if first < start]
    after = [(max(first, end), last, kind) for first, last, kind in below if last > end]
    return [*before, *above, *after]


def _moved(event: dict[str, Any], offset_samples: int) -> dict[str, Any]:
    position = event.get("position_samples")
    return event | {"position_samples": position + offset_samples} if isinstance(position, int) else event


def account_of(sidecar: Path) -> Path:
    """Return where the account of a recording lies."""
    return sidecar.with_name(f".{sidecar.stem}{SUFFIX}")


def boot_bytes() -> bytes:
    """Return what tells one start of the machine from another in a file of heads."""
    return boot_id().encode("ascii")[:BOOT_BYTES].ljust(BOOT_BYTES)


@cache
def boot_id() -> str:
    """Return what tells one start of the machine from another; empty where there is no such thing."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
