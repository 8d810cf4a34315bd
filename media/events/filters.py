"""What is done to the audio of a call on its way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from media.events.kinds import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseSuppression(Event):
    """A track is filtered from here on, or not any more.

    Attributes:
        state: "started" or "stopped".
        sink: who gets what is filtered, by its name.
    """

    NAME: ClassVar[str] = "noise_suppression"

    state: str
    sink: str
