"""How the sending went: what both shells fill in while they send."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from media.carrier.pacing import Lateness
from media.carrier.playback import Playback

Progress = Callable[[int], None]
"""Called with the number of deliveries made so far, after every batch."""


@dataclass
class SendReport:
    """How the sending went.

    Attributes:
        sent: deliveries made.
        lateness: of each against its deadline.
        refused: UDP, how often the far end answered that nobody listens there.
        failures: WebSocket, calls that could not dial.
        late_ns: lateness that is not in the histogram yet.
        closed_early: WebSocket, calls whose socket the far end closed; the truth is about frames that
            it did not want any more, then.
        playbacks: WebSocket, for each call what the far end played into it.
        started_ns: the simulation's time 0 on the pacer's clock.
    """

    sent: int = 0
    lateness: Lateness = field(default_factory=Lateness)
    refused: int = 0
    closed_early: int = 0
    failures: int = 0
    late_ns: list[int] = field(default_factory=list)
    playbacks: list[Playback] = field(default_factory=list)
    started_ns: int = 0

    def record_lateness(self) -> None:
        """Empty `late_ns` into the histogram."""
        self.lateness.record(np.array(self.late_ns, np.int64))
        self.late_ns.clear()
