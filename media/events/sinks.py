"""What becomes of the sinks that hear a call: each of these is told of every call that the sink knew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from media.events.kinds import Event

Failure = Literal["raised", "ended", "hung"]
"""How a sink failed: it raised too often in a row, or what is no ``Exception``; or a call into it did not return."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkFailed(Event):
    """A sink failed and hears no more of the call until it is replaced.

    Attributes:
        sink: its name.
        reason: how.
        error: what it raised, for people.
        retry_after_ms: another one is made then.
    """

    NAME: ClassVar[str] = "sink_failed"

    sink: str
    reason: Failure
    error: str = ""
    retry_after_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkRestarted(Event):
    """A sink that failed was replaced, and the new one was told of the call: it hears the call from here on.

    Attributes:
        sink: its name.
        restarts: so often it was replaced since the server began.
    """

    NAME: ClassVar[str] = "sink_restarted"

    sink: str
    restarts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkDetached(Event):
    """A sink hears no more of the call, for good.

    Attributes:
        sink: its name.
        reason: how it failed, or "behind": it fell behind and is useless with holes.
        error: what it raised, for people.
    """

    NAME: ClassVar[str] = "sink_detached"

    sink: str
    reason: Failure | Literal["behind"]
    error: str = ""
