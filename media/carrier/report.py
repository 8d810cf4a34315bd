"""How the sending went: what both shells fill in while they send."""

from __future__ import annotations

from collections import Counter
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
        messages: UDP, what it could have answered so: datagrams, or several at once where the kernel cuts them up.
        failures: WebSocket, calls that could not dial.
        late_ns: lateness that is not in the histogram yet.
        closings: WebSocket, calls whose socket the far end closed before they were over, by code and reason.
        made: WebSocket, by track of the plan how many of its deliveries were made.
        playbacks: WebSocket, for each call what the far end played into it.
        started_ns: the simulation's time 0 on the pacer's clock.
    """

    sent: int = 0
    lateness: Lateness = field(default_factory=Lateness)
    refused: int = 0
    messages: int = 0
    failures: int = 0
    closings: Counter[tuple[int, str]] = field(default_factory=Counter)
    made: dict[int, int] = field(default_factory=dict)
    late_ns: list[int] = field(default_factory=list)
    playbacks: list[Playback] = field(default_factory=list)
    started_ns: int = 0

    @property
    def closed_early(self) -> int:
        """Calls whose socket the far end closed before they were over."""
        return self.closings.total()

    def record_lateness(self) -> None:
        """Empty `late_ns` into the histogram."""
        self.lateness.record(np.array(self.late_ns, np.int64))
        self.late_ns.clear()
