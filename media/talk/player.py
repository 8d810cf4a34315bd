"""`Player`: what sounds in one call: a queue of plays, overlays over it, and a record of which sample of which play
went where in the output, so that it can be said later what was heard.

The output is one tape of samples from 0 on. Whoever sends it (`media.talk.playout`) pulls, and tells how far it was
heard; everything between is at the carrier, or on its way there. Because the player keeps what it gave until it was
heard, it can take it back: a play that is stopped or paused falls silent at once and the others go on with the
very next sample, and after a reconnect nothing is missing.

Rules:

* The queue goes on beneath the overlays, without a gap between two plays; overlays begin at once. The sum saturates.
* A play that is paused at the head of the queue holds the queue.
* An overlay needs a play of the queue to lie over when it begins; it may outlast it.
* A mark stands in the queue behind the plays that were there before it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from media.talk.contract import Pcm, PlaybackError
from media.talk.handle import Heard, PlaybackControl, PlayState
from media.talk.voice import EMPTY, Voice

MAX_PLAYS = 1000
"""Plays of a call that may wait or sound at once, and as many marks."""


@dataclass(eq=False, slots=True)
class QueuedMark:
    """A mark that somebody asked for.

    Attributes:
        name: as the carrier gets it.
        position: in the output; None until all that is before it in the queue has been pulled.
        is_sent: it is with the carrier.
    """

    name: str
    position: int | None = None
    is_sent: bool = False


class Player:
    """The plays of one call; all PCM is mono int16 at `sample_rate_hz`.

    Attributes:
        sample_rate_hz: of the output.
        position: samples of output so far.
        last_end: where in the output the last play of the queue ended that has been read out.
        gaps: times that a live source had nothing while others sounded, so that silence stands in its place.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self.sample_rate_hz = sample_rate_hz
        self.position = self.last_end = 0
        self.gaps = 0
        self._heard_position = 0
        # Plays and marks in the order of their sounding; those before the cursor were read out, but not heard.
        self._queue: list[Voice | QueuedMark] = []
        self._cursor = 0
        self._overlays: list[Voice] = []
        self._unsent_marks = 0

    # -- what is to sound ----------------------------------------------------------------------------

    def add(self, voice: Voice, control: PlaybackControl | None = None) -> None:
        """Queue a play, or lay it over what plays.

        Raises:
            PlaybackError: an overlay with nothing beneath it, or too many plays at once.
        """
        if len(self._queue) + len(self._overlays) >= MAX_PLAYS:
            raise PlaybackError(f"{MAX_PLAYS} plays and marks wait already; stop or clear some")
        if voice.is_overlay:
            if not any(isinstance(item, Voice) for item in self._queue):
                raise PlaybackError("overlay=True lies over a play, and none is playing: play it without overlay")
            self._overlays.append(voice)
        else:
            self._queue.append(voice)
        voice.handle.bind(voice, control or PlaybackControl())

    def add_mark(self, name: str) -> QueuedMark:
        """Put a mark behind everything that is in the queue.

        Raises:
            PlaybackError: too many wait.
        """
        if len(self._queue) + len(self._overlays) >= MAX_PLAYS:
            raise PlaybackError(f"{MAX_PLAYS} plays and marks wait already")
        mark = QueuedMark(name)
        self._queue.append(mark)
        self._unsent_marks += 1
        self._pass_marks()
        return mark

    @property
    def has_more(self) -> bool:
        """Whether `pull` may still give something: now, when a live source goes on, or not before `is_held` ends."""
        return self._cursor < len(self._queue) or any(not voice.is_read_out for voice in self._overlays)

    @property
    def is_held(self) -> bool:
        """Whether what there is to play is paused, all of it."""
        return all(voice.is_paused for voice in self._readable())

    @property
    def is_unheard(self) -> bool:
        """Whether something was pulled that was not heard yet, or a play is over that `advance` has to settle."""
        return any(voice.segments or voice.is_heard_out for voice in self._voices())

    def _readable(self) -> list[Voice]:
        base = self._base()
        return [*([base] if base else []), *(voice for voice in self._overlays if not voice.is_read_out)]

    def _base(self) -> Voice | None:
        """Return the play of the queue whose turn it is."""
        self._pass_marks()
        if self._cursor == len(self._queue):
            return None
        item = self._queue[self._cursor]
        assert isinstance(item, Voice)
        return item

    def _pass_marks(self) -> None:
        """Move on to the next play that has something; the marks on the way have their place now."""
        queue = self._queue
        while self._cursor < len(queue):
            item = queue[self._cursor]
            if isinstance(item, QueuedMark):
                item.position = self.position
            elif not item.is_read_out:
                return
            else:
                self.last_end = self.position
            self._cursor += 1

    # -- pulling -------------------------------------------------------------------------------------

    def pull(self, samples: int, now_ns: int) -> Pcm:
        """Return (n,) int16, n <= `samples`: the next of the output. Fewer: there is no more now.

        Where several sound, one that has nothing leaves silence and the others go on.
        """
        if self._overlays:
            pcm = self._pull_mixed(samples)
        else:
            pcm = self._pull_queue(samples)
        self.position += len(pcm)
        self._pass_marks()
        return pcm

    def _pull_queue(self, samples: int) -> Pcm:
        """Read the play whose turn it is, and those behind it, until there is enough."""
        pcm: Pcm = EMPTY
        parts: list[Pcm] = []
        start = self.position
        while (voice := self._base()) is not None and not voice.is_paused:
            voice.begin()
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
        longest, base = len(pcm), self._base()
        starved = base is not None and base.is_starved and not base.is_paused
        gaps = int(starved)
        for voice in self._overlays:
            if voice.is_paused or voice.is_read_out:
                continue
            voice.begin()
            pcm = voice.read(samples, self.position)
            total[: len(pcm)] += pcm
            gaps += voice.is_starved
            longest = max(longest, len(pcm))
        if longest:
            self.gaps += gaps
        mixed = total[:longest]
        return np.clip(mixed, -32768, 32767, out=mixed).astype(np.int16)

    def pad(self, samples: int) -> None:
        """Take note that `samples` of silence were sent behind what was pulled."""
        self.position += samples

    # -- marks ---------------------------------------------------------------------------------------

    def due_marks(self, position: int) -> list[QueuedMark]:
        """Return marks not sent yet that belong before output `position`, or right there, and count them as sent."""
        if not self._unsent_marks:
            return []
        due = []
        for item in self._queue[: self._cursor]:
            if isinstance(item, QueuedMark) and not item.is_sent:
                assert item.position is not None
                if item.position <= position:
                    item.is_sent = True
                    due.append(item)
        self._unsent_marks -= len(due)
        return due

    def is_mark_due(self, position: int) -> bool:
        """Whether `due_marks` would return one."""
        if not self._unsent_marks:
            return False
        marks = (item for item in self._queue[: self._cursor] if isinstance(item, QueuedMark) and not item.is_sent)
        return any(mark.position is not None and mark.position <= position for mark in marks)

    def unsend_marks(self, position: int) -> list[QueuedMark]:
        """Return the marks behind output `position` that were sent, and count them as not sent."""
        marks = [item for item in self._queue[: self._cursor] if isinstance(item, QueuedMark) and item.is_sent]
        again = [mark for mark in marks if mark.position is not None and mark.position > position]
        for mark in again:
            mark.is_sent = False
        self._unsent_marks += len(again)
        return again

    def next_mark(self, after: int) -> int | None:
        """Return where the next mark behind output position `after` lies, None while there is none."""
        if not self._unsent_marks:
            return None
        marks = (item for item in self._queue[: self._cursor] if isinstance(item, QueuedMark))
        return min((mark.position for mark in marks if mark.position and mark.position > after), default=None)

    def drop_mark(self, mark: QueuedMark) -> None:
        """Forget a mark: it has come back, or nobody waits for it any more."""
        if mark in self._queue:
            index = self._queue.index(mark)
            del self._queue[index]
            self._cursor -= index < self._cursor
            self._unsent_marks -= not mark.is_sent

    # -- what was heard ------------------------------------------------------------------------------

    def advance(self, position: int, *, is_measured: bool) -> None:
        """Take note that all output before `position` was heard; plays heard to their end are finished."""
        if position < self._heard_position:
            return
        self._heard_position = position
        if not (self._queue or self._overlays):
            return
        ended = False
        for voice in self._voices():
            if voice.segments:
                self._hear(voice, position, is_measured)
            ended |= voice.is_heard_out
        if ended:
            self._remove([voice for voice in self._voices() if voice.is_heard_out], finished=True)

    def _voices(self) -> list[Voice]:
        begun = self._queue[: self._cursor + 1]
        return [item for item in begun if isinstance(item, Voice)] + self._overlays

    def _hear(self, voice: Voice, position: int, is_measured: bool) -> None:
        heard = voice.heard_until(position)
        if heard:
            voice.handle.position_samples += heard
            voice.handle.is_measured = is_measured

    def _remove(self, voices: list[Voice], *, finished: bool = False) -> None:
        for voice in voices:
            if voice.is_overlay:
                self._overlays.remove(voice)
            else:
                index = self._queue.index(voice)
                del self._queue[index]
                self._cursor -= index < self._cursor
        for voice in voices if finished else ():
            voice.handle.settle(PlayState.FAILED if voice.error else PlayState.FINISHED, voice.error)

    def retract(self, position: int) -> list[QueuedMark]:
        """Take back all output from `position` on: it was not heard and will be pulled again.

        Returns:
            Marks that had been sent and lie behind `position`: they have to be sent again.
        """
        position = max(position, self._heard_position)
        for voice in self._voices():
            voice.take_back(position)
        again = self.unsend_marks(position)
        for item in self._queue:
            if isinstance(item, QueuedMark) and item.position is not None and item.position > position:
                item.position = None
        self._cursor = self._first_unread()
        self.position = position
        self.last_end = min(self.last_end, position)
        self._pass_marks()
        return again

    def _first_unread(self) -> int:
        for index, item in enumerate(self._queue):
            if (not item.is_read_out) if isinstance(item, Voice) else item.position is None:
                return index
        return len(self._queue)

    def sounding_between(self, start: int, end: int) -> list[Voice]:
        """Return the plays that have samples in the output from `start` to `end`."""
        return [
            voice for voice in self._voices() if any(first < end and first + n > start for first, n in voice.segments)
        ]

    # -- ends ----------------------------------------------------------------------------------------

    def end(self, voice: Voice, state: PlayState, error: PlaybackError | None = None) -> None:
        """End one play for good; first `retract`, so that nothing of it stays in the output."""
        if voice in self._overlays or voice in self._queue:
            self._remove([voice])
        voice.handle.settle(state, error)

    def clear(self, position: int, *, is_measured: bool) -> list[Heard]:
        """Cut everything off that was not heard before `position`: plays, queue and marks; the tape goes on there."""
        self.advance(position, is_measured=is_measured)
        voices = [item for item in self._queue if isinstance(item, Voice)] + self._overlays
        self._queue, self._overlays, self._cursor, self._unsent_marks = [], [], 0, 0
        self.position = max(position, self._heard_position)
        for voice in voices:
            voice.handle.settle(PlayState.CUT_OFF)
        return [Heard(voice.handle, voice.handle.position_samples, is_measured) for voice in voices]
