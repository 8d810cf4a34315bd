"""`ConcealedSink`: concealment of lost packets in front of any sink.

::

    Server(config, sinks=[ConcealedSink(PerCall(transcribe))])

The sink behind it gets every block when it would have got it, as it would have got it, but for what is lost in it
(`media.concealing`). `PcmBatch.lost` still says what that is. The call's end says in its report how much was made up
of each track (``loss_concealed``); ledgers are what they were.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from media.blocks import PcmBatch
from media.concealing.concealer import Concealer
from media.sinks.contract import CallInfo, CallReport, Sink

EVENT = "loss_concealed"
_RECORDING = "recording"


class ConcealedSink:
    """A sink in front of a sink.

    Attributes:
        sink: the one behind.
        options: those of the one behind.
    """

    def __init__(self, sink: Sink) -> None:
        """Fill the holes of all calls."""
        self.sink, self.options = sink, sink.options
        self._concealer = Concealer(is_sensitive=sink.options.is_sensitive)

    def call_started(self, call: CallInfo) -> None:
        """Hand it on; of a recording, leave word for who finishes it if this process dies."""
        self._concealer.begin(call)
        self.sink.call_started(call)
        if self.options.name == _RECORDING:
            call.account.tell_event({"event": EVENT, "state": "started"})

    def receive(self, batch: PcmBatch) -> None:
        """Hand on the batch, filled."""
        self.sink.receive(self._concealer.receive(batch))

    def call_ended(self, call: CallInfo, report: CallReport) -> None:
        """Hand on the end, with what was made up of each track that there was."""
        made = self._concealer.end(call)
        events = [
            {
                "event": EVENT,
                "track": track.direction.name.lower(),
                "holes": made[track.direction].holes,
                "concealed_samples": made[track.direction].samples,
            }
            for track in report.tracks
        ]
        self.sink.call_ended(call, replace(report, events=[*report.events, *events]))

    def close(self) -> None:
        """Hand it on."""
        self.sink.close()

    def snapshot(self) -> Any:
        """Return what the sink behind says of itself."""
        said = getattr(self.sink, "snapshot", None)
        return said() if callable(said) else {}
