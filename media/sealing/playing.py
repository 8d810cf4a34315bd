"""What the records of a sealed file come to: audio, in order, whatever the order in which it was written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from media.sealing.records import BOTH, Kind, Record

CHANNELS = 2
BUCKET_FRAMES = 1 << 17
"""Records are looked for by where they begin; none is longer."""
_LENGTHS = (Kind.LENGTH, Kind.END)


class Tape:
    """Which record has which samples; their contents are fetched when they are asked for.

    Attributes:
        length_samples: per channel.
    """

    def __init__(self, records: Iterable[Record], dtype: np.dtype[Any], silence: int) -> None:
        """Take the records in the order in which they were written.

        Args:
            records: of one file; those that are no audio are passed over.
            dtype: of a sample.
            silence: a sample that is silent.
        """
        self._dtype, self._silence = dtype, silence
        self.length_samples = 0
        kept: list[Record] = []
        for record in records:
            if record.kind in (Kind.AUDIO, *_LENGTHS):
                kept.append(record)
                self.length_samples = length_after(self.length_samples, record)
        self._buckets: dict[int, list[tuple[Record, int]]] = defaultdict(list)
        last = self.length_samples
        for record in reversed(kept):  # what was cut off stays off, also when the file grew again
            if record.kind in _LENGTHS:
                last = min(last, record.position)
            else:
                self._buckets[record.position // BUCKET_FRAMES].append((record, last))

    def read(self, start: int, count: int, content: Callable[[Record], bytes]) -> NDArray[Any]:
        """Return (count, 2) frames from `start` on; where nothing was written there is silence."""
        frames = np.full((count, CHANNELS), self._silence, self._dtype)
        buckets = range(max(start // BUCKET_FRAMES - 1, 0), (start + count) // BUCKET_FRAMES + 1)
        found = [entry for bucket in buckets for entry in self._buckets.get(bucket, ())]
        for record, cut in sorted(found, key=lambda entry: entry[0].offset):
            first = max(record.position, start)
            last = min(record.position + record.count, start + count, cut)
            if first >= last:
                continue
            samples: NDArray[Any] = np.frombuffer(content(record), self._dtype)
            if record.channel == BOTH:
                samples = samples.reshape(-1, CHANNELS)
            target = frames if record.channel == BOTH else frames[:, record.channel]
            target[first - start : last - start] = samples[first - record.position : last - record.position]
        return frames


def length_after(length_samples: int, record: Record) -> int:
    """Return how long the audio is with one more record, per channel."""
    if record.kind is Kind.AUDIO:
        return max(length_samples, record.position + record.count)
    return record.position if record.kind in _LENGTHS else length_samples
