"""The sample application, done well: our work, one packet at a time, as a user would write it on asyncio.

Per packet: the header by `struct`, the stream from a dict, sequence numbers and jitter (RFC 3550 A.1, A.8), order
within a few packets, the payload through a numpy table, and the samples into a `wave` file of the stream. So it
does more than the decoders, and less than we do: no stereo, no common timeline, no ledger, no sidecar, and a hole
is closed up instead of filled.
"""

from __future__ import annotations

import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contenders.per_packet import HEADERS, PCM_OF_PCMU, STREP_1, STREP_BYTES, ProtocolContender
from strep.g711 import SAMPLE_RATE_HZ

REORDERED = 3
"""A hole is waited for until so many packets have come behind it: 60 ms, as in our server."""
_NS_PER_SAMPLE = 1_000_000_000 // SAMPLE_RATE_HZ


class Recorder:
    """One direction of one leg, written to a mono file."""

    __slots__ = ("_file", "_held", "_transit", "count", "expected", "jitter", "late")

    def __init__(self, path: Path, sequence_number: int) -> None:
        """Create the file; the first packet is `sequence_number`."""
        self._file = wave.open(str(path), "wb")  # noqa: SIM115 - open for as long as the stream lasts
        self._file.setparams((1, 2, SAMPLE_RATE_HZ, 0, "NONE", ""))
        self._held: dict[int, bytes] = {}
        self._transit: int | None = None
        self.expected = sequence_number
        self.count = self.late = 0
        self.jitter = 0.0

    def receive(self, sequence_number: int, timestamp: int, payload: bytes) -> None:
        """Account for a packet and write what is in order now."""
        self.count += 1
        transit = time.monotonic_ns() // _NS_PER_SAMPLE - timestamp
        if self._transit is not None:
            self.jitter += (abs(transit - self._transit) - self.jitter) / 16
        self._transit = transit
        ahead = (sequence_number - self.expected) & 0xFFFF
        if ahead == 0:
            self._write(payload)
            self._write_held()
        elif ahead >= 0x8000:
            self.late += 1
        else:
            self._held[sequence_number] = payload
            if len(self._held) >= REORDERED:
                self._skip()

    def _skip(self) -> None:
        """Give the hole up, and go on behind it."""
        self.expected = min(self._held, key=lambda number: (number - self.expected) & 0xFFFF)
        self._write_held()

    def _write_held(self) -> None:
        while self._held and (payload := self._held.pop(self.expected, None)) is not None:
            self._write(payload)

    def _write(self, payload: bytes) -> None:
        self._file.writeframesraw(PCM_OF_PCMU.take(np.frombuffer(payload, np.uint8)).tobytes())
        self.expected = (self.expected + 1) & 0xFFFF

    def close(self) -> None:
        """Write what is still held, and the header."""
        while self._held:
            self._skip()
        self._file.close()


class Recorders:
    """All streams of a port."""

    def __init__(self, directory: Path) -> None:
        """Record into `directory`."""
        self.received = self.rejected = 0
        self._directory = directory
        self._recorders: dict[tuple[bytes, int], Recorder] = {}

    def receive(self, datagram: bytes) -> None:
        """Parse, find the stream, hand the payload over."""
        self.received += 1
        if len(datagram) < HEADERS.size:
            self.rejected += 1
            return
        first, header_bytes, leg, rtp_first, second, sequence_number, timestamp, ssrc = HEADERS.unpack_from(datagram)
        if first >> 2 != STREP_1 or header_bytes != STREP_BYTES or rtp_first != 0x80 or second & 0x7F:
            self.rejected += 1
            return
        recorder = self._recorders.get((leg, first & 3))
        if recorder is None:
            recorder = Recorder(self._directory / f"{ssrc}.wav", sequence_number)
            self._recorders[leg, first & 3] = recorder
        recorder.receive(sequence_number, timestamp, datagram[HEADERS.size :])

    def evidence(self, directory: Path) -> dict[str, Any]:
        """Return the totals; the rest of the evidence is in the files."""
        late = sum(recorder.late for recorder in self._recorders.values())
        return {"received": self.received, "rejected": self.rejected, "late": late}

    def close(self) -> None:
        """Finish all files."""
        for recorder in self._recorders.values():
            recorder.close()


class SampleApp(ProtocolContender):
    """On the event loop of the argument."""

    def __init__(self, argument: str, directory: Path) -> None:
        """Bind; files go to `directory`."""
        recorders = Recorders(directory)
        super().__init__(argument, directory, recorders)
        self._recorders = recorders

    def run(self, ready: Callable[[int], None]) -> None:
        """Receive until `stop`, then finish all files."""
        super().run(ready)
        self._recorders.close()
