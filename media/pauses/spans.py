"""`Pause`: a span of a call's timeline of which nothing is kept; what it was is known until the call ends.

Pauses of a call are in order and do not overlap. They are written in the event loop and read in any thread: a list
that only grows, of entries whose end is set once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from strep.clock import NEVER_NS

PauseMode = Literal["silence", "omit"]
"""What becomes of the time: files are silent there, or do not have it."""

BEGINNING, FOREVER = -(1 << 62), 1 << 62
"""Positions before the first sample of a call that has none yet, and behind the last one of a call that goes on."""
_TRACKS = ("inbound", "outbound")


@dataclass(slots=True)
class Pause:
    """From `start_samples` to `end_samples` (exclusive) nothing is heard by sinks that are sensitive.

    Nor is anything that arrives after the command, wherever it lies: `starts` says up to where each track had come.

    Attributes:
        start_samples, end_samples: on the call's timeline; `FOREVER` while it goes on.
        starts: per channel, from where on its audio is masked; at most `start_samples`; `BEGINNING` before the first.
        mode: see `PauseMode`.
        begun_ns, ended_ns: monotonic times of the commands; `NEVER_NS` while it goes on.
        audit: what of it is in sidecars: its beginning, and its end if it has one.
    """

    start_samples: int
    starts: tuple[int, int]
    mode: PauseMode
    begun_ns: int
    end_samples: int = FOREVER
    ended_ns: int = NEVER_NS
    audit: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        """Whether it goes on."""
        return self.end_samples == FOREVER


def is_paused_at(
    pauses: Sequence[Pause], position_samples: int | None, length_samples: int = 0, track: str = ""
) -> bool:
    """Return whether any of `length_samples` from a position on is paused.

    Args:
        pauses: of a call.
        position_samples: on its timeline; None: whether the call is paused now.
        length_samples: of what is asked about.
        track: "inbound" or "outbound"; either, if nobody knows.
    """
    if position_samples is None:
        return bool(pauses) and pauses[-1].is_open
    end = position_samples + max(length_samples, 1)
    channels = [number for number, name in enumerate(_TRACKS) if track in (name, "")]
    starts = (min(pause.starts[channel] for channel in channels) for pause in pauses)
    return any(
        start < end and position_samples < pause.end_samples for start, pause in zip(starts, pauses, strict=True)
    )


def was_paused_during(pauses: Sequence[Pause], begun_ns: int, ended_ns: int) -> bool:
    """Return whether the call was paused at any time from `begun_ns` to `ended_ns`, monotonic."""
    return any(pause.begun_ns <= ended_ns and begun_ns <= pause.ended_ns for pause in pauses)


def within(pauses: Iterable[Pause], start_samples: int, end_samples: int) -> Iterator[tuple[int, int, Pause]]:
    """Yield (start, end) of what of each pause lies from `start_samples` to `end_samples`."""
    for pause in pauses:
        start, end = max(pause.start_samples, start_samples), min(pause.end_samples, end_samples)
        if start < end:
            yield start, end, pause


def omitted(pauses: Iterable[Pause], start_samples: int, end_samples: int) -> tuple[tuple[int, int], ...]:
    """Return (start, length) of what is to be cut out of a file from `start_samples` to `end_samples`."""
    found = within((pause for pause in pauses if pause.mode == "omit"), start_samples, end_samples)
    return tuple((start, end - start) for start, end, _ in found)
