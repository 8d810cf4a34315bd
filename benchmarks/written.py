"""Are the files of the others that record what was sent? A mono WAV per stream, packet by packet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import wav
from benchmarks.referee import Truth, check_counts, mu_law_table
from strep.g711 import SAMPLE_RATE_HZ


def check_written(truth: Truth, directory: Path, sent: int, kernel_drops: int) -> Iterator[str]:
    """Every stream has a file, named for its SSRC, of exactly its packets in their order; only dropped ones miss."""
    table, written = mu_law_table(), 0
    for number, script in enumerate(truth.plan.scripts):
        path = directory / f"{int(script.ssrcs[0])}.wav"
        try:
            audio = wav.read(path)
        except (OSError, ValueError) as error:
            yield f"{path.name}: {error}"
            continue
        packets = table[truth.plan.payloads(number)]
        if (audio.tag, audio.rate_hz, audio.frames.shape[1]) != (wav.PCM, SAMPLE_RATE_HZ, 1):
            yield f"{path.name}: format {audio.tag}, {audio.rate_hz} Hz, {audio.frames.shape[1]} channels"
        elif len(audio.frames) % packets.shape[1] or not _in_order(
            packets, audio.frames.reshape(-1, packets.shape[1])
        ):
            yield f"{path.name}: the samples are not those that were sent"
        written += len(audio.frames) // packets.shape[1]
    yield from check_counts(sent, written, kernel_drops)


def _in_order(sent: NDArray[np.int16], found: NDArray[Any]) -> bool:
    """Tell whether all packets that were found were sent, in the same order, none twice."""
    packets = (packet.tobytes() for packet in sent)
    return all(packet.tobytes() in packets for packet in found)  # each search goes on where the one before ended
