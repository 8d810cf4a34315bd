"""How much may wait, and how long anything is waited for."""

from __future__ import annotations

from dataclasses import dataclass

from strep.clock import NS_PER_SECOND


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one engine, unless it says otherwise.

    Attributes:
        engines: at a time, each with its options; of all of them.
        idle_s: after which the workers of an engine that no call has asked for since are dismissed.
        workers: processes.
        backlog_s: speech of one stream that may wait.
        ahead_s: speech that a worker may have at a time.
        load_s: how long an engine may take to load.
        hang_s: how long one item may take.
        close_s: how long the last results of a call are waited for.
        strikes: workers in a row that hang or die with one stream, after which it is given up.
        backoff_s: before a worker, or a recognizer, that failed by itself is replaced for the second time.
        most_backoff_s: before it is for the hundredth time.
        steady_s: one that lived for so long has not failed before.
    """

    engines: int = 8
    idle_s: float = 60.0
    workers: int = 2
    backlog_s: float = 20.0
    ahead_s: float = 1.0
    load_s: float = 120.0
    hang_s: float = 10.0
    close_s: float = 10.0
    strikes: int = 3
    backoff_s: float = 0.5
    most_backoff_s: float = 30.0
    steady_s: float = 60.0

    def pause_ns(self, failures: int) -> int:
        """Return how long to wait after so many failures in a row: not at all, then longer and longer."""
        growing_s = self.backoff_s * (2.0 ** min(failures - 1, 30) - 1)
        return round(min(growing_s, self.most_backoff_s) * NS_PER_SECOND)
