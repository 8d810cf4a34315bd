"""Who answered a call, and what else was waited for; see `media.hearing.machine`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from media.events.kinds import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineDetectionEnded(Event):
    """A person, a machine, or neither; the position is where that was certain.

    Attributes:
        result: "human", "machine", "fax_detected", "silence" or "not_sure".
        reason: what decided, with its figure.
        words: so many were heard until then.
        greeting_samples: from the first word's beginning to the last one's end.
        silence_samples: before the first word.
    """

    NAME: ClassVar[str] = "machine_detection_ended"

    result: str
    reason: str
    words: int
    greeting_samples: int
    silence_samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GreetingEnded(Event):
    """A machine has said its greeting: a message may be left now.

    Attributes:
        result: "beep_detected", "ended" (by silence) or "not_sure" (it went on for too long).
        reason: what decided, with its figure.
    """

    NAME: ClassVar[str] = "greeting_ended"

    result: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GreetingGoesOn(Event):
    """It had not ended: the machine speaks again."""

    NAME: ClassVar[str] = "greeting_resumed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackSilent(Event):
    """Nobody has spoken on a track for as long as an application wanted to know.

    Attributes:
        duration_ms: so long.
    """

    NAME: ClassVar[str] = "silence"

    duration_ms: int
