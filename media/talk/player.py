"""`Player`: what sounds in one call: a queue of plays, overlays over it, and a record of which sample of which play
went where in the output, so that it can be said later what was heard.

The output is one tape of samples from 0 on. Whoever sends it (`media.talk.playout`) pulls, and tells how far it was
heard; everything between is at the carrier, or on its way there. Because the player keeps what it gave until it was
heard, it can take it back: a play that is stopped or paused falls silent at once and the others go on with the
very next sample, and after a reconnect nothing is missing.

Rules:

* The queue goes on beneath the overlays, without a gap between two plays; overlays begin at once. The sum saturates.
* A play that is paused at the head of the queue holds the queue.
* An overlay needs a play of the queue to lie over when it begins, one that is not paused; it may outlast it.
* A mark stands in the queue behind the plays that were there before it.
"""

from __future__ import annotations

import numpy as np

from media.talk.contract import Pcm, PlaybackError
from media.talk.handle import Heard, PlaybackControl, PlayState
from media.talk.played import PlayedTape
from media.talk.queue import PlayQueue, QueuedMark
from media.talk.voice import EMPTY, Voice

MAX_PLAYS = 1000
"""Plays and marks of a call that may wait or sound at once."""


class Player:
    """The plays of one call; all PCM is mono int16 at `sample_rate_hz`.

    Attributes:
        sample_rate_hz: of the output.
        position: samples of output so far.
        heard_position: all output before it was heard; it never goes back, whatever is learned later.
        queue: plays and marks in their order; overlays are not in it.
        tape: keeps what is given until it was heard, for who wants that.
        gaps: times that a live source had nothing while others sounded, so that silence stands in its place.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self.sample_rate_hz = sample_rate_hz
        self.position = self.heard_position = self.gaps = 0
        self.queue = PlayQueue()
        self.tape: PlayedTape | None = None
        self._overlays: list[Voice] = []

    # -- what is to sound ----------------------------------------------------------------------------

    def add(self, voice: Voice, control: PlaybackControl | None = None) -> None:
        """Queue a play, or lay it over what plays.

        Raises:
            PlaybackError: an overlay with nothing beneath it, or too many plays at once.
        """
        self._check_room()
        if voice.is_overlay:
            self.queue.pass_marks(self.position)
            if all(base.is_paused for base in self.queue.begun):
                raise PlaybackError("overlay=True lies over a play, and none is playing: play it without overlay")
            self._overlays.append(voice)
        else:
            self.queue.add(voice)
        voice.handle.bind(voice, control or PlaybackControl())

    def add_mark(self, name: str) -> QueuedMark:
        """Put a mark behind everything that is in the queue.

        Raises:
            PlaybackError: too many wait.
        """
        self._check_room()
        return self.queue.add_mark(name, self.position)

    def _check_room(self) -> None:
        if len(self.queue) + len(self._overlays) >= MAX_PLAYS:
            raise PlaybackError(f"{MAX_PLAYS} plays and marks wait already; stop or clear some")

    @property
    def has_more(self) -> bool:
        """Whether `pull` may still give something: now, when a live source goes on, or not before `is_held` ends."""
        return self.queue.has_more or any(not voice.is_read_out for voice in self._overlays)

    @property
    def is_held(self) -> bool:
        """Whether what there is to play is paused, all of it."""
        turn = self.queue.turn(self.position)
        return (turn is None or turn.is_paused) and all(v.is_paused or v.is_read_out for v in self._overlays)

    @property
    def is_mixing(self) -> bool:
        """Whether several may sound at once: what a live source lacks of a pull is silence then."""
        return bool(self._overlays)

    @property
    def is_unheard(self) -> bool:
        """Whether something was pulled that was not heard yet, or a play is over that `advance` has to settle."""
        return any(voice.segments or voice.is_heard_out for voice in self._voices())

    # -- pulling -------------------------------------------------------------------------------------

    def pull(self, samples: int, now_ns: int) -> Pcm:
        """Return (n,) int16, n <= `samples`: the next of the output. Fewer: there is no more now.

        Where several sound, one that has nothing leaves silence and the others go on.
        """
        if self._overlays:
            pcm = self._pull_mixed(samples)
        else:
            pcm = self._pull_queue(samples)
        if self.tape is not None:
            self.tape.pulled(self.position, pcm)
        self.position += len(pcm)
        self.queue.pass_marks(self.position)
        return pcm

    def _pull_queue(self, samples: int) -> Pcm:
        """Read the play whose turn it is, and those behind it, until there is enough."""
        pcm: Pcm = EMPTY
        parts: list[Pcm] = []
        start = self.position
        while (voice := self.queue.turn(self.position)) is not None and not voice.is_paused:
            pcm = voice.read(samples, self.position)
            if len(pcm) == samples and not parts:
                break
            parts.append(pcm)
            self.position += len(pcm)  # a mark behind this play lies here
            samples -= len(pcm)
            if not samples or not voice.is_read_out:
                break
        self.position = start
        if not parts:
            return pcm if voice is not None else EMPTY
        return np.concatenate(parts)

    def _pull_mixed(self, samples: int) -> Pcm:
        total = np.zeros(samples, np.int32)
        pcm = self._pull_queue(samples)
        total[: len(pcm)] = pcm
        longest, base = len(pcm), self.queue.turn(self.position + len(pcm))
        starved = base is not None and base.is_starved and not base.is_paused
        gaps = int(starved)
        for voice in [voice for voice in self._overlays if not (voice.is_paused or voice.is_read_out)]:
            pcm = voice.read(samples, self.position)
            total[: len(pcm)] += pcm
            gaps += voice.is_starved
            if voice.is_read_out:
                self.queue.end_at(self.position + len(pcm))
            longest = max(longest, len(pcm))
        if longest:
            self.gaps += gaps
        mixed = total[:longest]
        return np.clip(mixed, -32768, 32767, out=mixed).astype(np.int16)

    def pad(self, samples: int) -> None:
        """Take note that `samples` of silence were sent behind what was pulled."""
        self.position += samples

    # -- what was heard ------------------------------------------------------------------------------

    def advance(self, position: int, *, proven: int, is_measured: bool) -> None:
        """Take note that all output before `position` was heard.

        Plays that were heard to their end are finished if that is certain: all before `proven` is.
        """
        self.heard_position = position = max(position, self.heard_position)
        self.queue.forget_ends(min(position, proven))
        finished = []
        for voice in self._voices():
            if voice.segments:
                self._hear(voice, position, is_measured)
            if voice.is_heard_out and voice.output_end <= proven:
                finished.append(voice)
        self._remove(finished)
        for voice in finished:
            voice.handle.is_measured = is_measured
            voice.handle.settle(PlayState.FAILED if voice.error else PlayState.FINISHED, voice.error)

    @property
    def voices(self) -> list[Voice]:
        """All plays: those of the queue in their order, then overlays."""
        return self.queue.voices + self._overlays

    def _voices(self) -> list[Voice]:
        return self.queue.begun + self._overlays

    def _hear(self, voice: Voice, position: int, is_measured: bool) -> None:
        heard = voice.heard_until(position)
        if heard:
            voice.handle.begin()
            voice.handle.position_samples += heard
            voice.handle.is_measured = is_measured

    def _remove(self, voices: list[Voice]) -> None:
        for voice in voices:
            if voice.is_overlay:
                self._overlays.remove(voice)
            else:
                self.queue.remove(voice)

    def retract(self, position: int) -> list[QueuedMark]:
        """Take back all output from `position` on: it was not heard and will be pulled again.

        Returns:
            Marks that had been sent and lie behind `position`: they have to be sent again.
        """
        self.position = position = max(position, self.heard_position)
        self._cut_tape()
        for voice in self._voices():
            voice.take_back(position)
        return self.queue.retract(position)

    def _cut_tape(self) -> None:
        if self.tape is not None:
            self.tape.cut(self.position)

    def sounding_between(self, start: int, end: int) -> list[Voice]:
        """Return the plays with samples in the output from `start` to `end`, or that end there, unsettled yet."""
        return [
            voice
            for voice in self._voices()
            if any(first < end and first + n > start for first, n in voice.segments)
            or (voice.is_heard_out and start < voice.output_end <= end)
        ]

    # -- ends ----------------------------------------------------------------------------------------

    def end(self, voice: Voice, state: PlayState, error: PlaybackError | None = None) -> None:
        """End one play for good; first `retract`, so that nothing of it stays in the output."""
        if voice in self._overlays or voice in self.queue:
            self._remove([voice])
        voice.handle.settle(state, error)

    def fail(self, error: PlaybackError) -> None:
        """Fail all plays, for nobody will pull any more."""
        for voice in self.voices:
            voice.handle.settle(PlayState.FAILED, error)
        self.queue.clear()
        self._overlays = []

    def clear(self, position: int, *, is_measured: bool) -> list[Heard]:
        """Cut everything off that was not heard before `position`: plays, queue and marks; the tape goes on there."""
        self.advance(position, proven=position, is_measured=is_measured)
        voices = self.voices
        self.queue.clear()
        self._overlays = []
        self.position = max(position, self.heard_position)
        self._cut_tape()
        for voice in voices:
            voice.handle.settle(PlayState.CUT_OFF)
        return [Heard(voice.handle, voice.handle.position_samples, is_measured) for voice in voices]
