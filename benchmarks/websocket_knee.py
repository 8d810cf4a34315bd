"""How many calls does a server of media streams carry on one core? The load is stepped up until it lags."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import msgspec

from benchmarks import capacity
from benchmarks.contenders.streams import STREAM_CONTENDERS
from benchmarks.progress import Say
from benchmarks.symptoms import SENDER_LATE_MS, SENDER_SHARE
from benchmarks.websocket_course import StreamCourse, StreamRun
from benchmarks.websocket_frames import StreamLoad

_START = 400
_TRIES = 2
"""Others share most machines, and a step is short."""
_RECEIVED_SHARE = 0.99


class Step(msgspec.Struct, frozen=True):
    """A load, and whether it was carried.

    Attributes:
        run: figures.
        why: what was not as it should be; empty if the load was carried.
    """

    run: StreamRun
    why: str

    @property
    def carried(self) -> bool:
        """Whether everything was as it should be."""
        return not self.why


def search(
    contender: str, most: int, ramp: float, seconds: float, lag_ms: float, say: Say, scratch: Path
) -> list[Step]:
    """Return all steps until the knee is known; arguments as the settings of `benchmarks.websocket`."""
    knee, steps = capacity.Search(capacity.Settings(start=min(_START, most), most=most)), list[Step]()
    while (calls := knee.next()) is not None:
        say.doing(f"{STREAM_CONTENDERS[contender].label}, {calls:,} calls")
        with closing(StreamCourse(StreamLoad(calls, calls / ramp, seconds), scratch)) as course:
            for repeat in range(1, _TRIES + 1):
                run = course.run(contender, repeat)
                steps.append(Step(run, symptom(run, lag_ms)))
                say(line(steps[-1]))
                if steps[-1].carried:
                    break
        knee.learn(calls, carried=steps[-1].carried)
    return steps


def symptom(run: StreamRun, lag_ms: float) -> str:
    """Return what was not as it should be, the sender's own shortcomings first."""
    if run.sent and not run.stalled and run.lateness_ms["p99_ms"] > SENDER_LATE_MS:
        return f"the sender was {run.lateness_ms['p99_ms']:.0f} ms late at p99: it is at its own limit"
    if run.sent and run.offered_per_s < SENDER_SHARE * StreamLoad(run.calls, 0, 0).frames_per_second:
        return f"the sender offered {run.offered_per_s:,.0f} frames/s only"
    if run.stalled:
        return f"{run.stalled} frames found their socket full"
    if run.lag_ms and run.lag_ms["p99"] > lag_ms:
        return f"lags {run.lag_ms['p99']:,.0f} ms at p99"
    if run.sent and run.received_share < _RECEIVED_SHARE:
        return f"took {run.received_share:.0%} of the frames in time"
    return run.complaints[0] if run.complaints else ""


def most_carried(steps: list[Step]) -> Step | None:
    """Return the largest load that was carried."""
    return max((step for step in steps if step.carried), key=lambda step: step.run.calls, default=None)


def line(step: Step) -> str:
    """Return what a step came to, for those who wait."""
    label = STREAM_CONTENDERS[step.run.contender].label
    return f"{label:30} {step.run.calls:5,} calls  {step.run.busy:4.0%} of a core  {step.why or 'carried'}"
