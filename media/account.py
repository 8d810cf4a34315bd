"""`Account`: what is to be known of a call while it goes on, on its way from the engine to who writes it down.

Written in the event loop, read by a recording in its thread; `media.sinks.accounts` has the file. A track is told of
before its first block is handed out, and so is whatever its ledger says of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from strep.ledger import Span

MAX_NEWS = 100_000
"""That may wait for a disk; then there is no account of the call."""


class TrackBegan(msgspec.Struct, frozen=True, array_like=True, tag="track"):
    """A track, by its number in the process, with its place on the call's timeline."""

    number: int
    channel: int
    start_samples: int


class SpansChanged(msgspec.Struct, frozen=True, array_like=True, tag="spans"):
    """Spans of a track's ledger, in place of those from where the first one begins."""

    number: int
    spans: list[tuple[int, int, str]]


class EventCame(msgspec.Struct, frozen=True, array_like=True, tag="event"):
    """An event of the carrier."""

    event: dict[str, Any]


News = TrackBegan | SpansChanged | EventCame


@dataclass(slots=True)
class Account:
    """Of one call.

    Attributes:
        is_kept: somebody writes it down; nobody else begins to. Set by that one.
        is_broken: more came than could be written.
        tracks: how many were told of.
        news: in order; who writes takes them out.
        parked: tracks of which nothing is told as long as nobody writes it down: by slot, what looks at it again.
    """

    is_kept: bool = False
    is_broken: bool = False
    parked: dict[int, Callable[[int], object]] = field(default_factory=dict)
    tracks: int = 0
    news: deque[News] = field(default_factory=deque)

    def park(self, slot: int, look_again: Callable[[int], object]) -> None:
        """Let `look_again` be called with `slot` once somebody writes it down; maybe from another thread."""
        self.parked[slot] = look_again
        if self.is_kept:  # which was said a moment ago
            look_again(slot)

    def keep(self) -> None:
        """Take note that somebody writes it down; from any thread."""
        self.is_kept = True
        for slot, look_again in list(self.parked.items()):
            look_again(slot)

    def begin_track(self, channel: int, start_samples: int) -> int:
        """Tell of a track; return its number."""
        self.tracks += 1
        self.news.append(TrackBegan(self.tracks - 1, int(channel), start_samples))
        return self.tracks - 1

    def tell_spans(self, number: int, spans: Iterable[Span], offset_samples: int) -> None:
        """Tell what a track's ledger says anew; positions are on its tape, `offset_samples` before the call's."""
        told = [(start + offset_samples, length, kind.value) for start, length, kind in spans]
        if len(self.news) >= MAX_NEWS:
            self.is_broken = True
        elif told:
            self.news.append(SpansChanged(number, told))

    def tell_event(self, event: dict[str, Any]) -> None:
        """Tell of an event; their number is bounded where they are kept."""
        self.news.append(EventCame(event))

    def stop(self) -> None:
        """Nobody writes it down any more."""
        self.is_kept = False
        self.news.clear()
