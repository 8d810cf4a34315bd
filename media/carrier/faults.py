"""What a carrier does to its own stream before the network has a chance: silence, restarts, odd packets.

All times are nanoseconds since the call's beginning. A fault that restarts something begins with the
first packet sent at or after its time, and that packet begins a new *epoch*.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

from media.carrier.network import SETTLING_PACKETS, Span
from strep.clock import NS_PER_MS
from strep.errors import ConfigurationError
from strep.header import HEADER_BYTES

NEAR_WRAP_SEQUENCE_NUMBER = 65_500
NEAR_WRAP_TIMESTAMP = (1 << 32) - 8_000
MAX_HEADER_BYTES = 255


class Extra(IntFlag):
    """What an RTP packet may carry besides header and payload (RFC 3550 section 5.1)."""

    EXTENSION = 1
    CSRC = 2
    PADDING = 4


@dataclass(frozen=True, slots=True)
class Faults:
    """Everything the sender does out of the ordinary. Every default means "does nothing"."""

    dtx: float = 0.0
    """Share of the time in which nothing is sent because nobody speaks: timestamps go on, sequence numbers
    wait. The pauses last a third of a second on average."""
    hold: Span | None = None
    """One long pause of the same kind."""
    ssrc_change_at_ns: int | None = None
    """New SSRC, and with it a new random sequence number and timestamp."""
    sequence_reset_at_ns: int | None = None
    """New random sequence number, same SSRC, timestamps go on."""
    timestamp_jump_at_ns: int | None = None
    """Timestamps jump by `timestamp_jump_samples`, same SSRC, sequence numbers go on."""
    timestamp_jump_samples: int = 1 << 31
    """Modulo 2**32."""
    near_wrap: bool = False
    """Begin at sequence number 65500 and timestamp 2**32 - 8000, so that both wrap in the first second."""
    extras: float = 0.0
    """Share of the packets with a header extension, CSRCs, padding or any mix of them."""
    header_bytes: int = HEADER_BYTES
    """STREP HeaderLen; what is beyond byte 24 has no meaning in version 1 and is filled with 0xEE."""
    malformed: float = 0.0
    """Datagrams of rubbish, as a share of the packets sent; at most 1."""

    def __post_init__(self) -> None:
        for name, highest in (("dtx", 0.95), ("extras", 1.0), ("malformed", 1.0)):
            if not 0 <= getattr(self, name) <= highest:
                raise ConfigurationError(f"{name}: {getattr(self, name)} is not a share from 0 to {highest}")
        if not HEADER_BYTES <= self.header_bytes <= MAX_HEADER_BYTES:
            raise ConfigurationError(f"header_bytes: {self.header_bytes} is not from {HEADER_BYTES} to 255")

    @property
    def restarts_at_ns(self) -> list[int]:
        """Times at which a new epoch begins."""
        times = (self.ssrc_change_at_ns, self.sequence_reset_at_ns, self.timestamp_jump_at_ns)
        return [time_ns for time_ns in times if time_ns is not None]

    def is_sent(self, times_ns: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.bool_]:
        """Return (n,) bool: which payloads of a track are sent.

        The first and the last always are; and whoever restarts something is speaking: the packet before it
        is sent, and three in a row carry the new numbering. A receiver could not tell a short pause before
        a restart from jitter.
        """
        held = np.zeros(len(times_ns), np.bool_)
        if self.hold is not None:
            held = (times_ns >= self.hold.start_ns) & (times_ns < self.hold.end_ns)
        sent = ~_pauses(times_ns, self.dtx, random) if self.dtx else np.ones(len(times_ns), np.bool_)
        for restart_ns in (0, *self.restarts_at_ns):
            first = np.flatnonzero((times_ns >= times_ns[0] + restart_ns) & ~held)[:1].sum()
            sent[max(0, first - 1) : first + SETTLING_PACKETS] = True
        sent &= ~held
        sent[:1] = sent[-1:] = True
        return sent

    def draw_extras(self, count: int, random: np.random.Generator) -> NDArray[np.uint8]:
        """Return (count,) uint8 of `Extra` flags."""
        has_extras = random.random(count) < self.extras
        return np.where(has_extras, random.integers(1, 8, count), 0).astype(np.uint8)


_MEAN_PAUSE_NS = 333 * NS_PER_MS


def _pauses(times_ns: NDArray[np.int64], share: float, random: np.random.Generator) -> NDArray[np.bool_]:
    # Talk and pause take turns, with exponential lengths of the means that give the share.
    talk_ns = _MEAN_PAUSE_NS * (1 - share) / share
    turns = 8 + int(2 * (times_ns[-1] - times_ns[0]) / (talk_ns + _MEAN_PAUSE_NS)) if len(times_ns) else 0
    lengths = np.column_stack([random.exponential(talk_ns, turns), random.exponential(_MEAN_PAUSE_NS, turns)])
    changes_ns = times_ns[:1].sum() + np.cumsum(lengths.ravel())
    is_pause: NDArray[np.bool_] = np.searchsorted(changes_ns, times_ns, side="right") % 2 == 1
    return is_pause
