"""What callers entered; see `media.talk.gathering`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from media.events.kinds import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class GatherEnded(Event):
    """An application has got its digits, or has not; Telnyx' ``call.gather.ended``.

    Attributes:
        digits: what was entered at last, without the terminating one; may be of a PIN.
        status: "valid", "invalid", "timeout", "call_hangup" or "cancelled".
        reason: the same in words.
        tries: how many it took.
        gather_id: as whoever asked for them has it; "" if they gave it no name.
    """

    NAME: ClassVar[str] = "gather_ended"
    PRIVATE: ClassVar[tuple[str, ...]] = ("digits",)

    digits: str
    status: str
    reason: str
    tries: int
    gather_id: str = ""
