"""`Weaver`: messages of one call into one stream of samples, every sample in its place: what `strep tap` writes.

The stream begins with the first message. Two tracks are interleaved, inbound first; where one has nothing, or nothing
yet when the other is `LAG_MS` ahead, there is silence. A patch finds its place as long as that has not been written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from media.feed.wire import Flag, PcmMessage, SampleFormat
from strep.g711 import Codec
from strep.header import Direction

LAG_MS = 500
"""How far one track may be behind the other and still be waited for."""
MOST_PAUSE_S = 24 * 3600
"""Further ahead nothing is believed to be."""
MOST_SAMPLES = 1 << 16
"""Written at a time: a pause of hours is silence of hours, and not as many megabytes at once."""


class Weaver:
    """One call, of one or two tracks.

    Attributes:
        tracks: which, in the order of their channels.
        written_samples: of each track.
        missing_samples: of these, silence where nothing had come, summed over the tracks.
        dropped_samples: what came too late to be written.
    """

    def __init__(self, tracks: Sequence[Direction]) -> None:
        """Begin without a message."""
        self.tracks = tuple(tracks)
        self.written_samples = self.missing_samples = self.dropped_samples = 0
        self._format: SampleFormat | None = None
        self._lag = 0
        self._at = 0  # the position of what is written next
        self._pieces: dict[Direction, list[tuple[int, NDArray[Any]]]] = {track: [] for track in self.tracks}
        self._ends: dict[Direction, int] = {}
        self._over: set[Direction] = set()

    def take(self, message: PcmMessage) -> Iterator[bytes]:
        """Take a message and yield what can be written by now.

        Raises:
            ValueError: it is of another track or format than those before, or more than a day ahead.
        """
        if self._format is None:
            self._format, self._at = message.format, message.position_samples
            self._lag = message.sample_rate_hz * LAG_MS // 1000
        if message.format is not self._format or message.track not in self.tracks:
            raise ValueError(f"a message of {message.track.name} in {message.format.name} among others")
        if message.position_samples - self._at > MOST_PAUSE_S * message.sample_rate_hz:
            raise ValueError(f"a message more than {MOST_PAUSE_S // 3600} hours behind the one before it")
        self._place(message)
        if Flag.END in message.flags:
            self._over.add(message.track)
        return self._write(self._due())

    def finish(self) -> Iterator[bytes]:
        """Yield the rest: no message follows."""
        return self._write(max(self._ends.values(), default=self._at))

    def _place(self, message: PcmMessage) -> None:
        track, start = message.track, message.position_samples
        samples: NDArray[Any] = np.frombuffer(message.payload, message.format.dtype)
        late = min(max(self._at - start, 0), len(samples))
        self.dropped_samples += late
        if late < len(samples):
            self._pieces[track].append((start + late, samples[late:]))
        self._ends[track] = max(self._ends.get(track, self._at), start + len(samples))

    def _due(self) -> int:
        """Return up to where both tracks have come, or one need not be waited for any more."""
        head = max(self._ends.values())
        behind = [self._ends.get(track, self._at) for track in self.tracks if track not in self._over]
        return max(min(behind, default=head), head - self._lag)

    def _write(self, until: int) -> Iterator[bytes]:
        while self._at < until:
            assert self._format is not None
            count = min(until - self._at, MOST_SAMPLES)
            silence = Codec.PCMU.silence if self._format is SampleFormat.MULAW else 0
            block = np.full((count, len(self.tracks)), silence, self._format.dtype)
            for channel, track in enumerate(self.tracks):
                self.missing_samples += count - self._fill(block[:, channel], track)
            self._at += count
            self.written_samples += count
            yield block.tobytes()

    def _fill(self, column: NDArray[Any], track: Direction) -> int:
        """Put what there is of `track` into the samples from `_at` on; return how many came, patches aside."""
        rest, filled = [], 0
        for start, samples in self._pieces[track]:
            offset = start - self._at
            now = samples[: max(len(column) - offset, 0)]
            column[offset : offset + len(now)] = now
            filled += len(now)
            if len(now) < len(samples):
                rest.append((start + len(now), samples[len(now) :]))
        self._pieces[track] = rest
        return min(filled, len(column))
