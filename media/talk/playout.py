"""`Playout`: what both return paths share: one wire at a time, marks, errors, clear, and what was heard. Sans-I/O.

`media.talk.rtp_mode` and `media.talk.mp3_mode` say what is sent when; this file says what becomes of it. Four verbs:
``poll(now_ns)`` at ``deadline()``; ``take_mark`` and ``take_error`` with what the carrier sends; ``snapshot()``.

All that changes what sounds (clear, stop, pause, a broken socket) is one thing, the *recall*: the carrier forgets
what it has, the player takes back what was not heard, and what is still to sound is sent again from there. A dialect
without a clear frame keeps what it has: then what was sent counts as heard.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from media.talk.contract import PlaybackError, ReturnFrames, Wire
from media.talk.handle import Heard, PlaybackControl, PlayState
from media.talk.hearing import Hearing, OnMark
from media.talk.player import Player
from media.talk.queue import QueuedMark
from media.talk.voice import Voice
from strep.clock import NEVER_NS, NS_PER_MS

logger = logging.getLogger("strep.talk")
MAX_BUFFERED_BYTES = 64 << 10
"""What may wait in a wire before nothing more is sent: five seconds of RTP mode, a few pieces of MP3 mode."""
EARLY_NS = 2 * NS_PER_MS
"""What is due so soon is sent with what is due now: a timer that wakes for many calls at once costs less."""
POLL_NS = 20 * NS_PER_MS  # a source that had nothing, or a wire that is full, is asked again so soon
REPORT_NS = 100 * NS_PER_MS  # positions are brought up to date so often while something sounds
REPORT_SLACK_NS = 50 * NS_PER_MS
"""With a message that is due so soon after it, positions are brought up to date then: no call is polled twice."""


@dataclass(frozen=True, slots=True)
class PlayoutSnapshot:
    """Counters of one call's return path.

    Attributes:
        messages: of audio, sent.
        sent_samples: of output that the carrier got and that was not called back, silence included.
        underruns: times that the carrier ran dry in the middle of a play because its source was too slow, or we.
        stalls: times that the peer did not read, and sending had to wait.
        recalls: clears, stops and pauses, and sockets that broke.
        errors: error frames of the carrier.
        marks_missing: marks that never came back.
        marks_early: marks that came back before their audio can have been played.
        marks_unknown: marks that nobody had sent.
    """

    messages: int
    sent_samples: int
    underruns: int
    stalls: int
    recalls: int
    errors: int
    marks_missing: int
    marks_early: int
    marks_unknown: int


class Playout(ABC):
    """One call's way back to the carrier.

    Attributes:
        player: what sounds.
        wire: the socket, None while there is none.
    """

    def __init__(self, player: Player, frames: ReturnFrames) -> None:
        self.player = player
        self.wire: Wire | None = None
        self._frames = frames
        self._hearing = Hearing(player, frames)
        self._clock = self._hearing.clock
        self._is_stalled = False
        self._polled_ns = 0
        self._messages = self._underruns = self._stalls = self._recalls = self._errors = 0

    # -- for the modes -------------------------------------------------------------------------------

    @abstractmethod
    def _send_due(self, wire: Wire, now_ns: int) -> None:
        """Send what is due."""

    @abstractmethod
    def _next_send_ns(self) -> int:
        """Return when `_send_due` has something to do, `NEVER_NS` while there is nothing to send."""

    @abstractmethod
    def _drop_unsent(self, *, is_cut: bool) -> None:
        """Forget what was pulled and not sent; after a cut what comes next has no connection with what was sent."""

    @abstractmethod
    def take_error(self, code: int | str | None, words: str, now_ns: int) -> None:
        """Act on an error frame; `words` is what it says, for people."""

    @property
    def _committed(self) -> int:
        """The output position behind which nothing has been made into a message yet."""
        return self._clock.sent

    def _count_sent(self, samples: int, now_ns: int) -> None:
        self._messages += 1
        if self.player.tape is not None:
            self.player.tape.sent(self._clock.sent, self._clock.sent + samples, max(now_ns, self._clock.ends_ns))
        self._clock.send(samples, now_ns)

    def _fail(self, voices: list[Voice], error: PlaybackError, now_ns: int) -> None:
        for voice in voices:
            voice.give_up(error)
            logger.warning("%s failed: %s", voice.handle.label or "a play", error)
        self._hearing.settle(now_ns)

    # -- the four verbs ------------------------------------------------------------------------------

    def attach(self, wire: Wire, now_ns: int) -> None:
        """Send by this wire from now on; what the wire before it had not brought to be heard is sent again."""
        self.detach(now_ns)
        self.wire = wire
        self._hurry()

    def detach(self, now_ns: int) -> None:
        """The wire is gone: what was not heard is taken back, and waits for the next."""
        if self.wire is None:
            return
        heard = self._hearing.position(now_ns)
        self.wire = None
        self._recalls += 1
        self._forget_sent(heard, now_ns)
        self._hearing.marks.forget_all()
        self._hearing.retract(heard)
        self._is_stalled = False

    def poll(self, now_ns: int) -> None:
        """Send what is due, and bring positions up to date."""
        wire, self._polled_ns = self.wire, now_ns
        if wire is not None and wire.is_open:
            was_stalled, self._is_stalled = self._is_stalled, wire.buffered_bytes > MAX_BUFFERED_BYTES
            if not self._is_stalled:
                self._send_due(wire, now_ns)
                if self.player.queue.unsent_marks:
                    self._hearing.send_due(wire, now_ns)
            elif not was_stalled:
                self._stalls += 1
        if now_ns >= self._hearing.settled_ns + REPORT_NS:
            self._hearing.settle(now_ns)

    def deadline(self) -> int:
        """Return when `poll` is due; `NEVER_NS` while nothing sounds and nothing waits."""
        if self.wire is None or not self.wire.is_open:
            return NEVER_NS
        if self._is_stalled:
            return self._polled_ns + POLL_NS
        if self.player.queue.unsent_marks and self.player.queue.is_mark_due(self._clock.sent):
            return self._polled_ns
        send_ns, report_ns = self._next_send_ns(), self._hearing.settled_ns + REPORT_NS
        if send_ns <= report_ns + REPORT_SLACK_NS or not self._hearing.is_awaited:
            return send_ns
        return report_ns

    def snapshot(self) -> PlayoutSnapshot:
        """Return the counters."""
        return PlayoutSnapshot(
            messages=self._messages,
            sent_samples=self._clock.sent,
            underruns=self._underruns,
            stalls=self._stalls,
            recalls=self._recalls,
            errors=self._errors,
            marks_missing=self._hearing.missing,
            marks_early=self._hearing.early,
            marks_unknown=self._hearing.marks.unknown,
        )

    def take_event(self, event: dict[str, Any], now_ns: int) -> str:
        """Act on what the carrier says, as `media.ws.description.event` has it; return what is odd about it."""
        if event.get("event") == "mark":
            name, unknown = str(event.get("name", "")), self._hearing.marks.unknown
            self.take_mark(name, now_ns)
            if not unknown and self._hearing.marks.unknown:
                return f"mark {name!r:.40} came back, which was never sent: ignored"
        elif event.get("event") == "error":
            words = " ".join(str(event[key]) for key in ("code", "title", "detail") if event.get(key))
            self.take_error(event.get("code"), words or "without a code", now_ns)
        return ""

    def take_mark(self, name: str, now_ns: int) -> None:
        """Act on a mark that has come back; one that says nothing is counted."""
        position = self._hearing.take_mark(name, now_ns)
        if position is not None:
            self._acknowledge(position)

    def _acknowledge(self, position: int) -> None:  # noqa: B027
        """Take note that the carrier has taken, and played, everything before `position`; a mode may not care."""

    def _hurry(self) -> None:
        """Have `poll` called at once: there is news, however lately it was called."""
        self._polled_ns = 0

    def settle(self, now_ns: int) -> None:
        """Let what keeps what was heard have all of it: nothing that is learned now is worth waiting for."""
        self._hearing.settle(now_ns)
        if self.player.tape is not None:
            self.player.tape.advance(self.player.heard_position, self._clock.delay_ns)

    # -- what the application asks for ---------------------------------------------------------------

    def add(self, voice: Voice, control: PlaybackControl | None = None) -> None:
        """Queue a play, or lay it over what plays; see `Player.add`.

        Raises:
            PlaybackError: it cannot be.
        """
        self.player.add(voice, control)
        if voice.is_overlay:
            self.refresh()
        self._hurry()

    def mark(self, name: str, on_mark: OnMark) -> QueuedMark:
        """Put a mark behind everything that is queued; `on_mark` is told what became of it.

        Raises:
            PlaybackError: too many wait.
        """
        mark = self.player.add_mark(name)
        self._hearing.expect(mark, on_mark)
        return mark

    def drop_mark(self, mark: QueuedMark) -> None:
        """Forget a mark that nobody waits for any more; `on_mark` is not told."""
        self._hearing.forget(mark)

    def clear(self, now_ns: int) -> list[Heard]:
        """Cut off everything, here and at the carrier; return what of each play was heard."""
        self._hearing.settle(now_ns)
        position = self._recall(now_ns)
        heard = self.player.clear(position, is_measured=self._hearing.is_measured)
        self._hearing.cut_off_marks()
        return heard

    def close(self, now_ns: int) -> list[Heard]:
        """End: the call is over. What was not heard is cut off."""
        self.detach(now_ns)
        return self.clear(now_ns)

    def give_up(self, error: PlaybackError) -> None:
        """Send nothing any more: all plays fail, and who waits for a mark is told."""
        self.wire = None
        self.player.fail(error)
        self._hearing.cut_off_marks()

    def pause(self, voice: Voice, now_ns: int) -> None:
        """Let a play fall silent at once."""
        self._recall_if_sent(voice, now_ns)
        voice.is_paused = True

    def resume(self, voice: Voice) -> None:
        """Let it go on."""
        voice.is_paused = False
        self.refresh()

    def stop(self, voice: Voice, now_ns: int) -> None:
        """End a play; what is queued behind it begins at once."""
        self._recall_if_sent(voice, now_ns)
        self.player.end(voice, PlayState.CUT_OFF)

    def refresh(self) -> None:
        """Let what has changed be heard with the next message: take back what was pulled and not sent."""
        self._hurry()
        position = self._committed
        if self.player.position > position:
            self._drop_unsent(is_cut=False)
            self.player.retract(position)

    def _recall_if_sent(self, voice: Voice, now_ns: int) -> None:
        self._hearing.settle(now_ns)
        heard = self._hearing.position(now_ns)
        unheard = [start for start, n in voice.segments if start + n > heard]
        if unheard and unheard[0] < self._committed:
            self._hearing.retract(self._recall(now_ns))
        elif unheard:  # the carrier has nothing of it
            self.refresh()

    def _recall(self, now_ns: int) -> int:
        """Make the carrier forget what it has not played; return the output position where it stands."""
        self._recalls += 1
        self._hurry()
        clear, heard = self._frames.clear(), self._hearing.position(now_ns)
        if self.wire is None or clear is None:
            self._drop_unsent(is_cut=False)
            return self._committed
        if self._hearing.is_any_out:
            self.wire.send(clear)
        self._forget_sent(heard, now_ns)
        return heard

    def _forget_sent(self, heard: int, now_ns: int) -> None:
        self._hearing.forget_sent(heard, now_ns)
        self._drop_unsent(is_cut=True)
