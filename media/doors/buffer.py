"""`FrameBuffer`: media frames that come one by one become one batch per beat, like datagrams do."""

from __future__ import annotations

from array import array

import numpy as np

from strep.frames import FrameBatch

_COLUMNS = 6


class FrameBuffer:
    """Collects frames of WebSocket streams until the next beat."""

    def __init__(self) -> None:
        """Start empty."""
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

    def take(self) -> FrameBatch:
        """Return all frames in the order of their arrival, and start empty again."""
        rows = np.frombuffer(self._rows, np.int64).reshape(-1, _COLUMNS)
        slot, sequence_number, timestamp, generation, arrival_ns, length = rows.T.copy()
        n, width = len(rows), int(length.max(initial=0))
        if not (length == width).all():
            self._payloads = [payload.ljust(width, b"\0") for payload in self._payloads]
        table = np.frombuffer(b"".join(self._payloads), np.uint8).reshape(n, width)
        self._rows, self._payloads = array("q"), []
        return FrameBatch(
            slot=slot,
            sequence_number=sequence_number,
            timestamp=timestamp,
            ssrc=generation,
            arrival_ns=arrival_ns,
            is_audio=length > 0,
            table=table,
            row=np.arange(n),
            offset=np.zeros(n, np.int64),
            length=length,
        )
