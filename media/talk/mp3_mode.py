"""MP3 mode: each message is one complete MP3, at most one a second (the carrier's default).

A source of any length is cut into *pieces*. The numbers, in seconds:

* a token bucket of one lets a piece go `INTERVAL_NS` (1.1) after the one before at the earliest: one a second is the
  carrier's limit, the rest is for a network that pushes two messages closer together;
* the first piece of a run is 2.5 of a source that has so much, so that it is not over when the next one is allowed,
  nor when that is refused once; of a source that is still talking 1.25, so that it is heard early. The following
  ones grow by half each, up to 5: fewer seams for players that ignore the MP3's tag, and still a bound to what a
  clear throws away. They grow no faster, for many calls may begin at once, and a piece takes time to be made;
* a piece is made and sent when the carrier has 2 left, the last one of all when it has 1.3. So it never holds more
  than 7, and a piece that is refused for the rate (100005) can be sent again once before the caller hears a hole.

A slow source gets shorter pieces (at least 1.1, because the next must wait so long), and when nothing has come
for half a second, what is there is sent.

Making a piece takes milliseconds, which others have (`PieceEncoder`). One that nothing can join any more is made
before it is allowed to be sent. What is being made was not sent: whatever changes what sounds takes it back.

Errors are about the last piece that was sent and has not been acknowledged by the mark of ours that stands behind it.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from media.talk.contract import Pcm, PlaybackError, ReturnFrames, Wire
from media.talk.player import Player
from media.talk.playout import EARLY_NS, POLL_NS, Playout
from media.talk.voice import EMPTY
from strep.clock import NEVER_NS, NS_PER_MS, NS_PER_SECOND

INTERVAL_NS = 1100 * NS_PER_MS
SLOW_FIRST_NS, FIRST_NS, LONGEST_NS = 1250 * NS_PER_MS, 2500 * NS_PER_MS, 5 * NS_PER_SECOND
GROWTH = 1.5
LEAD_NS = 2 * NS_PER_SECOND
TAIL_LEAD_NS = INTERVAL_NS + 200 * NS_PER_MS
"""The rest of the last play is sent when the carrier has so little left: a play that is queued till then joins it. It
can be sent again once before the caller hears a hole, if the network takes no more than the 200 ms."""
QUIET_NS, PATIENCE_NS = NS_PER_SECOND // 2, 2 * NS_PER_SECOND
"""What a slow source has given is sent when nothing more came for so long, or when it has waited for so long."""
MIN_LOOK_NS = 2 * NS_PER_MS
"""Whether a piece is made is looked at so soon, then ever more rarely, so that waiting costs next to nothing."""
PROMPT_NS = 500 * NS_PER_MS
"""A first piece is due so soon: before what others need later, but not before what they need now. That matters when
more calls begin at once than there is time for; were it due at once, those that are there would hear holes."""
MAX_REFUSALS = 20
"""A piece that was refused so often in a row for the rate is given up."""

UNKNOWN, MALFORMED, INVALID, TOO_OFTEN = 100002, 100003, 100004, 100005
"""Telnyx, "Stream Errors"."""


CONTEXT_SAMPLES = 1152
"""What an encoder wants to see of the audio behind a piece, so that the seam is not heard."""
SHORTEST_SAMPLES = 48
"""A piece that would be shorter is filled up with silence."""


class PieceEncoder(Protocol):
    """Makes complete MP3s of the pieces of one stream, in order; see `media.talk.mp3.Mp3PieceEncoder`."""

    def encode(self, pcm: Pcm, following: Pcm | None = None, *, due_ns: int = 0) -> Future[bytes]:
        """Begin to make the MP3 of a piece.

        Args:
            pcm: the piece.
            following: what comes next, as far as it is known.
            due_ns: by when it is needed.
        """

    def take_back(self) -> None:
        """Go on as if the last piece had not been: it will not be sent."""

    def reset(self) -> None:
        """Forget the past: the next piece has nothing before it."""


@dataclass(frozen=True, slots=True)
class _Making:
    """The next piece, while it is made and until it may be sent."""

    mp3: Future[bytes]
    samples: int
    begun_ns: int


@dataclass(slots=True)
class _Piece:
    """The last piece that was sent, until it is acknowledged: what would be sent again."""

    message: str | bytes
    start: int
    samples: int
    refusals: int = 0
    unknown_errors: int = 0
    again_ns: int | None = None
    """When it may be sent again; None while it is with the carrier."""


class Mp3Playout(Playout):
    """Sends what the player gives as MP3 pieces, made by `encoder` at the player's rate."""

    def __init__(self, player: Player, frames: ReturnFrames, encoder: PieceEncoder) -> None:
        super().__init__(player, frames)
        self._encoder = encoder
        self._pending: Pcm = EMPTY
        self._waits_since_ns = self._grew_ns = 0  # when the first of what is pending came, and the last
        self._next_ns = 0  # the token bucket: when the next message is allowed
        self._length_ns = FIRST_NS
        self._making: _Making | None = None
        self._piece: _Piece | None = None
        self._is_running = False

    def _samples(self, ns: int) -> int:
        return ns * self.player.sample_rate_hz // NS_PER_SECOND

    # -- sending -------------------------------------------------------------------------------------

    def _send_due(self, wire: Wire, now_ns: int) -> None:
        piece = self._piece
        if piece is not None and piece.again_ns is not None:
            if now_ns >= max(piece.again_ns, self._next_ns):
                piece.again_ns = None
                self._send(wire, piece, now_ns)
            return
        if self._making is None:
            self._fill(now_ns)
            self._making = self._begin(now_ns)
        making = self._making
        if making is not None:
            if now_ns >= self._next_ns and making.mp3.done():
                self._making = None
                self._send_made(wire, making, now_ns)
        elif not len(self._pending) and self._is_exhausted:
            self._is_running = False

    def _begin(self, now_ns: int) -> _Making | None:
        """Have the next piece made, if it is due, or will be as it is."""
        samples = self._due_samples(now_ns)
        is_whole = samples < len(self._pending) or samples >= self._samples(self._length_ns)
        if not samples or (now_ns < self._next_ns and not is_whole):
            return None
        pcm, self._pending = self._pending[:samples], self._pending[samples:]
        self._waits_since_ns = self._grew_ns = now_ns
        if len(pcm) < SHORTEST_SAMPLES:  # then it is all there is
            self.player.pad(SHORTEST_SAMPLES - len(pcm))
            pcm = np.concatenate([pcm, np.zeros(SHORTEST_SAMPLES - len(pcm), np.int16)])
        following = self._pending if len(self._pending) else None
        mp3 = self._encoder.encode(pcm, following, due_ns=max(self._clock.ends_ns, now_ns + PROMPT_NS))
        return _Making(mp3, len(pcm), now_ns)

    def _send_made(self, wire: Wire, making: _Making, now_ns: int) -> None:
        piece = _Piece("", self._clock.sent, making.samples)
        if (error := making.mp3.exception()) is not None:
            self._give_up(piece, PlaybackError(f"no MP3 can be made of it: {error!r}"), now_ns)
            return
        piece.message = self._frames.media(making.mp3.result())
        self._piece = piece
        self._send(wire, piece, now_ns)
        self._length_ns = min(round(self._length_ns * GROWTH), LONGEST_NS)

    def _send(self, wire: Wire, piece: _Piece, now_ns: int) -> None:
        if self._clock.is_dry(now_ns):
            self._underruns += self._is_running
            self._length_ns = FIRST_NS
        self._is_running = True
        self._next_ns = now_ns + INTERVAL_NS
        wire.send(piece.message)
        self._count_sent(piece.samples, now_ns)
        self._hearing.send_own(wire, now_ns)
        self._hearing.send_due(wire, now_ns)

    @property
    def _is_exhausted(self) -> bool:
        return not self.player.has_more or self.player.is_held

    def _fill(self, now_ns: int) -> None:
        """Pull what the next piece lacks, and a little of what is behind it."""
        if self._clock.is_dry(now_ns):
            self._length_ns = FIRST_NS
        missing = self._samples(self._length_ns) + CONTEXT_SAMPLES - len(self._pending)
        if missing <= 0:
            return
        pcm = self.player.pull(missing, now_ns)
        if len(pcm):
            if not len(self._pending):
                self._waits_since_ns = now_ns
            self._grew_ns = now_ns
            self._pending = np.concatenate([self._pending, pcm])

    def _due_samples(self, now_ns: int) -> int:
        """Return how long a piece is to be sent now; 0: none."""
        pending, left_ns = len(self._pending), self._clock.ends_ns - now_ns - EARLY_NS
        if not pending or left_ns > LEAD_NS:
            return 0
        shortest = self._samples(SLOW_FIRST_NS if self._clock.is_dry(now_ns) else INTERVAL_NS)
        mark = self.player.queue.next_mark(self._clock.sent)
        if mark is not None and (to_mark := max(mark - self._clock.sent, shortest)) < pending:
            return to_mark  # it comes back when this piece ends
        length = self._samples(self._length_ns)
        if self._is_exhausted:
            return pending if pending >= length or left_ns <= TAIL_LEAD_NS else 0
        if pending >= length:
            return length
        is_slow = now_ns - self._grew_ns >= QUIET_NS or now_ns - self._waits_since_ns >= PATIENCE_NS
        return pending if left_ns <= TAIL_LEAD_NS and (pending >= shortest or is_slow) else 0

    def _next_send_ns(self) -> int:
        piece = self._piece
        if piece is not None and piece.again_ns is not None:
            return max(piece.again_ns, self._next_ns)
        if (making := self._making) is not None:
            if making.mp3.done():
                return self._next_ns
            waited_ns, left_ns = self._polled_ns - making.begun_ns, self._clock.ends_ns - self._polled_ns
            look_ns = min(max(waited_ns, MIN_LOOK_NS), max(left_ns // 4, POLL_NS))
            return max(self._next_ns, self._polled_ns + look_ns)
        if not len(self._pending) and self._is_exhausted:
            return NEVER_NS
        lead_ns = self._clock.ends_ns - LEAD_NS
        if len(self._pending) >= self._samples(self._length_ns):
            return lead_ns
        if not self._is_exhausted:
            return max(self._polled_ns + POLL_NS, lead_ns)
        return max(self._next_ns, self._clock.ends_ns - TAIL_LEAD_NS)

    def _drop_unsent(self, *, is_cut: bool) -> None:
        self._forget_unsent()
        if is_cut:
            self._piece = None
            self._length_ns = FIRST_NS
            self._is_running = False
            self._encoder.reset()

    def _forget_unsent(self) -> None:
        making, self._making, self._pending = self._making, None, EMPTY
        if making is not None:
            making.mp3.cancel()
            self._encoder.take_back()

    @property
    def _committed(self) -> int:
        piece = self._piece
        return piece.start + piece.samples if piece is not None and piece.again_ns is not None else self._clock.sent

    # -- what the carrier says -----------------------------------------------------------------------

    def _acknowledge(self, position: int) -> None:
        if self._piece is not None and self._piece.start + self._piece.samples <= position:
            self._piece = None

    def take_error(self, code: int | str | None, words: str, now_ns: int) -> None:
        """Send the piece again, or fail the plays in it, as the code asks for."""
        self._errors += 1
        piece = self._piece
        if piece is None or piece.again_ns is not None:
            return
        if code == TOO_OFTEN:
            piece.refusals += 1
        elif code not in (MALFORMED, INVALID):
            piece.unknown_errors += 1
        is_final = code in (MALFORMED, INVALID) or piece.unknown_errors > 1 or piece.refusals > MAX_REFUSALS
        self._take_back(piece, now_ns)
        if is_final:
            self._give_up(piece, PlaybackError(f"the carrier refused the audio: {words}"), now_ns)
        else:
            piece.again_ns = now_ns + INTERVAL_NS

    def _take_back(self, piece: _Piece, now_ns: int) -> None:
        """The carrier has not got `piece`, whatever the marks behind it will say."""
        self._hearing.marks.void(self.player.queue.unsend_marks(piece.start), piece.start)
        self._clock.cut(piece.start, now_ns)

    def _give_up(self, piece: _Piece, error: PlaybackError, now_ns: int) -> None:
        """Fail the plays in `piece`, which the carrier has not got."""
        failed = self.player.sounding_between(piece.start, piece.start + piece.samples)
        self._forget_unsent()
        if self._piece is piece:
            self._piece = None
        self._encoder.reset()
        if self.player.tape is not None:  # what counts as heard of it nobody heard
            self.player.tape.cut(piece.start)
        self.player.retract(piece.start)
        if self.player.position != self._clock.sent:  # its beginning counts as heard: the error was slower
            self._clock.restart(self.player.position, now_ns)
        self._fail(failed, error, now_ns)
