"""What an engine hands calls and audio to, and what doors tell it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from media.calls import Call, Track
from media.sinks.contract import SinkOptions
from media.sinks.queue import Item


class Outlet(Protocol):
    """The near end of a sink's queue: takes everything at once and never blocks."""

    def put(self, item: Item) -> None:
        """Queue the beginning of a call, the blocks of a tick, or the end of a call.

        One may have ``options``, those of its sink (`media.sinks.contract.SinkOptions`): unless they say that it is
        not sensitive it gets silence where the audio is paused.
        """


def is_sensitive(outlet: Outlet) -> bool:
    """Return whether silence is to take the place of what is paused in what `outlet` gets."""
    options: SinkOptions | None = getattr(outlet, "options", None)
    return options is None or options.is_sensitive


def wants_played(outlet: Outlet) -> bool:
    """Return whether `outlet` gets what is played into calls as well, where the carrier does not send that."""
    options: SinkOptions | None = getattr(outlet, "options", None)
    return options is not None and options.wants_played


JoinTrack = Callable[[Track, int], Call]
"""Decides which call a track belongs to, when its first block is due: (track, now_ns) -> call."""
Forget = Callable[[Call], None]
"""A door drops what it knows of a call that has ended."""
