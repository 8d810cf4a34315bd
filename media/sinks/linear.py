"""`LinearCalls`: recordings of calls that are PCM already, at any rate, row by row.

Each of their frames has cost a Python call to decode, so there are few enough of them for a plain way of writing:
every call has half a second or so of both channels in an array of its own, interleaved as the file wants it. The
rules of `media.sinks.recording` hold here as well.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from media.blocks import PcmBatch
from media.sinks.recorded_call import RecordedCall
from strep.clock import NS_PER_MS

CHANNELS = 2
LAG_MS = 150
"""How far the file may be behind the further channel of a call, waiting for the other one."""
STEP_MS = 500
"""So much is written at a time; `media.sinks.recording.FLUSH_SAMPLES` says what a killed process loses by that."""
AGED_NS = 800 * NS_PER_MS
"""What waited for so long is written, however little."""


class LinearCall:
    """What of one call is not in its file yet.

    Attributes:
        recording: its file.
        patched_samples: put into a part of the file that had been written.
        since_ns: when the oldest sample came that waits.
    """

    def __init__(self, recording: RecordedCall) -> None:
        """Begin where the file ends."""
        rate_hz = recording.call.sample_rate_hz
        self.recording = recording
        self.patched_samples = 0
        self.since_ns = 0
        self._step, self._lag = rate_hz * STEP_MS // 1000, rate_hz * LAG_MS // 1000
        self._base = recording.next_samples  # a take begins behind the call's position 0
        self._ends = [self._base, self._base]
        self._frames = np.zeros((2 * self._step + self._lag, CHANNELS), "<i2")

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return max(self._ends) == self._base

    def place(self, channel: int, position: int, pcm: NDArray[np.int16], now_ns: int) -> None:
        """Put samples where they belong: the file, or what waits for it."""
        position += self.recording.offset_samples
        if position < 0:  # before the origin there is no file
            position, pcm = 0, pcm[-position:]
        early = min(max(self._base - position, 0), len(pcm))
        if early:
            self.recording.patch(channel, position, pcm[:early])
            self.patched_samples += early
            position, pcm = position + early, pcm[early:]
        while len(pcm):
            offset = position - self._base
            if offset >= len(self._frames):
                self.write_all(now_ns)
                self._base = position
                self._ends = [position, position]
                continue
            if self.is_empty:
                self.since_ns = now_ns
            piece = pcm[: len(self._frames) - offset]
            self._frames[offset : offset + len(piece), channel] = piece
            self._ends[channel] = max(self._ends[channel], position + len(piece))
            position, pcm = position + len(piece), pcm[len(piece) :]

    def write_due(self, now_ns: int) -> None:
        """Write half a second and more, up to where both channels have come or one lags too far behind."""
        head, tail = max(self._ends), min(self._ends)
        until = max(tail, head - self._lag) if tail > self._base else head
        if until - self._base >= self._step:
            self._write(until, now_ns)

    def sweep(self, now_ns: int) -> None:
        """Write what has waited for long."""
        if self.since_ns <= now_ns - AGED_NS:
            self.write_all(now_ns)

    def write_all(self, now_ns: int) -> None:
        """Write everything that waits."""
        if not self.is_empty:
            self._write(max(self._ends), now_ns)

    def _write(self, until: int, now_ns: int) -> None:
        count, head = until - self._base, max(self._ends) - self._base
        self.recording.write(self._base, self._frames[:count])
        rest = self._frames[count:head].copy()
        self._frames[:head] = 0
        self._frames[: len(rest)] = rest
        self._base, self.since_ns = until, now_ns
        self._ends = [max(end, until) for end in self._ends]


class LinearCalls:
    """The calls of a recording sink that are PCM, by `CallInfo.index`."""

    def __init__(self) -> None:
        """Start without a call."""
        self._calls: dict[int, LinearCall] = {}
        self._patched_before = 0

    def __len__(self) -> int:
        """Return how many calls are being recorded."""
        return len(self._calls)

    @property
    def patched_samples(self) -> int:
        """Samples put into a part of a file that had been written."""
        return self._patched_before + sum(call.patched_samples for call in list(self._calls.values()))

    def add(self, recording: RecordedCall) -> None:
        """Begin to record a call."""
        self._calls[recording.call.index] = LinearCall(recording)

    def receive(self, batch: PcmBatch) -> None:
        """Take the rows of PCM."""
        for index, channel, position, pcm in batch.pieces():
            call = self._calls.get(index)
            if call is not None:
                try:
                    call.place(channel, position, pcm, batch.now_ns)
                    call.write_due(batch.now_ns)
                except Exception as error:  # a mistake of ours costs this recording and no other
                    call.recording.fail(error)
                self._drop_failed(call)

    def sweep(self, now_ns: int) -> None:
        """Write what has waited for long."""
        for call in list(self._calls.values()):
            try:
                call.sweep(now_ns)
            except Exception as error:
                call.recording.fail(error)
            self._drop_failed(call)

    def remove(self, index: int, now_ns: int) -> None:
        """Write all that waits of a call that ends; nothing happens if it is not here."""
        call = self._calls.pop(index, None)
        if call is not None:
            call.write_all(now_ns)
            self._patched_before += call.patched_samples

    def _drop_failed(self, call: LinearCall) -> None:
        if call.recording.wav is None:
            self._patched_before += call.patched_samples
            del self._calls[call.recording.call.index]
