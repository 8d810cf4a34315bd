"""RTP mode: raw codec bytes in short messages, a little ahead of real time (``stream_bidirectional_mode=rtp``).

Message k of a run is due `lookahead_ms` before the carrier has played everything before it. That is an absolute time:
it comes from the samples sent since the run began and not from when the last message went out, so being late once
moves nothing. The look-ahead is what a late timer, a busy process or the network may take before the caller
hears a hole; it is also what the carrier has to forget at a clear, hence at most 200 ms.

A message holds 40 ms: what it costs is the message and the system call, hardly its samples, and so twice as many
calls can be talked to as with 20 ms. A clear waits for no message, so barge-in is as quick.

Audio is pulled and encoded for `PULL_MS` at a time where the codec has no memory: one table look-up
instead of five. What was not sent is taken back when anything changes, so nothing waits for it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from media.talk.contract import FrameEncoder, Pcm, ReturnFrames, Wire
from media.talk.lateness import Lateness
from media.talk.player import Player
from media.talk.playout import EARLY_NS, POLL_NS, Playout
from media.talk.voice import EMPTY
from strep.clock import NEVER_NS, NS_PER_MS, NS_PER_SECOND

MIN_MESSAGE_MS, MAX_MESSAGE_MS = 20, 30_000
"""What the carrier takes (Telnyx, "Bidirectional media streaming")."""
MIN_LOOKAHEAD_MS, MAX_LOOKAHEAD_MS = 40, 200
PULL_MS = 200
"""How much is pulled and encoded at a time; what is not sent yet is taken back when it is to sound otherwise."""
MARK_EVERY_NS = NS_PER_SECOND // 2
"""How much audio lies between two marks of ours, at most; there is one behind the end of every play too."""
FLUSH_NS = 15 * NS_PER_MS
"""A piece of a frame that a slow source has left is padded and sent so long before the carrier runs dry."""


@dataclass(frozen=True, slots=True)
class RtpOptions:
    """How RTP mode sends.

    Attributes:
        message_ms: audio in a message, a multiple of the codec's frame, 20 ms to 30 s.
        lookahead_ms: how far ahead of the carrier's playing to be, 40 to 200 ms; a message that is longer than half
            of it comes on top.
        keep_alive: send silence while nothing plays: some peers hang up when they get nothing for long.
        has_memory: the codec's state goes from frame to frame (G.722, Opus), or a message must hold one frame (Opus).
    """

    message_ms: int = 40
    lookahead_ms: int = 120
    keep_alive: bool = False
    has_memory: bool = False

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: one is out of range.
        """
        if not MIN_MESSAGE_MS <= self.message_ms <= MAX_MESSAGE_MS:
            raise ValueError(f"message_ms={self.message_ms}: {MIN_MESSAGE_MS} to {MAX_MESSAGE_MS}")
        if not MIN_LOOKAHEAD_MS <= self.lookahead_ms <= MAX_LOOKAHEAD_MS:
            raise ValueError(f"lookahead_ms={self.lookahead_ms}: {MIN_LOOKAHEAD_MS} to {MAX_LOOKAHEAD_MS}")


