"""Makes ``conversation.wav``: two people, one on each channel, who take turns and now and then interrupt.

``python -m media.carrier.make_conversation`` needs the program espeak-ng (``apt-get install espeak-ng``).
The file it wrote is part of the project, so only those who want other words need that.
"""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from media.carrier.audio import CONVERSATION
from strep.errors import ConfigurationError
from strep.g711 import SAMPLE_RATE_HZ

DURATION_SAMPLES = 20 * SAMPLE_RATE_HZ
_PEAK = 12_000
_SPEED_WORDS_PER_MINUTE = 185
_VOICES = ("en-gb+f3", "en-us+m3")
"""Of the left (inbound) and the right (outbound) channel."""


class Line(NamedTuple):
    """Something said: by which channel, how long after the end of the line before (negative interrupts)."""

    channel: int
    after_seconds: float
    text: str


SCRIPT = (
    Line(1, 0.3, "Northwind Bicycles, this is Tom. How can I help you?"),
    Line(0, 0.3, "Hello, this is Anna Keller. I am calling about my repair."),
    Line(1, -0.2, "Sure. Do you have the order number?"),
    Line(0, 0.3, "Yes, it is four, seven, one, nine."),
    Line(1, 0.4, "Thank you. It will be ready on Friday at noon."),
    Line(0, -0.3, "Oh, wonderful. What do I owe you?"),
    Line(1, 0.3, "Sixty two pounds."),
    Line(0, 0.3, "Perfect, see you on Friday."),
)


def speak(text: str, voice: str) -> NDArray[np.int16]:
    """Return `text` spoken by espeak-ng, (samples,) int16 at 8 kHz, without the silence around it.

    Raises:
        ConfigurationError: there is no espeak-ng, or it does not work.
    """
    program = shutil.which("espeak-ng")
    if program is None:
        raise ConfigurationError("espeak-ng is not installed; on Debian and Ubuntu: apt-get install espeak-ng")
    command = [program, "-v", voice, "-s", str(_SPEED_WORDS_PER_MINUTE), "--stdout", text]
    result = subprocess.run(command, capture_output=True, check=False)
    if result.returncode:
        raise ConfigurationError(f"espeak-ng ended with status {result.returncode}: {result.stderr!r}")
    try:
        # The length in espeak-ng's header is a placeholder; soundfile takes what is there.
        frames, rate_hz = soundfile.read(io.BytesIO(result.stdout), dtype="float64")
    except soundfile.SoundFileError as error:
        raise ConfigurationError(f"espeak-ng gave no audio: {error}") from error
    resampled = soxr.resample(frames, rate_hz, SAMPLE_RATE_HZ)
    loud = np.flatnonzero(np.abs(resampled) > 0.01 * np.abs(resampled).max())
    voiced = resampled[loud[0] : loud[-1] + 1]
    pcm: NDArray[np.int16] = (voiced * (_PEAK / np.abs(voiced).max())).astype(np.int16)
    return pcm


def make(script: tuple[Line, ...] = SCRIPT, duration_samples: int = DURATION_SAMPLES) -> NDArray[np.int16]:
    """Return the conversation, (2, duration_samples) int16.

    Raises:
        ConfigurationError: it does not fit.
    """
    tracks = np.zeros((2, duration_samples), np.int16)
    end = 0
    for channel, after_seconds, text in script:
        spoken = speak(text, _VOICES[channel])
        start = max(0, end + int(after_seconds * SAMPLE_RATE_HZ))
        end = start + len(spoken)
        if end > duration_samples:
            seconds = duration_samples / SAMPLE_RATE_HZ
            raise ConfigurationError(f"the conversation is longer than {seconds:g} s at {text!r}")
        tracks[channel, start:end] = spoken
    return tracks


@click.command(help=__doc__)
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), default=CONVERSATION)
def main(path: Path) -> None:
    """Write the conversation to `path`."""
    try:
        tracks = make()
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from error
    soundfile.write(path, tracks.T, SAMPLE_RATE_HZ, subtype="PCM_16")
    click.echo(f"{path}: {tracks.shape[1] / SAMPLE_RATE_HZ:g} s, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
