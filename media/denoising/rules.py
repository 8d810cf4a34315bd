"""`Denoised`: which sinks noise suppression is put in front of, as it is configured."""

from __future__ import annotations

from dataclasses import dataclass

from strep.header import Direction

DIRECTIONS = {
    "inbound": frozenset({Direction.INBOUND}),
    "outbound": frozenset({Direction.OUTBOUND}),
    "both": frozenset(Direction),
    "none": frozenset[Direction](),
}
"""By the words of Telnyx' suppression_start; its default, as ours, is inbound."""


@dataclass(frozen=True, slots=True)
class Denoised:
    """A sink behind noise suppression.

    Attributes:
        sink: its name: recording, hearing, transcription, takes, feed, applications, or that of an installed one.
        direction: of `DIRECTIONS`, what is filtered from the start of every call on.
    """

    sink: str
    direction: str = "inbound"

    def __str__(self) -> str:
        """Return ``SINK:DIRECTION``."""
        return f"{self.sink}:{self.direction}"


def parse_denoised(text: str) -> Denoised:
    """Return ``SINK`` or ``SINK:DIRECTION``.

    Raises:
        ValueError: it is something else.
    """
    sink, colon, direction = (part.strip() for part in text.partition(":"))
    if not sink:
        raise ValueError("is not SINK or SINK:DIRECTION")
    if colon and direction.lower() not in DIRECTIONS:
        raise ValueError(f"has the direction {direction!r}; there are {', '.join(DIRECTIONS)}")
    return Denoised(sink, direction.lower() or "inbound")
