"""`PcmBatch`: what the timeline hands to the sinks, one row per track that has a block ready."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strep.frames import Samples
from strep.g711 import Codec, decode
from strep.table import Beyond

_COLUMNS = ("call", "channel", "positions", "first", "last", "codec", "encoded")


@dataclass(slots=True)
class PcmBatch:
    """Blocks of many tracks, all of one sample rate, released in the same tick.

    A row is ``block_samples`` long and lies on its call's timeline from ``positions[row]`` on; only the
    columns ``first[row]`` to ``last[row]`` (exclusive) are audio to be used: a track's first and last
    blocks, and blocks at an interruption, are partial. Rows of one track follow one another without a gap
    except where the ledger says so. Samples lost in the network hold the codec's silence.

    The arrays belong to the batch and are not written again: a sink may keep them, but must not change them.

    Attributes:
        call: (n,) int32, the `CallInfo.index` of the row's call.
        channel: (n,) uint8, 0 inbound (left), 1 outbound (right).
        positions: (n,) int64, samples since the call's origin of the row's column 0; it may be negative
            when ``first`` is not 0.
        first: (n,) int32, first valid column.
        last: (n,) int32, end of the valid columns (exclusive).
        codec: (n,) uint8, a `strep.g711.Codec` value, or `strep.g711.LINEAR` for all rows.
        encoded: (n, block_samples) uint8, code bytes as the carrier sent them; where `codec` is LINEAR, int16 PCM.
        sample_rate_hz: of every row.
        late: true for a patch: packets that came after their block was released. A recording puts them
            in their place; a live sink ignores them.
        now_ns: monotonic time of the release. An empty batch is a tick of the clock and nothing else.
        lost: (k, 3) int64, the row, the first and the end column (exclusive) of every stretch of silence that stands
            for packets that were lost; empty in a patch. Of a gap longer than the timeline's ring only the ledger
            tells.
        beyond: by row, what is known behind its end where the row's last loss is near, if anybody conceals it.
        follows_dropped: the sink was too slow, and of what came right before this batch it gets nothing.
    """

    call: NDArray[np.int32]
    channel: NDArray[np.uint8]
    positions: NDArray[np.int64]
    first: NDArray[np.int32]
    last: NDArray[np.int32]
    codec: NDArray[np.uint8]
    encoded: Samples
    sample_rate_hz: int = 8000
    late: bool = False
    now_ns: int = 0
    lost: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 3), np.int64))
    beyond: dict[int, Beyond] = field(default_factory=dict)
    follows_dropped: bool = False
    _pcm: NDArray[np.int16] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.call)

    @property
    def size_bytes(self) -> int:
        """Memory that the batch holds on to while it waits in a queue, its decoded form included."""
        decoded_bytes = 0 if self.is_linear else 2 * int(self.encoded.nbytes)
        return int(self.encoded.nbytes) + decoded_bytes + 32 * len(self.call)

    @property
    def is_linear(self) -> bool:
        """Whether the rows are PCM already."""
        return self.encoded.dtype == np.int16

    @property
    def pcm(self) -> NDArray[np.int16]:
        """(n, block_samples) int16 linear PCM, decoded at the first use and shared by all sinks."""
        if self._pcm is None:
            self._pcm = _decode(self.encoded, self.codec)
        return self._pcm

    def pieces(self) -> Iterator[tuple[int, int, int, NDArray[np.int16]]]:
        """Yield what is valid of each row that has anything: its call's index, channel, position, and PCM, a view."""
        columns = (self.call, self.channel, self.positions, self.first, self.last)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        for (index, channel, position, first, last), pcm in zip(rows, self.pcm, strict=True):
            if first < last:
                yield index, channel, position + first, pcm[first:last]

    def take(self, kept: NDArray[np.bool_]) -> PcmBatch:
        """Return a batch of the rows where `kept` ((n,) bool) is true."""
        lost, row = self.lost[kept[self.lost[:, 0]]], np.cumsum(kept) - 1
        lost[:, 0] = row[lost[:, 0]]
        beyond = {int(row[old]): known for old, known in self.beyond.items() if kept[old]}
        columns = {name: getattr(self, name)[kept] for name in _COLUMNS}
        return replace(self, _pcm=None, lost=lost, beyond=beyond, **columns)

    @classmethod
    def tick(cls, now_ns: int) -> PcmBatch:
        """Return a batch without rows."""
        none: NDArray[Any] = np.empty(0, np.int64)
        encoded = np.empty((0, 0), np.uint8)
        i4, u1 = none.astype(np.int32), none.astype(np.uint8)
        return cls(i4, u1, none, i4, i4, u1, encoded, now_ns=now_ns)


def _decode(encoded: Samples, codec: NDArray[np.uint8]) -> NDArray[np.int16]:
    if encoded.dtype == np.int16:
        linear: NDArray[np.int16] = encoded.view(np.int16)
        return linear
    encoded = encoded.view(np.uint8)
    is_alaw = codec == Codec.PCMA
    if not is_alaw.any():
        return decode(encoded, Codec.PCMU)
    pcm = decode(encoded, Codec.PCMA)
    if not is_alaw.all():
        pcm[~is_alaw] = decode(encoded[~is_alaw], Codec.PCMU)
    return pcm
