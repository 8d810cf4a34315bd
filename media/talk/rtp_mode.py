"""RTP mode: raw codec bytes in short messages, a little ahead of real time (``stream_bidirectional_mode=rtp``).

A message is due a *lead* before the carrier has played everything before it. That is an absolute time: it comes
from the samples sent since the run began and not from when the last message went out, so being late once moves
nothing. The lead is what a late timer, a busy process or the network may take before the caller hears a hole.

* A message holds 40 ms: what it costs is the message and the system call, hardly its samples. A clear waits for
  no message, so barge-in is as quick as with shorter ones.
* What is due at once goes in one message: the look-ahead when a run begins, and after a stall what was missed. So a
  process that is behind has less to do, and not more.
* Every call has its own *phase*, the place of its deadlines within the time of a message: the lead is up to a
  message shorter for it. Else all calls that began together, or that one stall has put in step, were due together
  for ever, and the last of 500 waited for 499.
* A message ends with the frame in which a play ends or a mark lies: the mark behind it tells that and no more.

Audio is pulled and encoded for `PULL_MS` at a time where the codec has no memory and one play sounds alone: one table
look-up instead of ten. What was not sent is taken back when anything changes, so nothing waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from media.codecs.encoding import FRAME_MS
from media.talk.contract import FrameEncoder, Pcm, PlaybackError, ReturnFrames, Wire
from media.talk.lateness import Lateness
from media.talk.player import Player
from media.talk.playout import EARLY_NS, POLL_NS, Playout
from media.talk.voice import EMPTY
from strep.clock import NEVER_NS, NS_PER_MS, NS_PER_SECOND

MIN_MESSAGE_MS, MAX_MESSAGE_MS = 20, 30_000
"""What the carrier takes (Telnyx, "Bidirectional media streaming")."""
MIN_LOOKAHEAD_MS, MAX_LOOKAHEAD_MS = 40, 200
PULL_MS = 400
"""How much is pulled and encoded at a time; what is not sent yet is taken back when it is to sound otherwise."""
MARK_EVERY_NS = NS_PER_SECOND // 2
"""How much audio lies between two marks of ours, at most; there is one behind the end of every play too."""
FLUSH_NS = 15 * NS_PER_MS
"""A piece of a frame that a slow source has left is padded and sent so long before the carrier runs dry; where it has
left nothing, `keep_alive` sends a frame of silence then."""
MAX_LOOK_NS = 2 * POLL_NS
"""A live source that has been silent for long is asked so often: what it says then is late by so much at most."""


@dataclass(frozen=True, slots=True)
class RtpOptions:
    """How RTP mode sends.

    Attributes:
        message_ms: audio in a message, a multiple of the codec's frame, 20 ms to 30 s.
        lookahead_ms: how far ahead of the carrier's playing to be at most, 40 to 200 ms; a message that is longer
            than half of it comes on top.
        keep_alive: send silence while nothing plays, or a live source has nothing: some peers hang up when they get
            nothing for long.
        has_memory: the codec's state goes from frame to frame (G.722, Opus), or a message must hold one frame (Opus).
        phase: where in the time of a message its deadlines lie, 0 to 1; see above.
    """

    message_ms: int = 40
    lookahead_ms: int = 160
    keep_alive: bool = False
    has_memory: bool = False
    phase: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: one is out of range.
        """
        if not MIN_MESSAGE_MS <= self.message_ms <= MAX_MESSAGE_MS:
            raise ValueError(f"message_ms={self.message_ms}: {MIN_MESSAGE_MS} to {MAX_MESSAGE_MS}")
        if not MIN_LOOKAHEAD_MS <= self.lookahead_ms <= MAX_LOOKAHEAD_MS:
            raise ValueError(f"lookahead_ms={self.lookahead_ms}: {MIN_LOOKAHEAD_MS} to {MAX_LOOKAHEAD_MS}")

    @property
    def lead_ms(self) -> int:
        """How long before it is needed a message is sent, at most: when it is there, there is no more ahead."""
        is_short = 2 * self.message_ms <= self.lookahead_ms
        return self.lookahead_ms - self.message_ms * is_short

    @property
    def spread_ms(self) -> int:
        """How much less it may be, for the sake of the phase; half of the lead is left at least."""
        return min(self.message_ms, self.lead_ms // 2) if self.lead_ms < self.lookahead_ms else 0


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
        per_message, rest_ms = divmod(options.message_ms, FRAME_MS)
        if rest_ms:
            raise ValueError(f"message_ms={options.message_ms} is no multiple of the codec's frame")
        self._message_samples = per_message * self._frame_samples  # 40 ms at 11,025 Hz: twice 220 samples, not 441
        at_a_time = 1 if options.has_memory else max(PULL_MS // options.message_ms, 1)
        self._most_samples = at_a_time * self._message_samples
        self._lead_ns = options.lead_ms * NS_PER_MS
        self._mark_samples = MARK_EVERY_NS * rate_hz // NS_PER_SECOND
        self._pending: Pcm = EMPTY
        # What is ready to be sent; up to where in the output there was a mark, and there is audio.
        self._encoded, self._encoded_samples = b"", 0
        self._marked = self._audio_end = 0
        self._is_running = self._is_starved = False
        self._given_ns = 0  # when the player gave something last

    def _send_due(self, wire: Wire, now_ns: int) -> None:
        clock = self._clock
        is_first = clock.is_dry(now_ns)
        while is_first or clock.ends_ns - self._lead_ns <= now_ns + EARLY_NS:
            was_starved = self._is_starved
            if not self._encoded_samples and not self._encode_more(now_ns):
                break
            fills_up = clock.ends_ns - self._lead_ns <= clock.run_ns  # the look-ahead
            if self._is_running and not (fills_up or was_starved):
                self.lateness.add(now_ns - clock.ends_ns + self._lead_ns)
            if is_first:
                self._begin_run(now_ns)
            payload, samples = self._take(now_ns + EARLY_NS - (now_ns if is_first else clock.ends_ns) + self._lead_ns)
            wire.send(self._frames.media(payload))
            self._count_sent(samples, now_ns)
            self._is_running, is_first = True, False
            self._mark_if_due(wire, now_ns)
        if not self._encoded_samples and not len(self._pending) and (not self.player.has_more or self.player.is_held):
            self._is_running = False
            if self._audio_end > self._marked:
                self._mark_here(wire, now_ns)

    def _begin_run(self, now_ns: int) -> None:
        """The carrier has nothing: from here on deadlines count from now, and lie where the phase has them."""
        self._underruns += self._is_running
        options, message_ns = self._options, self._options.message_ms * NS_PER_MS
        first_ns = now_ns - options.lead_ms * NS_PER_MS
        after_ns = (int(options.phase * message_ns) - first_ns) % message_ns
        self._lead_ns = options.lead_ms * NS_PER_MS - after_ns * options.spread_ms // options.message_ms

    def _take(self, late_ns: int) -> tuple[bytes, int]:
        """Take what is due from what is encoded: a message for every message's time up to `late_ns`.

        Returns:
            The payload, and its samples.
        """
        at_once = 1 + late_ns // (self._options.message_ms * NS_PER_MS)
        samples = min(at_once * self._message_samples, self._encoded_samples)
        sent = self._clock.sent
        place = self.player.queue.next_place(sent)
        if place is not None:
            samples = min(samples, place - sent + (sent - place) % self._frame_samples)
        if samples == self._encoded_samples:
            payload, self._encoded = self._encoded, b""
        else:
            size = len(self._encoded) * samples // self._encoded_samples
            payload, self._encoded = self._encoded[:size], self._encoded[size:]
        self._encoded_samples -= samples
        return payload, samples

    def _mark_if_due(self, wire: Wire, now_ns: int) -> None:
        sent, queue = self._clock.sent, self.player.queue
        end = queue.next_end(self._marked)
        if sent - self._marked >= self._mark_samples or (end is not None and end <= sent):
            self._mark_here(wire, now_ns)
        if queue.unsent_marks:
            self._hearing.send_due(wire, now_ns)

    def _mark_here(self, wire: Wire, now_ns: int) -> None:
        if self._audio_end > self._marked:  # silence needs no witness
            self._hearing.send_own(wire, now_ns)
        self._marked = self._clock.sent

    def _encode_more(self, now_ns: int) -> bool:
        """Pull and encode; False if there is not enough for a frame, and it can wait."""
        pending = len(self._pending)
        wanted = self._message_samples if self.player.is_mixing else self._most_samples
        pcm = self.player.pull(wanted - pending, now_ns)
        if len(pcm):
            self._given_ns = now_ns
        if pending:
            pcm = np.concatenate([self._pending, pcm])
        whole = len(pcm) - len(pcm) % self._message_samples
        if whole:
            self._pending = pcm[whole:]
            self._audio_end = self.player.position
            self._encoded, self._encoded_samples = self._encoder.encode(pcm[:whole]), whole
        else:
            self._encode_last(pcm, now_ns)
        self._is_starved = not self._encoded_samples
        return not self._is_starved

    def _encode_last(self, pcm: Pcm, now_ns: int) -> None:
        """Encode less than a message, padded with silence to whole frames, if nothing will come to fill it."""
        self._pending = pcm
        can_wait = self._clock.ends_ns - now_ns > FLUSH_NS or not (len(pcm) or self._options.keep_alive)
        if can_wait and self.player.has_more and not self.player.is_held:
            return
        if not len(pcm):
            if self._options.keep_alive:
                self.player.pad(self._frame_samples)
                self._encoded, self._encoded_samples = self._encoder.silence(), self._frame_samples
            return
        padding = -len(pcm) % self._frame_samples
        self._pending = EMPTY
        self._audio_end = self.player.position
        self.player.pad(padding)
        self._encoded = self._encoder.encode(np.concatenate([pcm, np.zeros(padding, np.int16)]))
        self._encoded_samples = len(pcm) + padding

    def _next_send_ns(self) -> int:
        due_ns = self._clock.ends_ns - self._lead_ns
        if self._encoded_samples:
            return due_ns
        if len(self._pending) or (self.player.has_more and not self.player.is_held):
            return max(due_ns, self._look_ns()) if self._is_starved else due_ns
        return due_ns if self._options.keep_alive else NEVER_NS

    def _look_ns(self) -> int:
        """Return when to ask again a source that had nothing: ever more rarely, but when what it has left is due."""
        waited_ns, flush_ns = self._polled_ns - self._given_ns, self._clock.ends_ns - FLUSH_NS
        look_ns = self._polled_ns + min(max(waited_ns // 8, POLL_NS // 2), MAX_LOOK_NS)
        return min(look_ns, flush_ns) if self._polled_ns < flush_ns else look_ns

    def _drop_unsent(self, *, is_cut: bool) -> None:
        self._encoded, self._encoded_samples = b"", 0
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
            sounding = self.player.sounding_between(self._hearing.position(now_ns), self.player.position)
            if sounding:
                hint = "was the stream asked for with stream_bidirectional_mode=rtp, and with this codec?"
                position = self._recall(now_ns)
                self._hearing.retract(position)
                self._fail(sounding, PlaybackError(f"the carrier refused the audio: {words}; {hint}"), now_ns)
