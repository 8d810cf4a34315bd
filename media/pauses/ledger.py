"""What pauses make of a track's gap ledger: the same length, some of it `paused` instead of what came then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from media.pauses.spans import Pause
from media.sinks.contract import TrackReport
from strep.ledger import Kind

PAUSED, RECEIVED = Kind.PAUSED.value, Kind.RECEIVED.value
_AUDIO = (RECEIVED, Kind.LATE_PATCHED.value)

_Span = tuple[int, int, str]
"""Start, end (exclusive) and kind."""


def with_pauses(track: TrackReport, pauses: Sequence[Pause]) -> TrackReport:
    """Return the report of a track with what was masked of it as `paused`.

    Within a pause that is all there is. Before it, from `Pause.starts` on, it is what arrived after the command; what
    is silence or lost there stays so. If the ledger is truncated, what it does not list counts as received here; the
    totals still add up.
    """
    if not pauses:
        return track
    end = track.start_samples + track.length_samples
    totals, ledger = dict(track.totals), []
    for start, stop, kind, was in _merged(_marked(_whole(track, end), list(_zones(pauses, track.direction, end)))):
        if kind != RECEIVED:
            ledger.append((start, stop - start, kind))
        for before, samples in was:
            _move(totals, before, samples)
    return replace(track, ledger=ledger, totals=totals)


def _zones(pauses: Iterable[Pause], channel: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """Yield (start, end, whether all of it is paused), in order and without overlap."""
    behind = -(1 << 62)
    for pause in pauses:
        start, stop = max(pause.starts[channel], behind), min(pause.end_samples, end)
        middle = max(min(pause.start_samples, stop), start)
        if start < middle:
            yield start, middle, False
        if middle < stop:
            yield middle, stop, True
        behind = max(stop, behind)


def _whole(track: TrackReport, end: int) -> Iterator[_Span]:
    """Yield the ledger with what was received between its spans."""
    position = track.start_samples
    for start, length, kind in track.ledger:
        if start > position:
            yield position, start, RECEIVED
        yield start, start + length, kind
        position = start + length
    if position < end:
        yield position, end, RECEIVED


def _marked(spans: Iterable[_Span], zones: Sequence[tuple[int, int, bool]]) -> Iterator[tuple[_Span, str]]:
    """Yield pieces of `spans` with their new kinds, and what kind each was."""
    number = 0
    for start, end, kind in spans:
        while start < end:
            while number < len(zones) and zones[number][1] <= start:
                number += 1
            first, last, is_whole = zones[number] if number < len(zones) else (end, end, False)
            stop = min(end, first if start < first else last)
            is_inside = start >= first
            is_paused = is_inside and start < last and (is_whole or kind in _AUDIO)
            yield (start, stop, PAUSED if is_paused else kind), kind
            start = stop


def _merged(pieces: Iterable[tuple[_Span, str]]) -> Iterator[tuple[int, int, str, list[tuple[str, int]]]]:
    """Yield start, end and kind of pieces of one kind as one, and the kinds and lengths that became `paused`."""
    current: tuple[int, int, str] | None = None
    was: list[tuple[str, int]] = []
    for (start, end, kind), before in pieces:
        if current is None or current[2] != kind or current[1] != start:
            if current is not None:
                yield *current, was
            current, was = (start, end, kind), []
        else:
            current = current[0], end, kind
        if kind != before:
            was.append((before, end - start))
    if current is not None:
        yield *current, was


def _move(totals: dict[str, int], kind: str, samples: int) -> None:
    """Count samples as paused instead; of a truncated ledger some that seem received are of another kind."""
    totals[PAUSED] = totals.get(PAUSED, 0) + samples
    for name in (kind, *(name for name in totals if name not in (kind, PAUSED))):
        taken = min(totals.get(name, 0), samples)
        totals[name] = totals.get(name, 0) - taken
        samples -= taken
