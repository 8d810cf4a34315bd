"""A call of whose recording spans are omitted at its end."""

from __future__ import annotations

from typing import Any

from media.sinks.finisher import Finisher
from tests.sinks.process import Process


def finisher_of(process: Process, finisher: Finisher, single: Any) -> None:
    """End the call of `process`, of whose recording two spans are to be omitted."""
    from media.sinks import recorded_call

    spans = ((1000, 500), (9000, 4000))
    omit, recorded_call.RecordedCall.omit = recorded_call.RecordedCall.omit, lambda self: spans  # type: ignore[method-assign]
    try:
        process.sink._finisher = None
        recording = process.sink._live[process.call.index]
        process.end()
        from media.sinks.finisher import hand_over

        hand_over(recording, finisher, single=single)
    finally:
        recorded_call.RecordedCall.omit = omit  # type: ignore[method-assign]
