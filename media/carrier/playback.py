"""What the carrier does with audio that is sent *to* it over the media stream: queue, play, return the marks.

Rules (Telnyx media streaming guide): a mark comes back when the audio before it has been played, at once
when nothing is queued; ``clear`` empties the queue and returns all marks. In mode rtp a message holds 20 ms
to 30 s of the codec's bytes; in mode mp3 it is a whole file, one a second at most.
"""

from __future__ import annotations

import binascii
import io
import json
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

from media.carrier.frames import INVALID_MEDIA, MALFORMED_FRAME, RATE_LIMIT_REACHED
from media.carrier.options import PlaybackMode
from strep.clock import NEVER_NS, NS_PER_SECOND
from strep.g711 import SAMPLE_RATE_HZ

MAX_AUDIO_BYTES = 16 << 20
"""How much of the received audio is kept for inspection; the rest is counted and forgotten."""
MAX_MESSAGE_BYTES = 30 * SAMPLE_RATE_HZ
_MP3_INTERVAL_NS = NS_PER_SECOND


@dataclass(frozen=True, slots=True)
class MarkReturned:
    """The audio before this mark has been played, or cleared."""

    name: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that the carrier answers with an error frame."""

    code: int
    detail: str


@dataclass(slots=True)
class PlaybackCounters:
    """What has been received."""

    media: int = 0
    media_bytes: int = 0
    marks: int = 0
    clears: int = 0
    refused: int = 0


class Playback:
    """One stream's queue of audio, seen from the outside: only durations matter.

    Attributes:
        audio: the payload bytes accepted so far, up to MAX_AUDIO_BYTES.
    """

    def __init__(self, mode: PlaybackMode = PlaybackMode.RTP) -> None:
        self._mode = mode
        self._played_until_ns = 0
        self._marks: deque[tuple[int, str]] = deque()
        self._next_mp3_ns = 0
        self._counters = PlaybackCounters()
        self.audio = bytearray()

    def receive(self, text: str | bytes, now_ns: int) -> list[MarkReturned | Refused]:
        """Take a message; return what has to be answered at once."""
        try:
            frame = json.loads(text)
            event = frame["event"]
            if event == "media":
                return self._media(frame["media"]["payload"], now_ns)
            if event == "mark":
                return self._mark(str(frame["mark"]["name"]), now_ns)
            if event == "clear":
                return self._clear(now_ns)
        except (ValueError, KeyError, TypeError) as error:
            return self._refuse(MALFORMED_FRAME, f"{type(error).__name__}: {error}")
        return self._refuse(MALFORMED_FRAME, f"event {event!r} is not media, mark or clear")

    def poll(self, now_ns: int) -> list[MarkReturned]:
        """Return the marks whose audio has been played by now."""
        due = []
        while self._marks and self._marks[0][0] <= now_ns:
            due.append(MarkReturned(self._marks.popleft()[1]))
        return due

    def deadline(self) -> int:
        """Return when the next mark is due, or NEVER_NS."""
        return self._marks[0][0] if self._marks else NEVER_NS

    def snapshot(self) -> PlaybackCounters:
        """Return the counters so far."""
        return replace(self._counters)

    def _media(self, payload: Any, now_ns: int) -> list[MarkReturned | Refused]:
        try:
            data = binascii.a2b_base64(payload, strict_mode=True)
            duration_ns = self._duration_ns(data)
        except (ValueError, TypeError) as error:
            return self._refuse(INVALID_MEDIA, str(error))
        if self._mode is PlaybackMode.MP3:
            if now_ns < self._next_mp3_ns:
                return self._refuse(RATE_LIMIT_REACHED, "one mp3 message a second")
            self._next_mp3_ns = now_ns + _MP3_INTERVAL_NS
        self._played_until_ns = max(self._played_until_ns, now_ns) + duration_ns
        self._counters.media += 1
        self._counters.media_bytes += len(data)
        self.audio += data[: max(0, MAX_AUDIO_BYTES - len(self.audio))]
        return []

    def _duration_ns(self, data: bytes) -> int:
        if self._mode is PlaybackMode.RTP:
            if not 0 < len(data) <= MAX_MESSAGE_BYTES:
                raise ValueError(f"{len(data)} bytes; a message holds at most 30 s")
            return len(data) * NS_PER_SECOND // SAMPLE_RATE_HZ
        import soundfile

        try:
            return int(soundfile.info(io.BytesIO(data)).duration * NS_PER_SECOND)
        except soundfile.SoundFileError as error:
            raise ValueError(f"not an mp3 file: {error}") from error

    def _mark(self, name: str, now_ns: int) -> list[MarkReturned | Refused]:
        self._counters.marks += 1
        if self._played_until_ns <= now_ns:
            return [MarkReturned(name)]
        self._marks.append((self._played_until_ns, name))
        return []

    def _clear(self, now_ns: int) -> list[MarkReturned | Refused]:
        self._counters.clears += 1
        self._played_until_ns = now_ns
        marks: list[MarkReturned | Refused] = [MarkReturned(name) for _, name in self._marks]
        self._marks.clear()
        return marks

    def _refuse(self, code: int, detail: str) -> list[MarkReturned | Refused]:
        self._counters.refused += 1
        return [Refused(code, detail)]
