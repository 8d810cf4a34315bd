"""`PerCall`: a sink made of one function.

::

    from media.sinks.per_call import PerCall


    def loudness(call, direction, position_samples, pcm):
        print(call.call_id, direction.name, position_samples / call.sample_rate_hz, abs(pcm).max())


    sink = PerCall(loudness)

The function is called for every block of every track, in the sink's own thread: it may take its time, and
what happens when it takes too much is `when_behind`. It suits hundreds of calls; for thousands write a column
sink (`media.sinks.contract.Sink`) that works on the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from media.blocks import PcmBatch
from media.sinks.contract import CallInfo, CallReport, SinkOptions, WhenBehind
from strep.header import Direction

OnBlock = Callable[[CallInfo, Direction, int, NDArray[np.int16]], object]
OnStart = Callable[[CallInfo], object]
OnEnd = Callable[[CallInfo, CallReport], object]


class PerCall:
    """Calls ``on_block(call, direction, position_samples, pcm)`` for every block, in order per track.

    ``position_samples`` is where ``pcm[0]`` lies on the call's timeline and ``pcm`` an int16 array, valid
    samples only and not to be written to. Blocks that come too late to be heard are left out. What the
    functions raise is counted and logged by the runner; it stops neither the other blocks nor the call.
    """

    def __init__(
        self,
        on_block: OnBlock,
        *,
        on_start: OnStart | None = None,
        on_end: OnEnd | None = None,
        name: str = "",
        block_ms: int = 100,
        when_behind: WhenBehind = WhenBehind.DROP_OLDEST,
        is_sensitive: bool = True,
    ) -> None:
        """Make a sink of functions.

        Args:
            on_block: called for every block.
            on_start: called before a call's first block.
            on_end: called after its last.
            name: for logs and metrics; the function's own name unless given.
            block_ms: how much audio to ask for at a time, 20 to 1000.
            when_behind: what to do when the functions are too slow.
            is_sensitive: they keep what they get, or pass it on; see `SinkOptions`.
        """
        own_name: str = getattr(on_block, "__name__", type(on_block).__name__)
        self.options = SinkOptions(
            name or own_name, block_ms=block_ms, when_behind=when_behind, is_sensitive=is_sensitive
        )
        self._on_block = on_block
        self._on_start = on_start
        self._on_end = on_end
        self._calls: dict[int, CallInfo] = {}

    def call_started(self, call: CallInfo) -> None:
        """Remember the call."""
        self._calls[call.index] = call
        if self._on_start:
            self._on_start(call)

    def receive(self, batch: PcmBatch) -> None:
        """Call the function for each row.

        Raises:
            ExceptionGroup: of what the function raised, after all rows have had their turn.
        """
        if batch.late or not len(batch):
            return
        errors: list[Exception] = []
        for index, channel, position, pcm in batch.pieces():
            call = self._calls.get(index)
            if call is not None:
                try:
                    self._on_block(call, Direction(channel), position, pcm)
                except Exception as error:  # one call's trouble is not the next one's
                    errors.append(error)
        if errors:
            raise ExceptionGroup(f"{len(errors)} of {len(batch)} blocks", errors[:3])

    def call_ended(self, call: CallInfo, report: CallReport) -> None:
        """Forget the call."""
        self._calls.pop(call.index, None)
        if self._on_end:
            self._on_end(call, report)

    def close(self) -> None:
        """Do nothing."""
