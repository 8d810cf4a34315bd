"""Code bytes of one law of G.711 as those of the other: a file has one, and the two sides of a call may differ."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from media.blocks import PcmBatch
from strep.g711 import Codec, transcode_table


def in_laws(batch: PcmBatch, laws: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the code bytes of `batch`, (n, block_samples) uint8, each row in its one of `laws`, (n,) of `Codec`."""
    other = laws != batch.codec
    if not other.any():
        return batch.encoded
    rows = batch.encoded.copy()
    for source, target in ((Codec.PCMU, Codec.PCMA), (Codec.PCMA, Codec.PCMU)):
        chosen = other & (batch.codec == source)
        rows[chosen] = transcode_table(source, target).take(rows[chosen])
    return rows
