"""`Hearing`: what of one call's output was heard, and how that is known: by marks that come back, else by the clock.

The clock tells at any moment up to where the carrier has played (`media.talk.carrier_clock`). Marks of ours prove
it at a few places: one stands behind the end of every play. So a play is heard by the clock, sample by sample, and
it is *finished* when the mark behind it is back; who hangs up then cuts nothing off. Where marks do not come back,
and in dialects that have none, the clock alone decides.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from media.talk.carrier_clock import CarrierClock
from media.talk.contract import ReturnFrames, Wire
from media.talk.marks import Marks, OwnMark
from media.talk.player import Player
from media.talk.queue import QueuedMark
from strep.clock import NS_PER_MS, NS_PER_SECOND

logger = logging.getLogger("strep.talk")
MARK_GRACE_NS = 3 * NS_PER_SECOND
"""A mark that is overdue by so much will not come; from then on the clock alone says what was heard."""
EARLY_MARK_NS = 40 * NS_PER_MS
"""A mark that comes so long before its audio can have been played is no proof that it was; two frames are allowed."""

OnMark = Callable[[bool], None]
"""Told once what became of a mark: True when what was before it has been played, False when it was cut off."""


class Hearing:
    """The carrier's playing of what one playout sends.

    Attributes:
        clock: what was sent, and when it is played.
        marks: those that are out.
        is_measured: a mark has come back, so that the clock goes by the carrier's.
        settled_ns: when positions were brought up to date last.
        missing: marks that never came back.
        early: marks that came back before their audio can have been played.
    """

    def __init__(self, player: Player, frames: ReturnFrames) -> None:
        self.clock = CarrierClock(player.sample_rate_hz)
        self.marks = Marks()
        self.is_measured = False
        self.settled_ns = self.missing = self.early = 0
        self._player, self._frames = player, frames
        self._goes_by_clock = frames.mark("") is None
        self._has_marks = not self._goes_by_clock
        self._on_mark: dict[QueuedMark, OnMark] = {}
        self._estimated: list[QueuedMark] = []  # of a dialect without marks: the clock tells when they are due

    # -- marks go out --------------------------------------------------------------------------------

    def expect(self, mark: QueuedMark, on_mark: OnMark) -> None:
        """Tell `on_mark` what becomes of `mark`."""
        self._on_mark[mark] = on_mark

    def forget(self, mark: QueuedMark) -> None:
        """Nobody waits for `mark` any more."""
        self.marks.drop(mark)
        self._on_mark.pop(mark, None)
        self._player.queue.drop_mark(mark)
        self._estimated = [other for other in self._estimated if other is not mark]

    def send_own(self, wire: Wire, now_ns: int) -> None:
        """Put a mark of ours behind what was sent."""
        if self._has_marks:
            message = self._frames.mark(self.marks.send_own(self.clock.sent, now_ns))
            assert message is not None
            wire.send(message)

    def send_due(self, wire: Wire, now_ns: int) -> None:
        """Send the marks of the application that belong behind what was sent."""
        for mark in self._player.queue.due_marks(self.clock.sent):
            if (message := self._frames.mark(mark.name)) is None:
                self._estimated.append(mark)
            else:
                self.marks.send(mark, now_ns)
                wire.send(message)

    # -- what was heard ------------------------------------------------------------------------------

    @property
    def is_awaited(self) -> bool:
        """Whether something was sent of which it is not settled that it was heard."""
        return self.marks.is_any_out or bool(self._estimated) or self._player.is_unheard

    @property
    def is_any_out(self) -> bool:
        """Whether the carrier may have something, audio that is not proved to be played or a mark."""
        return self.clock.sent > self.clock.proven or self.marks.is_any_out

    def position(self, now_ns: int) -> int:
        """Return the output position up to which was heard: not beyond a mark that is still out.

        Nor before what the player was told, though the clock may have learned since that this was too much: what is
        sent next lies where the player has it.
        """
        heard = self.clock.heard(now_ns)
        own = self.marks.own
        if own and not self._goes_by_clock:
            heard = min(heard, own[0].position - 1)
        return max(heard, self._player.heard_position)

    def settle(self, now_ns: int) -> None:
        """Bring all positions up to date."""
        self.settled_ns = now_ns
        own = self.marks.own
        while own and self._is_overdue(own[0], now_ns):
            self._miss(own.popleft())
        heard = self.position(now_ns)
        self._advance(heard, heard if self._goes_by_clock else self.clock.proven)
        if self._estimated:
            for mark in [mark for mark in self._estimated if mark.position is None or mark.position <= heard]:
                self._estimated.remove(mark)
                self._tell(mark, was_played=True)
        for mark in [mark for mark in self._on_mark if mark.is_sent and self._is_overdue(mark, now_ns)]:
            self.missing += 1
            self.marks.drop(mark)
            self._tell(mark, was_played=True)

    def _is_overdue(self, mark: OwnMark | QueuedMark, now_ns: int) -> bool:
        return now_ns > max(self.clock.likely_ns(mark.position or 0), mark.sent_ns) + MARK_GRACE_NS

    def _advance(self, heard: int, proven: int) -> None:
        self._player.advance(heard, proven=proven, is_measured=self.is_measured)
        tape = self._player.tape
        if tape is not None and (self.is_measured or self._goes_by_clock):  # else it is not known yet how much later
            tape.advance(self._player.heard_position, self.clock.delay_ns)

    def _miss(self, mark: OwnMark) -> None:
        if not self.missing:
            logger.warning("marks do not come back: from here on the clock alone says what of a play was heard")
        self.missing += 1
        self.is_measured, self._goes_by_clock = False, True
        self._pass(mark.position)

    def take_mark(self, name: str, now_ns: int) -> int | None:
        """Act on a mark that has come back; return the position before which it proves all to be heard."""
        mark = self.marks.returned(name)
        if isinstance(mark, QueuedMark):
            self._tell(mark, was_played=True)
        elif mark is not None:
            if now_ns + EARLY_MARK_NS < self.clock.earliest_ns(mark.position):
                self.early += 1
                self.is_measured, self._goes_by_clock = False, True
                return None
            self.clock.confirm(mark.position, now_ns)
            self.is_measured, self._goes_by_clock = True, False
            self._advance(mark.position, mark.position)
            self._pass(mark.position)
            return mark.position
        return None

    def _pass(self, position: int) -> None:
        """All before `position` has been played: marks of the application there need not come back any more."""
        for mark in [mark for mark in self._on_mark if mark.is_sent and (mark.position or 0) <= position]:
            self.marks.drop(mark)
            self._tell(mark, was_played=True)

    def _tell(self, mark: QueuedMark, *, was_played: bool) -> None:
        self._player.queue.drop_mark(mark)
        if (on_mark := self._on_mark.pop(mark, None)) is not None:
            on_mark(was_played)

    # -- what is heard no more -----------------------------------------------------------------------

    def forget_sent(self, heard: int, now_ns: int) -> None:
        """Nothing is out any more: what was sent and not heard, and what stands behind it, will not come back."""
        self.marks.void_all()
        self._pass(heard)
        if self._player.tape is not None:  # nothing is learned any more of when it was
            self._player.tape.advance(heard, self.clock.delay_ns)
        self.clock.restart(heard, now_ns)

    def retract(self, position: int) -> None:
        """Have the output from `position` on pulled and sent again, marks too; what is before it was heard."""
        self._advance(position, position)
        again = self._player.retract(position)
        self._estimated = [mark for mark in self._estimated if mark not in again]

    def cut_off_marks(self) -> None:
        """Tell all who wait for a mark that it was cut off."""
        for mark in list(self._on_mark):
            self._tell(mark, was_played=False)
        self._estimated.clear()
