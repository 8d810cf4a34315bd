"""PyAV, which carries G.722 and Opus: where it is missing, and how samples go in and out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from media.talk.contract import Pcm
from strep.errors import ConfigurationError

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext
    from av.audio.frame import AudioFrame

EXTRA = "pip install '/path/to/strep[codecs]'"


def av(purpose: str) -> Any:
    """Return the module `av`, quiet.

    Raises:
        ConfigurationError: it is not installed; the text says what `purpose` needs and how to get it.
    """
    try:
        import av
    except ImportError as error:
        raise ConfigurationError(f"{purpose} needs PyAV, which is not installed: {EXTRA}") from error
    return av


def context(codec: str, mode: str, sample_rate_hz: int, purpose: str, **options: str) -> AudioCodecContext:
    """Return a mono codec context, "r" to decode, "w" to encode from int16.

    Raises:
        ConfigurationError: PyAV is missing, or built without the codec.
    """
    module = av(purpose)
    try:
        made: AudioCodecContext = module.CodecContext.create(codec, mode)
    except (ValueError, module.FFmpegError) as error:
        raise ConfigurationError(f"{purpose} needs {codec}, which this PyAV lacks; its wheels have it") from error
    made.sample_rate = sample_rate_hz
    made.layout = "mono"
    if mode == "w":
        made.format = "s16"
    made.options = options
    return made


def frame_of(pcm: Pcm, sample_rate_hz: int) -> AudioFrame:
    """Return (n,) int16 as a frame."""
    from av.audio.frame import AudioFrame

    frame = AudioFrame.from_ndarray(pcm[None, :], format="s16", layout="mono")
    frame.sample_rate = sample_rate_hz
    return frame


def pcm_of(frames: list[AudioFrame]) -> Pcm:
    """Return mono int16 frames as (n,) int16."""
    if len(frames) == 1:
        return np.asarray(frames[0].to_ndarray()[0], np.int16)
    return np.concatenate([np.zeros(0, np.int16), *(frame.to_ndarray()[0] for frame in frames)]).astype(np.int16)
