"""MP3 mode: each message is one complete MP3, at most one a second (the carrier's default).

A source of any length is cut into *pieces*. The numbers, in seconds:

* a token bucket of one lets a piece go `INTERVAL_NS` (1.1) after the one before at the earliest: one a second is the
  carrier's limit, the rest is for a network that pushes two messages closer together;
* the first piece of a run is 1.25, so that a source that is still talking is heard early, and the next piece is
  allowed before this one is over; the following ones are twice as long each, up to 5: fewer seams for players that
  ignore the MP3's tag, and still a bound to what a clear throws away;
* a piece is sent when the carrier has 2 left. So it never holds more than 7, and a piece that is refused
  for the rate (100005) can be sent again once before the caller hears a hole.

A slow source gets shorter pieces (at least 1.1, because the next must wait so long), and when nothing has come
for half a second, what is there is sent.

Errors are about the last piece that was sent and has not been acknowledged by the mark of ours that stands behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from media.talk.contract import Pcm, ReturnFrames, Wire
from media.talk.player import Player
from media.talk.playout import EARLY_NS, POLL_NS, Playout
from media.talk.voice import EMPTY
from strep.clock import NEVER_NS, NS_PER_MS, NS_PER_SECOND

INTERVAL_NS = 1100 * NS_PER_MS
FIRST_NS, LONGEST_NS = 1250 * NS_PER_MS, 5 * NS_PER_SECOND
GROWTH = 2
LEAD_NS = 2 * NS_PER_SECOND
TAIL_LEAD_NS = 500 * NS_PER_MS
"""The rest of the last play is sent when the carrier has so little left: a play that is queued till then joins it."""
QUIET_NS, PATIENCE_NS = NS_PER_SECOND // 2, 2 * NS_PER_SECOND
"""What a slow source has given is sent when nothing more came for so long, or when it has waited for so long."""
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

    def encode(self, pcm: Pcm, following: Pcm | None = None) -> bytes:
        """Return the MP3 of a piece; `following` is what comes next, as far as it is known."""

    def reset(self) -> None:
        """Forget the past: the next piece has nothing before it."""


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
        self._fill(now_ns)
        samples = self._due_samples(now_ns)
        if samples and now_ns >= self._next_ns:
            pcm, self._pending = self._pending[:samples], self._pending[samples:]
            self._waits_since_ns = self._grew_ns = now_ns
            if len(pcm) < SHORTEST_SAMPLES:  # then it is all there is
                self.player.pad(SHORTEST_SAMPLES - len(pcm))
                pcm = np.concatenate([pcm, np.zeros(SHORTEST_SAMPLES - len(pcm), np.int16)])
            following = self._pending if len(self._pending) else None
            payload = self._frames.media(self._encoder.encode(pcm, following))
            self._piece = _Piece(payload, self._clock.sent, len(pcm))
            self._send(wire, self._piece, now_ns)
            self._length_ns = min(self._length_ns * GROWTH, LONGEST_NS)
        if not len(self._pending) and self._is_exhausted:
            self._is_running = False

    def _send(self, wire: Wire, piece: _Piece, now_ns: int) -> None:
        if self._clock.is_dry(now_ns):
            self._underruns += self._is_running
            self._length_ns = FIRST_NS
        self._is_running = True
        self._next_ns = now_ns + INTERVAL_NS
        wire.send(piece.message)
        self._count_sent(piece.samples, now_ns)
        self._hearing.send_own(wire)
        self._hearing.send_due(wire)

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
        shortest = self._samples(INTERVAL_NS)
        mark = self.player.queue.next_mark(self._clock.sent)
        if mark is not None and shortest <= mark - self._clock.sent < pending:
            return mark - self._clock.sent  # it comes back when this piece ends
        length = self._samples(self._length_ns)
        if self._is_exhausted:
            return pending if pending >= length or left_ns <= TAIL_LEAD_NS else 0
        if pending >= length:
            return length
        is_enough = pending >= shortest and not self._clock.is_dry(now_ns)
        is_slow = now_ns - self._grew_ns >= QUIET_NS or now_ns - self._waits_since_ns >= PATIENCE_NS
        return pending if left_ns <= TAIL_LEAD_NS and (is_enough or is_slow) else 0

    def _next_send_ns(self) -> int:
        piece = self._piece
        if piece is not None and piece.again_ns is not None:
            return max(piece.again_ns, self._next_ns)
        if not len(self._pending) and self._is_exhausted:
            return NEVER_NS
        left_ns = LEAD_NS if len(self._pending) >= self._samples(self._length_ns) else TAIL_LEAD_NS
        if not self._is_exhausted and left_ns == TAIL_LEAD_NS:
            return max(self._polled_ns + POLL_NS, self._clock.ends_ns - LEAD_NS)
        return max(self._next_ns, self._clock.ends_ns - left_ns)

    def _drop_unsent(self, *, is_cut: bool) -> None:
        self._pending = EMPTY
        if is_cut:
            self._piece = None
            self._length_ns = FIRST_NS
            self._is_running = False
            self._encoder.reset()

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
            self._give_up(piece, words, now_ns)
        else:
            piece.again_ns = now_ns + INTERVAL_NS

    def _take_back(self, piece: _Piece, now_ns: int) -> None:
        """The carrier has not got `piece`, whatever the marks behind it will say."""
        self._hearing.marks.void(self.player.queue.unsend_marks(piece.start), piece.start)
        self._clock.cut(piece.start, now_ns)

    def _give_up(self, piece: _Piece, words: str, now_ns: int) -> None:
        failed = self.player.sounding_between(piece.start, piece.start + piece.samples)
        self._piece, self._pending = None, EMPTY
        self._encoder.reset()
        self.player.retract(piece.start)
        self._fail(failed, words, now_ns)