class RtpPlayout(Playout):
    """Sends what the player gives in frames of one codec; the player's rate is the encoder's."""

    def __init__(
        self,
        player: Player,
        frames: ReturnFrames,
        encoder: FrameEncoder,
        options: RtpOptions | None = None,
        lateness: Lateness | None = None,
    ) -> None:
        """Prepare; `lateness` may be shared by all calls.

        Raises:
            ValueError: the message is no whole number of the codec's frames.
        """
        super().__init__(player, frames)
        self.lateness = lateness or Lateness()
        self._encoder = encoder
        self._options = options = options or RtpOptions()
        self._frame_samples = encoder.frame_samples
        rate_hz = player.sample_rate_hz
        self._message_samples = options.message_ms * rate_hz // 1000
        if self._message_samples % self._frame_samples:
            raise ValueError(f"message_ms={options.message_ms} is no multiple of the codec's frame")
        is_short = 2 * options.message_ms <= options.lookahead_ms
        self._lead_ns = (options.lookahead_ms - options.message_ms * is_short) * NS_PER_MS
        at_a_time = 1 if options.has_memory else max(PULL_MS // options.message_ms, 1)
        self._pull_samples = at_a_time * self._message_samples
        self._mark_samples = MARK_EVERY_NS * rate_hz // NS_PER_SECOND
        self._pending: Pcm = EMPTY
        self._encoded: deque[tuple[bytes, int]] = deque()  # messages, and their samples
        self._marked = self._audio_end = 0
        self._is_running = False

    def _send_due(self, wire: Wire, now_ns: int) -> None:
        clock = self._clock
        while (due_ns := clock.ends_ns - self._lead_ns) <= now_ns + EARLY_NS:
            message = self._encoded.popleft() if self._encoded else self._next_message(now_ns)
            if message is None:
                break
            payload, samples = message
            if self._is_running:
                self._underruns += clock.is_dry(now_ns)
                if due_ns > clock.run_ns:  # the messages that fill the look-ahead have no deadline
                    self.lateness.add(now_ns - due_ns)
            wire.send(self._frames.media(payload))
            self._count_sent(samples, now_ns)
            self._is_running = True
            if clock.sent - self._marked >= self._mark_samples or self._marked < self.player.last_end <= clock.sent:
                self._mark_here(wire)
        if not self._encoded and not len(self._pending) and (not self.player.has_more or self.player.is_held):
            self._is_running = False
            if self._audio_end > self._marked:
                self._mark_here(wire)

    def _mark_here(self, wire: Wire) -> None:
        if self._audio_end > self._marked:  # silence needs no witness
            self._send_own_mark(wire)
        self._marked = self._clock.sent

    def _next_message(self, now_ns: int) -> tuple[bytes, int] | None:
        """Pull, encode and return the next message; None if there is not enough for a frame, and it can wait."""
        pending = len(self._pending)
        pcm = self.player.pull(self._pull_samples - pending, now_ns)
        if pending:
            pcm = np.concatenate([self._pending, pcm])
        if len(pcm) < self._message_samples:
            return self._last_message(pcm, now_ns)
        whole = len(pcm) - len(pcm) % self._message_samples
        self._pending = pcm[whole:]
        payload = self._encoder.encode(pcm[:whole])
        n, size = whole // self._message_samples, len(payload) * self._message_samples // whole
        self._encoded.extend((payload[k * size : (k + 1) * size], self._message_samples) for k in range(n))
        self._audio_end = self.player.position
        return self._encoded.popleft()

    def _last_message(self, pcm: Pcm, now_ns: int) -> tuple[bytes, int] | None:
        """Return less than a message, padded with silence to whole frames, if nothing will come to fill it."""
        self._pending = pcm
        may_grow = self.player.has_more and not self.player.is_held
        if may_grow and (not len(pcm) or self._clock.ends_ns - now_ns > FLUSH_NS):
            return None
        if not len(pcm):
            if not self._options.keep_alive:
                return None
            self.player.pad(self._frame_samples)
            return self._encoder.silence(), self._frame_samples
        padding = -len(pcm) % self._frame_samples
        self._pending = EMPTY
        self._audio_end = self.player.position
        self.player.pad(padding)
        samples = len(pcm) + padding
        return self._encoder.encode(np.concatenate([pcm, np.zeros(padding, np.int16)])), samples

    def _next_send_ns(self) -> int:
        due_ns = self._clock.ends_ns - self._lead_ns
        if self._encoded:
            return due_ns
        is_waiting = self.player.has_more and not self.player.is_held
        if is_waiting or len(self._pending):
            return max(due_ns, self._polled_ns + POLL_NS // 2)
        return due_ns if self._options.keep_alive else NEVER_NS

    def _drop_unsent(self, *, is_cut: bool) -> None:
        self._encoded.clear()
        self._pending = EMPTY
        self._audio_end = self._clock.sent
        if is_cut:
            self._marked = self._clock.sent
            self._is_running = False
            self._encoder.reset()

    def take_error(self, code: int | str | None, words: str, now_ns: int) -> None:
        """Fail what sounds: here the carrier complains about the kind of what it gets, not about one message."""
        self._errors += 1
        if code in (100003, 100004, 100005):
            sounding = self.player.sounding_between(self._heard(now_ns), self.player.position)
            if sounding:
                hint = "was the stream asked for with stream_bidirectional_mode=rtp, and with this codec?"
                position = self._recall(now_ns)
                self._retract(position)
                self._fail(sounding, f"{words}; {hint}", now_ns)
