"""How much may wait, and how long anything is waited for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one engine.

    Attributes:
        workers: processes.
        backlog_s: speech of one stream that may wait.
        ahead_s: speech that a worker may have at a time.
        load_s: how long an engine may take to load.
        hang_s: how long one item may take.
        close_s: how long the last results of a call are waited for.
        failures: of one stream in a row, after which it is given up.
        backoff_s, most_backoff_s: before a worker is replaced for the second time, and at most.
        steady_s: one that lived for so long has not failed before.
    """

    workers: int = 1
    backlog_s: float = 10.0
    ahead_s: float = 1.0
    load_s: float = 120.0
    hang_s: float = 15.0
    close_s: float = 10.0
    failures: int = 3
    backoff_s: float = 0.5
    most_backoff_s: float = 30.0
    steady_s: float = 60.0
