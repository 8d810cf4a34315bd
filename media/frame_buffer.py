"""`FrameBuffer`: media frames that come one by one become one batch per beat, like datagrams do."""

from __future__ import annotations

from array import array

import numpy as np

from strep.frames import FrameBatch

_COLUMNS = 6


class FrameBuffer:
    """Collects frames that come one by one until the next beat, of one timeline."""

    def __init__(self, *, is_linear: bool = False) -> None:
        """Start empty; `is_linear` says that payloads are int16 PCM in the machine's byte order, not code bytes."""
        self._dtype = np.dtype(np.int16 if is_linear else np.uint8)
        self._places: list[int] = []
        self._rows = array("q")  # _COLUMNS numbers a frame
        self._payloads: list[bytes] = []

    def __len__(self) -> int:
        """Return the number of frames that wait."""
        return len(self._payloads)

    def add(
        self, slot: int, sequence_number: int, timestamp: int, generation: int, arrival_ns: int, payload: bytes
    ) -> None:
        """Append a frame; `sequence_number` modulo 2**16, `timestamp` modulo 2**32 in samples.

        `generation` counts how often the sender began to count anew; it is to the timeline what an SSRC is.
        An empty payload keeps its place in the sequence and counts as invalid.
        """
        self._rows.extend((slot, sequence_number, timestamp, generation, arrival_ns, len(payload)))
        self._payloads.append(payload)

    def add_place(
        self, slot: int, sequence_number: int, timestamp: int, generation: int, arrival_ns: int, *, is_audio: bool
    ) -> None:
        """Append a frame without samples; with `is_audio` it is counted as delivered, like comfort noise."""
        if is_audio:
            self._places.append(len(self._payloads))
        self.add(slot, sequence_number, timestamp, generation, arrival_ns, b"")

    def take(self) -> FrameBatch:
        """Return all frames in the order of their arrival, and start empty again."""
        rows = np.frombuffer(self._rows, np.int64).reshape(-1, _COLUMNS)
        slot, sequence_number, timestamp, generation, arrival_ns, length = rows.T.copy()
        n, width = len(rows), int(length.max(initial=0))
        if not (length == width).all():
            self._payloads = [payload.ljust(width, b"\0") for payload in self._payloads]
        size = self._dtype.itemsize
        table = np.frombuffer(b"".join(self._payloads), self._dtype).reshape(n, width // size)
        is_audio = length > 0
        is_audio[self._places] = True
        self._rows, self._payloads, self._places = array("q"), [], []
        return FrameBatch(
            slot=slot,
            sequence_number=sequence_number,
            timestamp=timestamp,
            ssrc=generation,
            arrival_ns=arrival_ns,
            is_audio=is_audio,
            table=table,
            row=np.arange(n),
            offset=np.zeros(n, np.int64),
            length=length if size == 1 else length // size,
        )
