"""Files of audio that an application plays, of any kind and from anywhere, by PyAV and by libsndfile.

Promises: `PlaybackError` is the only exception, its text is one line; what is heard is mono and bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO

import numpy as np

from media.talk.contract import Pcm, PlaybackError
from media.talk.sources.conversion import converted
from media.talk.sources.decoding import _by_soundfile, decoded
from tests.fuzz.guided.target import Bytes, Target
from tests.fuzz.test_source_fuzz import MOST_SAMPLES
from tests.talk.sources.listening import file_of, hum

KINDS = ["WAV", "MP3", "FLAC", "OGG", "AIFF", "AU", "W64", "CAF"]


def check_playback(data: bytes) -> None:
    """The first byte chooses the library and the rate."""
    given = Bytes(data)
    flags = given.byte()
    rate_hz = (8000, 16_000, 48_000)[flags % 3]
    file: Callable[[], BytesIO] = partial(BytesIO, given.rest())
    if flags & 128:
        blocks = converted(_by_soundfile(file(), "it"), rate_hz)
    else:
        blocks = decoded(file, "it", rate_hz)
    try:
        listen(blocks, MOST_SAMPLES * rate_hz // 8000)
    except PlaybackError as error:
        assert "\n" not in str(error)  # noqa: PT017
        assert len(str(error)) < 1000  # noqa: PT017


def listen(blocks: Iterator[Pcm], most_samples: int) -> None:
    """Hear everything."""
    heard = 0
    for block in blocks:
        assert block.dtype == np.int16
        assert block.ndim == 1
        heard += len(block)
        assert heard < most_samples


def playback_seeds() -> Iterator[bytes]:
    sound = hum(8000, 0.2)
    for number, kind in enumerate(KINDS):
        yield bytes((number,)) + file_of(sound, 8000, kind)
        yield bytes((128 | number,)) + file_of(sound, 8000, kind)
    for subtype in ("ULAW", "ALAW", "FLOAT", "PCM_U8", "IMA_ADPCM", "GSM610"):
        yield b"\0" + file_of(sound, 8000, "WAV", subtype)
        yield b"\x80" + file_of(sound, 8000, "WAV", subtype)
    stereo = np.stack([sound, sound], 1)
    yield b"\1" + file_of(stereo, 44_100, "FLAC")
    yield b"\2" + b"ID3\x04\0\0\0\0\0\x0aTIT2\0\0\0\0\0\0" + file_of(sound, 8000, "MP3")
    yield b"\0#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n"
    yield b"\0ffconcat version 1.0\nfile /etc/passwd\n"
    yield b"\0v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nm=audio 5 RTP/AVP 0\r\n"


PLAYBACK = Target("playback", check_playback, playback_seeds, 8000)
