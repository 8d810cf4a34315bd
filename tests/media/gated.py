"""A carrier's clock for tests in which something has to happen in the midst of a call, however long that takes."""

from __future__ import annotations

import threading
from collections import deque

from media.carrier.pacing import RealTime
from strep.clock import NS_PER_SECOND


class Gated(RealTime):
    """The machine's clock, which stands still at some times of the call until somebody lets it go on."""

    def __init__(self, *gates: tuple[float, threading.Event]) -> None:
        super().__init__()
        self._gates = deque((round(after_s * NS_PER_SECOND), event) for after_s, event in gates)
        self._began_ns = super().now_ns()
        self._stood_ns, self._is_standing = 0, False

    def now_ns(self) -> int:
        now_ns = super().now_ns() - self._stood_ns
        if self._gates and now_ns >= self._began_ns + self._gates[0][0]:
            gate_ns = self._began_ns + self._gates[0][0]
            if not self._gates[0][1].is_set():
                self._is_standing = True
                return gate_ns
            self._gates.popleft()
            if self._is_standing:
                self._stood_ns += now_ns - gate_ns
                self._is_standing, now_ns = False, gate_ns
        return now_ns
