"""What the carrier does with audio that is sent *to* it over the media stream: queue, play, return the marks.

Rules (Telnyx media streaming guide; Twilio's and SignalWire's agree): messages are played in order, one right behind
the other. A mark comes back when the audio before it has been played, at once when nothing plays or is queued;
``clear`` stops, empties the queue and returns all marks. In mode rtp a message holds 20 ms to 30 s of the codec's
bytes (Telnyx), Opus one packet; in mode mp3 it is a whole file, one a second at most.

The caller's time is counted in samples from the call's beginning. Audio begins with the first sample that is not
before its arrival, so nothing is heard before it came, and what is heard is exact to the sample.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from media.carrier import mp3
from media.carrier.dialects.contract import Command, Digit, Mark, Media, Message, Reader, Violation
from media.carrier.dialects.telnyx import INVALID_MEDIA, RATE_LIMIT_REACHED, UNKNOWN_ERROR
from media.carrier.heard import Fate, Heard, MarkHeard
from media.carrier.options import PlaybackManners, PlaybackMode
from media.carrier.tape import Pcm, Tape
from media.codecs import Encoding, decoder_for
from strep.clock import NEVER_NS, NS_PER_MS, NS_PER_SECOND
from strep.errors import WireError

MAX_OPUS_FRAME_BYTES = 1275
"""RFC 6716 section 3.4, requirement R2: more are two packets that somebody put together."""
MAX_MARKS = 4096
_PCMU = Encoding("PCMU")
SPURT_GAP_NS = 500 * NS_PER_MS
"""Silence that is not longer, between two messages and without a clear, is an underrun: the queue ran dry."""


@dataclass(frozen=True, slots=True)
class MarkReturned:
    """The audio before this mark has been played, or cleared."""

    name: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that is not allowed, or not played; some carriers answer it with an error frame."""

    code: int
    detail: str


Answer = MarkReturned | Refused


@dataclass(frozen=True, slots=True)
class PlaybackForm:
    """What a stream was set up for.

    Attributes:
        mode: of the messages.
        encoding: mode rtp, of the bytes; mode mp3, its rate is that of what is heard.
        message_ms: mode rtp, least and most in a message.
        start_ns: when the call begins; sample 0 of what is heard.
        manners: of this carrier.
        seed: of the errors that are made up.
        invalid_code: of a violation: audio that cannot be played.
        keep_samples: how much of what is heard stays in memory for `Playback.heard_pcm`.
    """

    mode: PlaybackMode = PlaybackMode.RTP
    encoding: Encoding = _PCMU
    message_ms: tuple[float, float] = (20, 30_000)
    start_ns: int = 0
    manners: PlaybackManners = field(default_factory=PlaybackManners)
    seed: int = 0
    invalid_code: int = INVALID_MEDIA
    keep_samples: int = 8 << 20


