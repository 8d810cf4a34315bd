"""Figures of all live calls at once, read from the timelines' columns: no Python for each of thousands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from media.reels import UNJOINED
from strep.clock import NS_PER_SECOND, Clock
from strep.quality.network import headline_scores

if TYPE_CHECKING:
    from media.engine import Engine
    from media.reels import Reel
    from media.server import Server

LOOK_EVERY_NS = 9 * NS_PER_SECOND // 10
"""A little less than a second, so that who looks once a second sees something new."""
FIELDS = (
    ("call", "<u4", "the call's number"),
    ("received", "<u4", "packets of both tracks"),
    ("lost", "<u4", "packets of both that were given up and never came"),
    ("jitter", "<u2", "tenths of a millisecond, of the track that has more"),
    ("lost_permille", "<u2", "share of the packets that never came, of the track that lost more"),
    ("mos", "<u2", "hundredths, of the track that has less (docs/quality.md); 0 if it is not known"),
)
FIGURES = np.dtype([(name, code) for name, code, _ in FIELDS])
"""One record of a message of figures, 18 bytes; ``docs/page.md`` is made of it."""


@dataclass(frozen=True, slots=True)
class Overview:
    """A server at a moment.

    Attributes:
        totals: JSON values: calls, calls_started, calls_ended, tracks, packets, rejected, kernel_drops.
        figures: (n,) `FIGURES`, one per live call that has a track, by ascending number.
    """

    totals: dict[str, Any]
    figures: NDArray[Any]


class Lookout:
    """Asks for an overview once a second at the most, however many look; for the event loop of the HTTP door."""

    def __init__(self, ask: Callable[[], Awaitable[Overview]], clock: Clock) -> None:
        """Ask nothing yet; `ask` returns what `overview_of` says now, called in the media loop."""
        self._ask, self._clock = ask, clock
        self._seen: tuple[int, Overview] | None = None
        self._asking = asyncio.Lock()

    async def look(self) -> Overview:
        """Return an overview that is a second old at the most."""
        async with self._asking:
            now_ns = self._clock.now_ns()
            if self._seen is None or now_ns - self._seen[0] >= LOOK_EVERY_NS:
                self._seen = now_ns, await self._ask()
            return self._seen[1]


def overview_of(server: Server) -> Overview:
    """Return what there is to tell; in the media loop."""
    totals = server.doors.totals()
    doors = totals["doors"].values()
    return Overview(
        {
            **server.engine.snapshot(),
            "packets": sum(door.get("datagrams", door.get("messages", 0)) for door in doors),
            "rejected": sum(sum(door["rejected"].values()) for door in doors),
            "kernel_drops": totals["kernel_drops"],
        },
        figures_of(server.engine),
    )


def figures_of(engine: Engine) -> NDArray[Any]:
    """Return (n,) `FIGURES` of all live calls."""
    parts = [_of_tracks(reel) for reel in engine.reels]
    index, received, lost, jitter, share, scores = (np.concatenate(column) for column in zip(*parts, strict=True))
    calls, row = np.unique(index, return_inverse=True)
    found = np.zeros(len(calls), FIGURES)
    found["call"] = calls
    np.add.at(found["received"], row, received.astype(np.uint32))
    np.add.at(found["lost"], row, lost.astype(np.uint32))
    np.maximum.at(found["jitter"], row, jitter.astype(np.uint16))
    np.maximum.at(found["lost_permille"], row, share.astype(np.uint16))
    least = np.full(len(calls), np.inf)
    np.fmin.at(least, row, scores)
    found["mos"] = np.round(100 * np.where(np.isfinite(least), least, 0))
    return found


def _of_tracks(reel: Reel) -> tuple[NDArray[Any], ...]:
    slot = np.flatnonzero(reel.index_of_slot != UNJOINED)
    columns = reel.timeline.table.tracks
    received, lost = columns.received[slot], columns.lost[slot]
    jitter = np.clip(columns.jitter[slot] * (10_000 / reel.format.sample_rate_hz), 0, 65_535)
    share = lost * 1000 // np.maximum(received + lost, 1)
    return reel.index_of_slot[slot], received, lost, jitter, share, headline_scores(columns, slot)
