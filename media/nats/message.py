"""`Message`: one message on its way to the stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from media.nats.spool import Segment

_OVERHEAD_BYTES = 400
"""What a message takes in memory besides its body, measured."""
MAX_BODY_BYTES = 512 << 10
"""Of a message; servers take 1 MiB by default, header included."""


@dataclass(slots=True, eq=False)
class Message:
    """One message.

    Attributes:
        subject, message_id: see `media.nats.names`.
        body: of it.
        offered_ns: when it was, monotonic.
        segment: where it is on disk, if it is.
        is_doubtful: it may be in the stream already: it was sent once, and no answer came; or another process did.
    """

    subject: str
    message_id: str
    body: bytes
    offered_ns: int = 0
    segment: Segment | None = None
    is_doubtful: bool = False

    @property
    def size_bytes(self) -> int:
        """Memory that it takes."""
        return len(self.body) + _OVERHEAD_BYTES
