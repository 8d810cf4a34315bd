"""What callers say in `benchmarks.talk`: noise, a frame every 20 ms by an absolute clock; and was it recorded so?"""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np

from benchmarks import wav
from benchmarks.referee import mu_law_table
from strep.clock import NS_PER_MS

FRAME_MS, FRAME_SAMPLES = 20, 160
TICK_S = 0.005


class Caller:
    """One who talks without end.

    Attributes:
        sent: frames so far.
        late_ns: by how much the latest of them was late: the caller's own doing.
    """

    def __init__(self, stream_id: str, code_bytes: bytes, write: Callable[[bytes], None]) -> None:
        """Say `code_bytes`, over and over, by `write`, from now on."""
        self.stream_id = stream_id
        self.sent = self.late_ns = 0
        self._code_bytes, self._write = code_bytes, write
        self._next_ns = time.monotonic_ns()

    def talk(self, now_ns: int) -> None:
        """Send what is due."""
        while self._next_ns <= now_ns:
            self.late_ns = max(self.late_ns, now_ns - self._next_ns)
            self._write(self._frame(self.sent))
            self.sent += 1
            self._next_ns += FRAME_MS * NS_PER_MS

    def _frame(self, number: int) -> bytes:
        """Return frame `number` as a masked text frame, the mask being zero (RFC 6455 section 5.2)."""
        begin = number * FRAME_SAMPLES % len(self._code_bytes)
        payload = b64encode(self._code_bytes[begin : begin + FRAME_SAMPLES]).decode()
        text = (
            f'{{"event":"media","stream_id":"{self.stream_id}","sequence_number":"{number + 2}","media":{{"track":'
            f'"inbound","chunk":"{number + 1}","timestamp":"{number * FRAME_MS}","payload":"{payload}"}}}}'
        ).encode()
        return b"\x81\xfe" + len(text).to_bytes(2, "big") + b"\0\0\0\0" + text

    def complaints(self, directory: Path) -> Iterator[str]:
        """Is the recording what was said, to the sample?"""
        try:
            audio = wav.read(directory / f"{self.stream_id}.wav")
            sidecar = msgspec.json.decode((directory / f"{self.stream_id}.json").read_bytes())
        except (OSError, ValueError) as error:
            yield f"{self.stream_id}: {error}"
            return
        [track] = [track for track in sidecar["tracks"] if track["direction"] == "inbound"]
        said = mu_law_table()[np.resize(np.frombuffer(self._code_bytes, np.uint8), self.sent * FRAME_SAMPLES)]
        start = track["start_samples"]  # the other channel, what was played, may be longer
        if track["length_samples"] != len(said) or not np.array_equal(audio.frames[start:, 0][: len(said)], said):
            yield f"{self.stream_id}: the recording is not what the caller said"


async def keep_talking(callers: list[Caller]) -> None:
    """Let all of them talk, and those that are added meanwhile, until cancelled."""
    while True:
        now_ns = time.monotonic_ns()
        for caller in callers:
            caller.talk(now_ns)
        await asyncio.sleep(TICK_S)
