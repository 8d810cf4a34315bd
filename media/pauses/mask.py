"""`PauseMask`: audio as sensitive sinks get it, silent where its call is paused.

It is one object in front of all of them, so that they obey in the same sample. As long as no live call was ever
paused the mask is false, and to see that is all it costs. Then it is one look per batch at which rows lie between the
first pause and the last of their calls; if any does, rows are masked in a copy of the batch's code bytes: at once
those that lie in pauses that go on, and one by one those at the edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from media.blocks import PcmBatch
from media.pauses.spans import BEGINNING, FOREVER, Pause
from media.sinks.contract import CallInfo
from strep.g711 import LINEAR, Codec

_NOWHERE = (FOREVER, BEGINNING)
_NOT_OPEN = (FOREVER, FOREVER)
SILENCE = {int(codec): codec.silence for codec in Codec} | {LINEAR: 0}
"""By `PcmBatch.codec`."""
_SILENCE = np.zeros(256, np.int16)
_SILENCE[list(SILENCE)] = list(SILENCE.values())


class PauseMask:
    """The pauses of all live calls; true when there is one."""

    def __init__(self) -> None:
        """Start without a call."""
        self._calls: dict[int, CallInfo] = {}
        # By index; the last row is that of none.
        self._reach = np.array([_NOWHERE], np.int64)  # from the first pause to the last
        self._open = np.array([_NOT_OPEN], np.int64)  # of the pause that goes on: from where on, per channel

    def __bool__(self) -> bool:
        """Return whether any live call was ever paused."""
        return bool(self._calls)

    def update(self, call: CallInfo) -> None:
        """Take note that a pause of `call` has begun or ended."""
        if call.index >= len(self._reach) - 1:
            missing = 2 * call.index + 64 - len(self._reach)
            self._reach = np.concatenate([self._reach, np.full((missing, 2), _NOWHERE)])
            self._open = np.concatenate([self._open, np.full((missing, 2), _NOT_OPEN)])
        self._calls[call.index] = call
        last = call.pauses[-1]
        self._reach[call.index] = min(call.pauses[0].starts), last.end_samples
        self._open[call.index] = last.starts if last.is_open else _NOT_OPEN

    def forget(self, call: CallInfo) -> None:
        """Take note that `call` has ended, and all of its audio is handed out."""
        if self._calls.get(call.index) is call:
            del self._calls[call.index]
            self._reach[call.index], self._open[call.index] = _NOWHERE, _NOT_OPEN

    def apply(self, batch: PcmBatch) -> PcmBatch:
        """Return the batch with the codec's silence in the place of what is paused: itself, if nothing is."""
        width = batch.encoded.shape[1]
        reach = self._reach.take(batch.call, axis=0, mode="clip")
        touched = (batch.positions + width > reach[:, 0]) & (batch.positions < reach[:, 1])
        if not touched.any():
            return batch
        encoded = batch.encoded.copy()
        inside = self._open.take(batch.call * 2 + batch.channel, mode="clip") <= batch.positions
        inside &= touched
        encoded[inside] = _SILENCE[batch.codec[inside]].astype(encoded.dtype)[:, None]
        rows = np.flatnonzero(touched & ~inside)
        columns = (rows, batch.call[rows], batch.channel[rows], batch.positions[rows], batch.codec[rows])
        for row, index, channel, position, codec in zip(*(column.tolist() for column in columns), strict=True):
            _silence(encoded[row], self._calls[index].pauses, channel, position, SILENCE[codec])
        return replace(batch, encoded=encoded, _pcm=None)


def _silence(
    row: NDArray[np.uint8] | NDArray[np.int16], pauses: Sequence[Pause], channel: int, position: int, silence: int
) -> None:
    """Write silence over what is paused of the row whose column 0 is at `position`, whether valid or not."""
    for pause in reversed(pauses):
        if pause.end_samples <= position:
            return
        row[max(pause.starts[channel] - position, 0) : max(pause.end_samples - position, 0)] = silence
