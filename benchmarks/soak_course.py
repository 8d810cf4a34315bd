"""The course of a soak: what the server was like every few seconds, and whether that is flat.

More calls take more memory and more descriptors, and how many are going on wavers. So what is judged is a plane,
``figure = constant + per call * calls + drift * time``, laid through the second half by least squares: `drift` is
what does not come of the calls that are there. Flat is a drift of no more than a bound in an hour.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from benchmarks.report import Chart, Line, Lines, Spread
from benchmarks.serving import Metrics, Process

SECONDS_PER_HOUR = 3600
LEAST_SAMPLES = 24
"""In the half that is judged: with fewer, nothing can be said."""
_POINTS = 60
"""Of a curve in a picture."""


class Sample(msgspec.Struct, frozen=True):
    """One look at the server.

    Attributes:
        at_s: since the first call.
        calls: live.
        tracks: live.
        pss_kib: memory of the process.
        rss_kib: the same, shared pages counted in full.
        descriptors: open.
        threads: all.
        cpu_s: so far.
        kernel_drops: so far.
        lag_s: age of what the recording has not written.
        recordings: being written.
    """

    at_s: float
    calls: int
    tracks: int
    pss_kib: int
    rss_kib: int
    descriptors: int
    threads: int
    cpu_s: float
    kernel_drops: int
    lag_s: float
    recordings: int


def sample(at_s: float, process: Process, metrics: Metrics) -> Sample:
    """Put together what two looks found."""
    return Sample(
        at_s,
        metrics.get("strep_calls"),
        metrics.get("strep_tracks"),
        process.weight.pss_kib,
        process.weight.rss_kib,
        process.descriptors,
        process.threads,
        process.cpu_s,
        metrics.get("strep_kernel_drops_total"),
        metrics.most("strep_sink_lag_seconds"),
        metrics.get("strep_recordings"),
    )


class Drift(msgspec.Struct, frozen=True):
    """What a figure does on its own.

    Attributes:
        per_hour: how much it rises in an hour, the number of calls being equal.
        error: standard error of that, consecutive samples taken for one another's half.
        per_call: what a live call adds to it.
        samples: that this was computed from.
        bound: that `per_hour` may reach.
    """

    per_hour: float
    error: float
    per_call: float
    samples: int
    bound: float

    @property
    def is_flat(self) -> bool:
        """Whether the rise is within the bound."""
        return self.per_hour <= self.bound


def drift(plateau: Sequence[Sample], figure: Callable[[Sample], float], bound: float) -> Drift | None:
    """Judge the second half of `plateau`; None if that is too short."""
    half = plateau[len(plateau) // 2 :]
    if len(half) < LEAST_SAMPLES:
        return None
    hours = np.array([one.at_s for one in half]) / SECONDS_PER_HOUR
    calls = np.array([one.calls for one in half], float)
    plane = np.column_stack([np.ones(len(half)), calls - calls.mean(), hours - hours.mean()])
    values = np.array([figure(one) for one in half], float)
    solution = np.linalg.lstsq(plane, values, rcond=None)[0]
    rest = values - plane @ solution
    variance = float(rest @ rest) / (len(half) - 3) * 2
    error = float(np.sqrt(variance * np.linalg.pinv(plane.T @ plane)[2, 2]))
    return Drift(float(solution[2]), error, float(solution[1]), len(half), bound)


def charts(samples: Sequence[Sample]) -> list[Chart]:
    """Return memory, descriptors and calls over time."""
    step = max(len(samples) // _POINTS, 1)
    figures: list[tuple[str, str, list[tuple[str, Callable[[Sample], float]]]]] = [
        ("Memory", "MiB", [("proportional (PSS)", lambda one: one.pss_kib / 1024)]),
        ("Descriptors", "open", [("descriptors", lambda one: one.descriptors), ("threads", lambda one: one.threads)]),
        ("Calls", "live", [("calls", lambda one: one.calls)]),
        ("Kernel drops", "datagrams so far", [("dropped", lambda one: one.kernel_drops)]),
    ]
    return [
        Lines(
            title,
            "minutes",
            unit,
            [
                Line(label, *_curve(samples, figure, step), ours=place == 0)
                for place, (label, figure) in enumerate(lines)
            ],
            is_course=True,
        )
        for title, unit, lines in figures
    ]


def _curve(
    samples: Sequence[Sample], figure: Callable[[Sample], float], step: int
) -> tuple[list[float], list[Spread]]:
    """Return a point for every `step` samples, with the lowest and the highest of them."""
    groups = [samples[start : start + step] for start in range(0, len(samples), step)]
    return (
        [float(np.mean([one.at_s for one in group])) / 60 for group in groups],
        [Spread.of(figure(one) for one in group) for group in groups],
    )
