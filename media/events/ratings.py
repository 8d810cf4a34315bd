"""What is the matter with the quality of a call, while it goes on, and how good it was; see `media.quality`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from media.events.kinds import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class OneWayAudioStarted(Event):
    """One side, the track, is silent while the other one speaks; the position is where it was heard last.

    Attributes:
        duration_ms: speech of the other side since then.
    """

    NAME: ClassVar[str] = "one_way_audio_started"

    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OneWayAudioEnded(Event):
    """The silent side is heard again.

    Attributes:
        duration_ms: speech of the other side meanwhile.
    """

    NAME: ClassVar[str] = "one_way_audio_ended"

    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoHeard(Event):
    """One side is heard again in the other one, the track; told once.

    Attributes:
        delay_ms: by how much it is behind.
        loss_db: by how much it is quieter.
        correlation: of their envelopes, 0 to 1.
    """

    NAME: ClassVar[str] = "echo_heard"

    delay_ms: float
    loss_db: float
    correlation: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityMeasured(Event):
    """A call has ended, and all of its audio was listened to.

    Attributes:
        inbound, outbound: quality of the tracks, as sidecars have it; None of one that never came.
    """

    NAME: ClassVar[str] = "quality"

    inbound: dict[str, Any] | None = None
    outbound: dict[str, Any] | None = None
