"""`DenoisedSink`: noise suppression in front of any sink, per direction, switched per call while it goes on.

::

    quiet = DenoisedSink(PerCall(transcribe), [Direction.INBOUND])
    Server(config, sinks=[quiet])
    quiet.switch(call, Direction.INBOUND, on=False)  # from any thread

The sink behind it gets 16-bit PCM of all calls, also of those whose `CallInfo.is_linear` is false, each sample at its
own place; what is filtered comes 20 ms later. A late patch stays as it came, noise and all, for the filter is where
the track is. The call's end says in its report from where to where each track was filtered (``noise_suppression``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from media.blocks import PcmBatch
from media.denoising.denoiser import Denoiser, Publish, telling
from media.events.filters import NoiseSuppression
from media.sinks.contract import CallInfo, CallReport, Sink
from strep.g711 import LINEAR
from strep.header import Direction


class DenoisedSink:
    """A sink in front of a sink.

    Attributes:
        sink: the one behind.
        options: those of the one behind.
    """

    def __init__(self, sink: Sink, on: Collection[Direction], publish: Publish = lambda *_: None) -> None:
        """Filter the directions `on` of every call from its start on; `publish` is told when that has changed."""
        self.sink, self.options = sink, sink.options
        self._denoiser = Denoiser(on, telling(self._switched, sink.options.name))
        self._on, self._publish = on, publish
        self._done: dict[int, list[dict[str, Any]]] = {}

    def another(self, sink: Sink) -> DenoisedSink:
        """Return the same in front of another sink, with every call as it is at its start."""
        return DenoisedSink(sink, self._on, self._publish)

    def switch(self, call: CallInfo, direction: Direction, *, on: bool) -> None:
        """Begin or cease to filter a track of a call that has not ended, with its next block; from any thread."""
        self._denoiser.switch(call, direction, on=on)

    def call_started(self, call: CallInfo) -> None:
        """Hand it on."""
        self._done[call.index] = []
        self._denoiser.begin(call)
        self.sink.call_started(call)

    def receive(self, batch: PcmBatch) -> None:
        """Hand on what is ready.

        Raises:
            Exception: the first that the sink behind raised, when it has been given everything.
        """
        self._give(self._denoiser.receive(batch), follows_dropped=batch.follows_dropped)

    def call_ended(self, call: CallInfo, report: CallReport) -> None:
        """Hand on the rest, then the end."""
        try:
            self._give(self._denoiser.end(call))
        finally:
            done = self._done.pop(call.index, [])
            self.sink.call_ended(call, replace(report, events=[*report.events, *done]) if done else report)

    def close(self) -> None:
        """Hand it on."""
        self.sink.close()

    def snapshot(self) -> Any:
        """Return what the sink behind says of itself."""
        said = getattr(self.sink, "snapshot", None)
        return said() if callable(said) else {}

    def _give(self, batches: Iterator[PcmBatch], *, follows_dropped: bool = False) -> None:
        errors: list[Exception] = []
        for batch in list(batches):  # all of it, for what the filter has let go of is nowhere else
            try:
                self.sink.receive(replace(as_pcm(batch), follows_dropped=follows_dropped))
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def _switched(self, call: CallInfo, event: NoiseSuppression) -> None:
        said = {"event": event.NAME, "state": event.state, "track": event.track}
        self._done[call.index].append(said | {"position_samples": event.position_samples})
        self._publish(call, event)


def as_pcm(batch: PcmBatch) -> PcmBatch:
    """Return a batch as one of 16-bit PCM."""
    if batch.is_linear or not len(batch):
        return batch
    return replace(batch, encoded=batch.pcm, codec=np.full(len(batch), LINEAR, np.uint8))
