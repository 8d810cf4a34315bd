"""What becomes of what is played, spoken or pressed into a call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from media.events.kinds import Event

PlayKind = Literal["play", "speak", "keys"]
"""`LiveCall.play`, `LiveCall.speak`, or `LiveCall.send_dtmf`."""
PlayStatus = Literal["completed", "cancelled", "call_hangup", "failed"]
"""How a play ended: heard to its end; stopped or cleared; cut off by the end of the call; refused (`error`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackStarted(Event):
    """The first of a play was heard; known 100 ms later at most.

    Attributes:
        playback_id: UUID of the play.
        kind: what asked for it.
        source: the path or URL that it is read from; "" if there is none.
        overlay: it lies over what plays.
    """

    NAME: ClassVar[str] = "playback_started"

    playback_id: str
    kind: PlayKind
    source: str = ""
    overlay: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackEnded(Event):
    """A play is over, once for each that was queued, also for one that was never heard.

    Attributes:
        playback_id, kind, source, overlay: as of `PlaybackStarted`.
        status: how it ended.
        heard_ms: how much of it was heard.
        is_measured: by the carrier's marks; else it is estimated by the clock.
        error: why it failed.
    """

    NAME: ClassVar[str] = "playback_ended"

    playback_id: str
    kind: PlayKind
    status: PlayStatus
    heard_ms: int
    is_measured: bool
    source: str = ""
    overlay: bool = False
    error: str = ""
