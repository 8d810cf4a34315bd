"""Files of audio, from anything that reads like one: by PyAV, or where it is missing, by libsndfile.

What is decoded comes from strangers. ffmpeg's libraries know playlists, session descriptions and other files that
name other places; they are given no protocol to open these with.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from media.codecs.pyav import EXTRA
from media.talk.contract import Pcm, PlaybackError
from media.talk.sources.conversion import MAX_CHANNELS, Mono, check_rate, converted, finite, mono, scaled, shown

SHORTFALL_S = 0.5
"""How much shorter than it says a file may be; encoders round to their frames."""
_TELLS_ITS_LENGTH = {"aiff", "au", "flac", "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2"}
"""Containers, by ffmpeg's name, whose own word on their length shows a truncation; others estimate or say nothing."""
_BLOCK_FRAMES = 16_384
_HINT = "WAV, FLAC, MP3, Ogg, MP4 and the like can be played; raw PCM only by an application, with rate_hz=..."

File = BinaryIO | io.RawIOBase
Rated = Iterator[tuple[Mono, int]]


def decoded(open_file: Callable[[], File], what: str, sample_rate_hz: int) -> Iterator[Pcm]:
    """Yield a file's audio as (n,) int16 at `sample_rate_hz`; the file is closed in the end.

    Args:
        open_file: makes the file object; raises PlaybackError.
        what: the file's name in errors.
        sample_rate_hz: of what is yielded.

    Raises:
        PlaybackError: it is no audio, or damaged, or shorter than it says; what could be decoded came before.
    """
    try:
        import av
    except ImportError:
        blocks = _by_soundfile
    else:
        av.logging.set_level(None)
        blocks = _by_pyav
    with open_file() as file:
        yield from converted(blocks(file, what), sample_rate_hz)


def import_decoders() -> None:
    """Import now what decoding takes: done by a worker while there are calls, it holds the event loop up as well."""
    import soxr  # noqa: F401

    try:
        import av  # noqa: F401
    except ImportError:
        import soundfile  # noqa: F401


def _refuse(url: str, flags: int, options: dict[str, str]) -> Any:
    raise PermissionError(f"{url} is not opened for another file")


def _by_pyav(file: File, what: str) -> Rated:
    import av

    try:
        container = av.open(
            file,
            "r",
            container_options={"protocol_whitelist": "none"},
            io_open=_refuse,
            **_lenient_about_tags(av.__version__),
        )
    except PlaybackError:
        raise
    except Exception as error:
        raise PlaybackError(f"{what} is no audio that can be decoded ({_reason(error)}); {_HINT}") from error
    with container:
        if not container.streams.audio:
            raise PlaybackError(f"{what} has no audio in it, only other media")
        yield from _packets(container, what)


def _lenient_about_tags(version: str) -> dict[str, Any]:
    """Return the option for tags in any encoding; from 19 on PyAV has no such option, and takes them all."""
    return {"metadata_errors": "replace"} if int(version.partition(".")[0]) < 19 else {}


def _packets(container: Any, what: str) -> Rated:
    """Yield what every packet decodes to; a damaged one is passed over, and told in the end."""
    import av

    stream = container.streams.audio[0]
    seconds, damaged = 0.0, 0
    for packet in _demultiplexed(container, what):
        try:
            frames = packet.decode()
        except av.FFmpegError:
            damaged += 1
            continue
        for frame in frames:
            check_rate(frame.sample_rate, what)
            seconds += frame.samples / frame.sample_rate
            yield _mono_of(frame, what), frame.sample_rate
    if not seconds:
        raise PlaybackError(f"{what} has no audio in it that can be decoded")
    promised_s = _promised_s(container, stream)
    if damaged or (promised_s is not None and promised_s - seconds > SHORTFALL_S):
        of_which = f" of {promised_s:.1f} s" if promised_s is not None else ""
        raise PlaybackError(f"{what} is truncated or damaged: {seconds:.1f} s{of_which} could be decoded")


def _demultiplexed(container: Any, what: str) -> Iterator[Any]:
    import av

    try:
        yield from container.demux(container.streams.audio[0])
    except (av.FFmpegError, OSError) as error:
        raise PlaybackError(f"{what} breaks off ({_reason(error)})") from error


def _promised_s(container: Any, stream: Any) -> float | None:
    """Return how long a file says it is, None where ffmpeg would estimate."""
    name = container.format.name
    # An MP3 has a length if it has a Xing or Info tag; that is also what gives it a delay, and so a later start.
    if name not in _TELLS_ITS_LENGTH and not (name == "mp3" and stream.start_time):
        return None
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return container.duration / 1_000_000 if container.duration else None


def _mono_of(frame: Any, what: str) -> Mono:
    channels = len(frame.layout.channels)
    if not 1 <= channels <= MAX_CHANNELS:
        raise PlaybackError(f"{what} has {channels} channels; 1 to {MAX_CHANNELS} can be played")
    samples = scaled(frame.to_ndarray())
    return finite(mono(samples.T if frame.format.is_planar else samples.reshape(-1, channels)))


def _by_soundfile(file: File, what: str) -> Rated:
    import soundfile

    if not file.seekable():
        file = _on_disk(file)
    try:
        with file, soundfile.SoundFile(file) as audio:
            check_rate(audio.samplerate, what)
            while len(block := audio.read(_BLOCK_FRAMES, "float32", always_2d=True)):
                yield finite(mono(block)), audio.samplerate
    except (soundfile.SoundFileError, OSError) as error:
        raise PlaybackError(
            f"{what} is no audio that libsndfile can decode ({_reason(error)}); more kinds with: {EXTRA}"
        ) from error


def _on_disk(file: File) -> Any:
    """Return a copy that can be sought in, and is not in memory."""
    copy = tempfile.TemporaryFile()  # noqa: SIM115
    shutil.copyfileobj(file, copy, _BLOCK_FRAMES)
    copy.seek(0)
    return copy


def _reason(error: Exception) -> str:
    """Return the library's own words in one line."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return shown(" ".join(text.split()))