class Playback:
    """One stream's queue of audio, and the ear at its end.

    Attributes:
        heard: everything that happened, with times.
        tape: what was heard and will be; a shell may take from its front what lies before `position`.
        has_socket: marks can be returned; those that are due while there is none are lost.
    """

    def __init__(self, read: Reader, form: PlaybackForm | None = None) -> None:
        self._read, self._form = read, form or PlaybackForm()
        self.tape, self.has_socket = Tape(), True
        self.rate_hz = self._form.encoding.sample_rate_hz
        self.heard = Heard(self._form.start_ns, self.rate_hz)
        self._decoder = decoder_for(self._form.encoding) if self._form.mode is PlaybackMode.RTP else None
        self._marks: deque[tuple[int, MarkHeard]] = deque()
        self._next_mp3_ns = 0
        self._is_in_spurt = False
        self._random = np.random.default_rng(self._form.seed)
        self._errors = self._form.manners.error_rate
        least_ms, most_ms = self._form.message_ms
        self._least_samples = least_ms * self.rate_hz / 1000
        self._most_samples = most_ms * self.rate_hz / 1000

    def position(self, now_ns: int) -> int:
        """Return the first sample that is not before `now_ns`."""
        return max(0, -(-(now_ns - self._form.start_ns) * self.rate_hz // NS_PER_SECOND))

    def receive(self, message: Message, now_ns: int) -> list[Answer]:
        """Take a message; return what has to be answered at once."""
        command = self._read(message)
        if isinstance(command, Media):
            return self._media(command.data, now_ns)
        if isinstance(command, Violation):
            return self._refuse(command.code, command.detail, now_ns)
        # Marks that are due already come before what this one brings about.
        return [*self.poll(now_ns), *self._control(command, now_ns)]

    def poll(self, now_ns: int) -> list[MarkReturned]:
        """Return the marks whose audio has been played by now."""
        due = []
        while self._marks and self._due_ns(self._marks[0][0]) <= now_ns:
            due.append(self._return(self._marks.popleft()[1], now_ns, Fate.PLAYED))
        return due

    def deadline(self) -> int:
        """Return when the next mark is due, or NEVER_NS."""
        return self._due_ns(self._marks[0][0]) if self._marks else NEVER_NS

    def snapshot(self) -> dict[str, int]:
        """Return the counters so far."""
        return self.heard.counters()

    def lose_socket(self, now_ns: int) -> None:
        """Take note that the socket broke: what is queued goes on playing, or is forgotten, and so are marks."""
        self.has_socket = False
        if not self._form.manners.keeps_playing:
            self._cut(now_ns, Fate.LOST)

    def finish(self, now_ns: int) -> None:
        """Take note that the call is over: nothing is heard any more."""
        self.has_socket = False
        self._cut(now_ns, Fate.LOST)
        self.heard.finish(self.position(now_ns))

    def heard_pcm(self, now_ns: int) -> Pcm:
        """Return (n,) int16, what was heard until `now_ns`, from the call's beginning or where it was taken last."""
        return self.tape.take(self.position(now_ns))

    def _due_ns(self, position: int) -> int:
        return self._form.start_ns + -(-position * NS_PER_SECOND // self.rate_hz)

    def _media(self, data: bytes, now_ns: int) -> list[Answer]:
        manners = self._form.manners
        if self._errors and self._random.random() < self._errors:
            code = RATE_LIMIT_REACHED if self._random.random() < 0.5 else UNKNOWN_ERROR
            return self._refuse(code, "made up, as asked for", now_ns)
        if self._form.mode is PlaybackMode.MP3 and now_ns < self._next_mp3_ns:
            late_ms = (self._next_mp3_ns - now_ns) / NS_PER_MS
            return self._refuse(RATE_LIMIT_REACHED, f"Too many requests: {late_ms:.0f} ms too early", now_ns)
        try:
            pcm = self._file(data) if self._decoder is None else self._raw(data)
        except WireError as error:
            return self._refuse(self._form.invalid_code, str(error), now_ns)
        except ValueError as error:
            if manners.ignores_raw and self._decoder is None:
                self.heard.ignored += 1
                return []
            return self._refuse(self._form.invalid_code, str(error), now_ns)
        self._next_mp3_ns = now_ns + manners.mp3_interval_ns
        self._put(pcm, len(data), now_ns)
        return []

    def _put(self, pcm: Pcm, size_bytes: int, now_ns: int) -> None:
        end, position = self.tape.end, self.position(now_ns)
        gap = position - end
        if gap > 0 and self._is_in_spurt and gap * NS_PER_SECOND <= SPURT_GAP_NS * self.rate_hz:
            self.heard.underrun(gap)
        position = max(position, end)
        self.tape.put(position, pcm)
        self._is_in_spurt = True
        self.heard.message(now_ns, size_bytes, position, len(pcm))
        if end - self.tape.start > self._form.keep_samples:
            self.tape.forget(end)

    def _raw(self, data: bytes) -> Pcm:
        assert self._decoder is not None
        encoding = self._form.encoding
        samples = encoding.samples_of(data)
        if encoding.can_be_joined:
            if not self._least_samples <= samples <= self._most_samples or not samples:
                least_ms, most_ms = self._form.message_ms
                raise ValueError(f"{samples * 1000 / self.rate_hz:g} ms; a message holds {least_ms:g} to {most_ms:g}")
        elif len(data) > MAX_OPUS_FRAME_BYTES and not data[0] & 3:
            raise ValueError(f"one Opus packet of one frame has no {len(data)} bytes; packets cannot be joined")
        return self._decoder.decode(data)

    def _file(self, data: bytes) -> Pcm:
        file = mp3.parse(data)
        pcm = mp3.decode(file, honours_tag=self._form.manners.honours_tag)
        if file.sample_rate_hz == self.rate_hz:
            return pcm
        import soxr

        resampled: Pcm = soxr.resample(pcm, file.sample_rate_hz, self.rate_hz)
        return resampled

    def _control(self, command: Command, now_ns: int) -> list[Answer]:
        if isinstance(command, Mark):
            return self._mark(command.name, now_ns)
        if isinstance(command, Digit):
            self.heard.digit(command.digit, now_ns)
            return []
        position, end = self.position(now_ns), self.tape.end
        returned = self._cut(now_ns, Fate.CLEARED)
        self.heard.clear(now_ns, position, max(0, end - position))
        return [*returned]

    def _mark(self, name: str, now_ns: int) -> list[Answer]:
        mark = self.heard.mark(name, now_ns)
        if self.tape.end <= self.position(now_ns):
            return [self._return(mark, now_ns, Fate.AT_ONCE)]
        self._marks.append((self.tape.end, mark))
        if len(self._marks) > MAX_MARKS:
            return [self._return(self._marks.popleft()[1], now_ns, Fate.LOST)]
        return []

    def _cut(self, now_ns: int, fate: Fate) -> list[MarkReturned]:
        returned = self.poll(now_ns)
        position = self.position(now_ns)
        self.heard.cut(position, self.tape.cut(position))
        self._is_in_spurt = False
        returned += [self._return(mark, now_ns, fate) for _, mark in self._marks]
        self._marks.clear()
        if self._decoder is not None:
            self._decoder.reset()
        return returned

    def _return(self, mark: MarkHeard, now_ns: int, fate: Fate) -> MarkReturned:
        mark.fate = fate if self.has_socket else Fate.LOST
        if mark.fate is not Fate.LOST:
            mark.returned_ns = now_ns
        return MarkReturned(mark.name)

    def _refuse(self, code: int, detail: str, now_ns: int) -> list[Answer]:
        self.heard.refuse(code, detail, now_ns)
        return [Refused(code, detail)]
