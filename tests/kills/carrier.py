"""The simulated carrier in a thread: it sends until it is told to stop, and knows what it has sent to the sample.

It speaks noise that is never silent, so that a sample that is 0 in a file is one that is not there, and a dozen of
them say where in what was sent they belong.
"""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from benchmarks.referee import mu_law_table
from media.carrier.options import SimulationOptions
from media.carrier.simulation import Simulation, Target
from media.carrier.steady import Steady

RATE_HZ = 8000
PACKET_NS, PACKET_SAMPLES = 20_000_000, 160
_LOOP_S = 30
_SILENT = (0x7F, 0xFF)
"""Codes that stand for 0 (ITU-T G.711)."""


def noise(seed: int) -> NDArray[np.int16]:
    """Return (n, 2) int16: half a minute of what G.711 has room for, and none of it 0."""
    codes = np.setdiff1d(np.arange(256), _SILENT)
    spoken: NDArray[np.int16] = mu_law_table()[np.random.default_rng(seed).choice(codes, (_LOOP_S * RATE_HZ, 2))]
    return spoken


class Carrier(threading.Thread):
    """Sends `calls` calls in real time, beginning at once.

    Attributes:
        names: call_leg_id of each call.
        loop: (n, 2) int16, what each call says and hears, over and over.
    """

    def __init__(self, calls: int, port: int, folder: Path, seed: int = 1, longest_s: float = 7200.0) -> None:
        super().__init__(name="carrier", daemon=True)
        self.loop = noise(seed)
        audio = folder / "noise.wav"
        soundfile.write(audio, self.loop, RATE_HZ, subtype="PCM_16")
        options = SimulationOptions(calls=calls, seconds=longest_s, audio=audio, seed=seed)
        self._simulation, self._port = Simulation(options), port
        steady = Steady(options)
        scripts = [steady.scripts[track] for track in range(0, 2 * calls, 2)]
        self.names = [str(script.call_leg_id) for script in scripts]
        self._starts_ns = np.array([script.start_ns for script in scripts])
        self._steady, self._sent = steady, 0
        self._stopping = threading.Event()
        self.start()

    def run(self) -> None:
        """Send until `stop`."""
        asyncio.run(self._run())

    async def _run(self) -> None:
        sending = asyncio.create_task(
            self._simulation.run(Target(udp=("127.0.0.1", self._port)), on_progress=self._progress)
        )
        await asyncio.to_thread(self._stopping.wait)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)

    def _progress(self, sent: int) -> None:
        self._sent = sent

    def stop(self) -> None:
        """Stop, and wait until nothing is sent any more."""
        self._stopping.set()
        self.join()

    def sent_samples(self) -> NDArray[np.int64]:
        """Return (calls,) int64: how many samples of each direction have been sent."""
        if not (sent := self._sent):
            return np.zeros(len(self.names), np.int64)
        now_ns = int(self._steady.times(sent - 1, sent)[0])
        samples: NDArray[np.int64] = ((now_ns - self._starts_ns) // PACKET_NS + 1) * PACKET_SAMPLES
        return np.maximum(samples, 0)
