"""`LegDesk`: takes announcements of legs for a STREP door, and remembers them for the next process."""

from __future__ import annotations

import logging
from math import inf
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from media.admission.announced import GOOD_FOR_S
from media.admission.entries import Entries
from media.admission.legs import LegGuard
from media.admission.quarantine import Leg
from strep.clock import NS_PER_SECOND, Clock

_LOG = logging.getLogger("strep.admission")

_LOW = (1 << 64) - 1
MOST_SHOWN = 100
"""Waiting legs that are listed; all are counted."""


class AnnouncedDoor(Protocol):
    """A door where legs are announced."""

    guard: LegGuard

    def register(self, call_leg_id: UUID, now_ns: int, good_for_ns: int) -> None:
        """Announce a leg."""


class LegMemory:
    """Announced legs in a directory, with the second of Unix time up to which each is."""

    def __init__(self, directory: Path) -> None:
        """Use `directory`.

        Raises:
            OSError: it cannot be made.
        """
        self._entries = Entries(directory)

    def add(self, leg: UUID, until_s: float) -> None:
        """Remember; a failure is logged: the leg may begin all the same."""
        try:
            self._entries.put(str(leg), f"{until_s:.0f}")
        except OSError as error:
            _LOG.error("an announced leg is forgotten with this process: %s", error)

    def remove(self, leg: UUID) -> None:
        """Forget; a failure is logged."""
        try:
            self._entries.remove(str(leg))
        except OSError as error:
            _LOG.error("a withdrawn leg comes back with the next process: %s", error)

    def load(self, now_s: float) -> list[tuple[UUID, float]]:
        """Return what there is, with how long it is good, in seconds, what is over first at first.

        What is over, no entry of ours, or was never finished, is taken away.

        Raises:
            OSError: the directory cannot be read.
        """
        found = []
        for name, text in list(self._entries):
            leg, left_s = leg_of(name), float(text) - now_s if text.isdigit() else 0.0
            if leg is not None and name == str(leg) and left_s > 0:
                found.append((leg, left_s))
            else:
                self._entries.remove(name)
        self._entries.sweep(now_s)
        return sorted(found, key=lambda one: one[1])


class LegDesk:
    """Announces to one door, in its event loop.

    Attributes:
        have_moved: another process has taken over what was announced: what is announced here is lost.
        is_ending: the process ends, and nothing that others announce, or take back, would outlive it.
    """

    def __init__(self, door: AnnouncedDoor, clock: Clock, memory: LegMemory | None = None) -> None:
        """Announce what the process before had in `memory`.

        Raises:
            OSError: it cannot be read.
        """
        self.have_moved = self.is_ending = False
        self._door, self._clock, self._memory = door, clock, memory
        if memory is not None:
            door.guard.announced.on_gone = lambda leg: memory.remove(whole(leg))
        for leg, left_s in memory.load(self._wall_s()) if memory is not None else ():
            self._tell(leg, left_s)

    def register(self, leg: UUID, good_for_s: float = GOOD_FOR_S) -> None:
        """Let `leg` begin from now on, with what waits of it.

        Raises:
            ValueError: `good_for_s` is no time.
        """
        if not 0 < good_for_s < inf:
            raise ValueError(f"an announcement is good for some seconds, not {good_for_s}")
        if self._memory is not None:
            self._memory.add(leg, self._wall_s() + good_for_s)
        self._tell(leg, good_for_s)

    def withdraw(self, leg: UUID) -> bool:
        """Let `leg` begin no more; return whether it might have. A call that goes on goes on."""
        if self._memory is not None:
            self._memory.remove(leg)
        return self._door.guard.withdraw(halves(leg), self._clock.now_ns())

    def status(self) -> dict[str, Any]:
        """Return counts, and who waits, JSON values."""
        return status_of(self._door.guard, self._clock.now_ns())

    def _tell(self, leg: UUID, good_for_s: float) -> None:
        self._door.register(leg, self._clock.now_ns(), round(good_for_s * NS_PER_SECOND))

    def _wall_s(self) -> float:
        return self._clock.wall_ns() / NS_PER_SECOND


def status_of(guard: LegGuard, now_ns: int) -> dict[str, Any]:
    """Return counts of a guard, and who waits, JSON values."""
    guard.quarantine.expire(now_ns)
    waiting = [
        {"call_leg_id": str(whole(leg)), "datagrams": count, "age_s": (now_ns - since_ns) / NS_PER_SECOND}
        for leg, count, since_ns in guard.quarantine.oldest(MOST_SHOWN)
    ]
    quarantine = guard.quarantine
    return {
        "mode": guard.mode,
        "announced": guard.announced.count(now_ns),
        "forgotten": guard.announced.forgotten,
        "waiting_legs": len(quarantine),
        "waiting_datagrams": quarantine.held,
        "dropped_datagrams": quarantine.dropped,
        "waiting": waiting,
    }


def halves(leg: UUID) -> Leg:
    """Return the halves of a call_leg_id."""
    return leg.int >> 64, leg.int & _LOW


def whole(leg: Leg) -> UUID:
    """Return the call_leg_id of two halves."""
    return UUID(int=leg[0] << 64 | leg[1])


def leg_of(text: str) -> UUID | None:
    """Return a call_leg_id from its text, 32 hexadecimal digits with or without hyphens; None if it is none."""
    try:
        return UUID(text) if len(text) in (32, 36) else None
    except ValueError:
        return None
