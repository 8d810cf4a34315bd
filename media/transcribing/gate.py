"""`Gate`: lets speech through, and nothing else, of the tracks that are wanted. Sans-I/O.

Voices begin before anybody can tell that they do, so a moment of every track is kept and let through with what
follows (`PRE_ROLL_MS`); and they pause within a sentence, so speech ends `HANG_OVER_MS` after the last of it. What
goes on for `MAX_SPEECH_MS` is cut there: an engine that waits for the end of music would fill memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from media.blocks import PcmBatch
from media.hearing.ear import VOICE, Ear
from media.hearing.rows import CHANNELS, can_be_heard
from media.hearing.voice import Voice
from media.transcribing.contract import Pcm
from strep.clock import NS_PER_MS

PRE_ROLL_MS = 300
HANG_OVER_MS = 700
MAX_SPEECH_MS = 30_000
KEPT_MS = PRE_ROLL_MS + 1200
"""Of every track: the pre-roll, and what may come until a voice is told of, the longest block included."""


@dataclass(frozen=True, slots=True)
class Speech:
    """Some speech of a track, or its end.

    Attributes:
        key: the track, see `media.hearing.rows.Rows.key`.
        position_samples: where ``pcm[0]`` lies on the call's timeline; where the speech ended, if there is none.
        pcm: (n,) int16, not to be written to; None: the speaker paused.
    """

    key: int
    position_samples: int
    pcm: Pcm | None = None


@dataclass(slots=True)
class _Piece:
    begin: int
    pcm: Pcm

    @property
    def end(self) -> int:
        return self.begin + len(self.pcm)


class Gate:
    """The gate of all tracks. One that nobody wants costs a look-up for each of its blocks.

    Where voices cannot be told (see `can_be_heard`) everything is let through, in pieces of `MAX_SPEECH_MS`.
    """

    def __init__(self) -> None:
        self._tracks: dict[int, _Track] = {}
        self._ears: dict[int, Ear] = {}

    def want(self, key: int, rate_hz: int) -> None:
        """Let speech of a track through from now on."""
        self._tracks[key] = _Track(key, rate_hz)

    def forget(self, key: int) -> list[Speech]:
        """Let nothing of a track through any more; return the end of its speech."""
        track = self._tracks.pop(key, None)
        return [] if track is None else list(track.close())

    def forget_call(self, call: int) -> None:
        """Take note that a call has ended: its index may be another's next."""
        for ear in self._ears.values():
            ear.forget(call)

    def receive(self, batch: PcmBatch) -> list[Speech]:
        """Take the blocks of a tick; return the speech in them, in order for each track; none in late ones."""
        if batch.late:
            return []
        batch = self._wanted(batch)
        said: list[Speech] = []
        touched: dict[int, _Track] = {}
        columns = (batch.call, batch.channel, batch.positions, batch.first, batch.last)
        for row, (call, channel, position, first, last) in enumerate(
            zip(*(column.tolist() for column in columns), strict=True)
        ):
            track = self._tracks[call * CHANNELS + channel]
            if first < last and track.rate_hz == batch.sample_rate_hz:
                said += track.take(_Piece(position + first, batch.pcm[row, first:last]), batch.now_ns)
                touched[track.key] = track
        for voice in self._voices(batch):
            if voice.key in self._tracks:
                self._tracks[voice.key].hear(voice)
        for track in touched.values():
            said += track.let_through()
        for track in self._tracks.values():
            said += track.fall_silent(batch.now_ns)
        return said

    def _wanted(self, batch: PcmBatch) -> PcmBatch:
        keys = batch.call.astype(np.int64) * CHANNELS + batch.channel
        wanted = np.fromiter((key in self._tracks for key in keys.tolist()), np.bool_, len(batch))
        if wanted.all():
            return batch
        return batch.take(wanted) if wanted.any() else PcmBatch.tick(batch.now_ns)

    def _voices(self, batch: PcmBatch) -> Iterator[Voice]:
        rate_hz = batch.sample_rate_hz
        if len(batch) and rate_hz not in self._ears and can_be_heard(rate_hz):
            self._ears[rate_hz] = Ear({VOICE}, rate_hz)
        for ear in self._ears.values():
            is_its_own = len(batch) and ear.sample_rate_hz == rate_hz
            for heard in ear.receive(batch) if is_its_own else ear.poll(batch.now_ns):
                if isinstance(heard, Voice):
                    yield heard


@dataclass(slots=True)
class _Track:
    """One track.

    Attributes:
        kept: what was not let through, without a gap, oldest first.
        expected: where the next block is due; None before the first.
        passed: the end of what was let through last.
        opened: where the speech begins that is let through now; None while the gate is closed.
        silent_from: where its voice fell silent.
        heard_ns: when the last block came.
    """

    key: int
    rate_hz: int
    kept: deque[_Piece] = field(default_factory=deque)
    expected: int | None = None
    passed: int = -(1 << 62)
    opened: int | None = None
    silent_from: int | None = None
    heard_ns: int = 0

    def take(self, piece: _Piece, now_ns: int) -> Iterable[Speech]:
        """Keep a block; one that does not follow on the last ends what was before."""
        said: Iterable[Speech] = ()
        if self.expected not in (None, piece.begin):
            said = self.close()
            self.kept.clear()
        self.kept.append(piece)
        if self.opened is None:  # forget what is too old to be of speech, also where nobody tells of voices
            oldest = piece.end - self._samples(KEPT_MS)
            while self.kept[0].end <= oldest:
                self.kept.popleft()
        self.expected, self.heard_ns = piece.end, now_ns
        if self.opened is None and not can_be_heard(self.rate_hz):
            self.opened = piece.begin
        return said

    def hear(self, voice: Voice) -> None:
        """Open the gate, or begin to close it."""
        if not voice.speaks:
            self.silent_from = voice.position_samples
            return
        self.silent_from = None
        if self.opened is None:
            self.opened = max(voice.position_samples - self._samples(PRE_ROLL_MS), self.passed)

    def let_through(self) -> Iterator[Speech]:
        """Yield what is kept of speech, and its end when it is over."""
        if self.opened is None:
            return
        end = self.kept[-1].end
        closes = end if self.silent_from is None else min(end, self.silent_from + self._samples(HANG_OVER_MS))
        for piece in self.kept:
            begin, until = max(piece.begin, self.opened, self.passed), min(piece.end, closes)
            if begin < until:
                # A copy: what waits for an engine is not to hold the audio of all other calls.
                yield Speech(self.key, begin, piece.pcm[begin - piece.begin : until - piece.begin].copy())
                self.passed = until
        self.kept = deque(piece for piece in self.kept if piece.end > closes)
        if closes < end:
            yield from self.close()
        elif self.passed - self.opened >= self._samples(MAX_SPEECH_MS):
            silent_from = self.silent_from  # it may be cut while it is closing
            yield from self.close()
            self.opened, self.silent_from = self.passed, silent_from

    def fall_silent(self, now_ns: int) -> Iterable[Speech]:
        """Close where nothing comes any more: packets have stopped."""
        is_over = self.opened is not None and now_ns - self.heard_ns > HANG_OVER_MS * NS_PER_MS
        return self.close() if is_over else ()

    def close(self) -> list[Speech]:
        """End the speech, if there is any."""
        spoke = self.opened is not None and self.passed > self.opened
        self.opened = self.silent_from = None
        return [Speech(self.key, self.passed)] if spoke else []

    def _samples(self, milliseconds: int) -> int:
        return milliseconds * self.rate_hz // 1000
