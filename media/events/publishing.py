"""What happens where calls are published to other programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from media.events.kinds import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioUnpublished(Event):
    """Audio of a track was not published: for too long nobody took it, and there was no more room to keep it.

    Attributes:
        to: where it was to go, "nats".
        messages: so many are missing.
        duration_samples: from the first to the end of the last of them.
    """

    NAME: ClassVar[str] = "publish_gap"

    to: str
    messages: int
    duration_samples: int
