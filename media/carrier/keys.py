"""Keys that a caller presses on a line of packets: telephone-event (RFC 4733), which replaces the audio meanwhile.

One packet in the place of every audio packet (section 2.5.1.2), all with the timestamp of the beginning and a
duration that grows; the first has the marker. When the key is let go, the last one, with the E bit, is sent three
times (section 2.5.1.4). Sequence numbers are the audio's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from media.carrier.network import SETTLING_PACKETS
from strep.clock import NS_PER_MS, NS_PER_SECOND
from strep.errors import ConfigurationError

KEYS = "0123456789*#ABCD"
"""Of a telephone, in the order of section 3.2's event codes 0 to 15."""
PAYLOAD_TYPE = 101
"""Dynamic; the one that everybody chooses."""
PRESS_NS = 100 * NS_PER_MS
"""How long a key is held, rounded up to whole packets."""
END_PACKETS = 3
"""Of the same content; audio goes on behind them."""

#                 event     E R volume     duration in units of the RTP clock: section 2.3
EVENT = np.dtype([("code", "u1"), ("flags", "u1"), ("duration", ">u2")])
"""A payload."""
_END = 0x80
_VOLUME = 10
"""-10 dBm0."""


@dataclass(frozen=True, slots=True)
class KeyPress:
    """One key, in packet times of the call.

    Attributes:
        digit: one of KEYS.
        first: which packet time it is pressed in.
        length: how many it is held for.
    """

    digit: str
    first: int
    length: int

    @property
    def end(self) -> int:
        """The first packet time that has audio again."""
        return self.first + self.length + END_PACKETS - 1

    def payloads(self, ticks_per_packet: int) -> NDArray[np.uint8]:
        """Return (end - first, bytes of an `EVENT`) uint8, one for each of its packets."""
        events = np.zeros(self.end - self.first, EVENT)
        held = np.minimum(np.arange(1, len(events) + 1), self.length)
        events["code"], events["duration"] = KEYS.index(self.digit), held * ticks_per_packet
        events["flags"] = _VOLUME | np.where(held == self.length, _END, 0)
        return events.view(np.uint8).reshape(-1, EVENT.itemsize)


def place(presses: Iterable[tuple[int, str]], packets: int, packet_ns: int) -> list[KeyPress]:
    """Give every press its packets; one that comes while another key is held waits for that.

    Args:
        presses: when in ns of the call, rising, and which key.
        packets: of the whole call. Its first and last ones are audio.
        packet_ns: of each.

    Raises:
        ConfigurationError: the call ends before the last key is let go.
    """
    placed: list[KeyPress] = []
    free = SETTLING_PACKETS
    for time_ns, digit in presses:
        key = KeyPress(digit, max(free, -(-time_ns // packet_ns)), -(-PRESS_NS // packet_ns))
        if key.end >= packets:
            raise ConfigurationError(
                f"dtmf, press: a key at {time_ns / NS_PER_SECOND:g} s is not let go before the call's end"
            )
        placed.append(key)
        free = key.end
    return placed
