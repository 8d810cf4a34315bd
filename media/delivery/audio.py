"""The audio of a finished recording, in blocks: an hour or ten take the same memory.

Silence at the beginning and the end is found by this rule: the audio is looked at in frames of `FRAME_MS`; a frame is
silence if in no channel its RMS level reaches `SILENCE_DBFS`. What lies before the first frame that is not, and
behind the last, is silence, but `KEPT_MS` of it stay on either side, for words begin softly. A recording without any
frame that is not silence is left as it is. The threshold is below speech (-40 to -15 dBFS) and above what a line
without anybody has on it (comfort noise, -60 dBFS and less).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FRAME_MS = 20
SILENCE_DBFS = -50.0
KEPT_MS = 100
BLOCK_SAMPLES = 1 << 16

Pcm = NDArray[np.int16]
"""(n, channels)."""


@dataclass(frozen=True, slots=True)
class Audio:
    """A file that can be read, or a part of it.

    Attributes:
        path: of a WAV, RF64 included, in PCM16 or a law of G.711, or of any file that libsndfile reads.
        sample_rate_hz: of it.
        channels: of it.
        first, last: the part, samples per channel.
    """

    path: Path
    sample_rate_hz: int
    channels: int
    first: int
    last: int

    @classmethod
    def of(cls, path: Path) -> Audio:
        """Return the whole file.

        Raises:
            ValueError: it is no audio that can be read.
            OSError: it cannot be opened.
        """
        with _opened(path) as file:
            return cls(path, file.samplerate, file.channels, 0, file.frames)

    @property
    def length_samples(self) -> int:
        """Of the part."""
        return self.last - self.first

    def blocks(self) -> Iterator[Pcm]:
        """Yield the part in order.

        Raises:
            ValueError: it ends early.
        """
        with _opened(self.path) as file:
            file.seek(self.first)
            position = self.first
            while position < self.last:
                block: Pcm = file.read(min(BLOCK_SAMPLES, self.last - position), dtype="int16", always_2d=True)
                if not len(block):
                    raise ValueError(f"{self.path.name} ends at sample {position}, not at {self.last}")
                position += len(block)
                yield block

    def sounding(self) -> tuple[int, int]:
        """Return where the part without silence at its ends begins and ends; see above."""
        frame = self.sample_rate_hz * FRAME_MS // 1000
        kept = self.sample_rate_hz * KEPT_MS // 1000
        step = BLOCK_SAMPLES // frame * frame
        with _opened(self.path) as file:

            def loud_at(position: int) -> NDArray[np.intp]:
                """Return where frames of the block at `position` begin that are not silence."""
                file.seek(position)
                block = file.read(min(step, self.last - position), dtype="int16", always_2d=True)
                return np.flatnonzero(_is_loud(block, frame)) * frame + position

            starts = range(self.first, self.last, step)
            first = next((int(loud[0]) for loud in map(loud_at, starts) if len(loud)), None)
            if first is None:
                return self.first, self.last
            last = next(int(loud[-1]) + frame for loud in map(loud_at, reversed(starts)) if len(loud))
        return max(first - kept, self.first), min(last + kept, self.last)


def _is_loud(block: Pcm, frame: int) -> NDArray[np.bool_]:
    """Return for each frame of the block, a last partial one included, whether it is not silence."""
    lacking = -len(block) % frame
    padded = np.pad(block.astype(np.float32), ((0, lacking), (0, 0)))
    power = np.square(padded.reshape(-1, frame, block.shape[1])).mean(axis=1)
    threshold = 32_768.0 * 10.0 ** (SILENCE_DBFS / 20)
    return np.asarray(power.max(axis=1, initial=0.0) >= threshold**2)


def _opened(path: Path) -> Any:
    import soundfile

    path.stat()  # an OSError that says what is wrong
    try:
        return soundfile.SoundFile(path)
    except soundfile.LibsndfileError as error:
        raise ValueError(f"{path.name} cannot be read as audio: {error.error_string}") from None
