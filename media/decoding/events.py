"""Keys that are pressed as packets of their own: telephone-event (RFC 4733 section 2).

::

     0                   1                   2                   3
    |     event     |E|R| volume    |          duration             |      duration in units of the RTP clock

All packets of one event have the timestamp of its beginning, their durations grow; the last has the E bit and is sent
three times. So an event is told from the next by (SSRC, timestamp), is reported once, at its end, and if all its last
packets are lost, a while after the last one that came or when another event begins.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from strep.clock import NEVER_NS, NS_PER_MS

EVENT = struct.Struct("!BBH")
DIGITS = "0123456789*#ABCD"
"""By event code (section 3.2, table 3); others - flash, tones, fax - are counted only."""
ENDED_AFTER_NS = 200 * NS_PER_MS
"""Without a packet for so long an event is over; senders update every 50 ms (section 2.5.1.1)."""
_END = 0x80


@dataclass(slots=True)
class Key:
    """An event that goes on."""

    ssrc: int
    timestamp: int
    code: int
    duration: int
    arrival_ns: int


@dataclass(slots=True)
class MovedEvents:
    """All that `TelephoneEvents` know, for another process."""

    packets: int
    clock_hz: int
    pressed: Key | None
    last: tuple[int, int] | None


class TelephoneEvents:
    """The keys of one track.

    Attributes:
        packets: telephone-event packets received, repetitions included.
    """

    __slots__ = ("_clock_hz", "_last", "_pressed", "packets")

    def __init__(self, clock_hz: int) -> None:
        """Start without an event; `clock_hz` is the unit of durations."""
        self.packets = 0
        self._clock_hz = clock_hz
        self._pressed: Key | None = None
        self._last: tuple[int, int] | None = None  # SSRC and timestamp of the newest event that is reported

    def deadline(self) -> int:
        """Return when `poll` will end the event that goes on, in ns; `NEVER_NS` if there is none."""
        return NEVER_NS if self._pressed is None else self._pressed.arrival_ns + ENDED_AFTER_NS

    def receive(self, ssrc: int, timestamp: int, payload: bytes, arrival_ns: int) -> list[dict[str, Any]]:
        """Take the payload of one packet, which may hold several events; return those that are over."""
        self.packets += 1
        over = []
        for offset in range(0, len(payload) - EVENT.size + 1, EVENT.size):
            code, flags, duration = EVENT.unpack_from(payload, offset)
            over += self._take(ssrc, timestamp, code, duration, arrival_ns, has_ended=bool(flags & _END))
            timestamp = (timestamp + duration) & 0xFFFF_FFFF  # the events of one packet follow one another
        return over

    def poll(self, now_ns: int) -> list[dict[str, Any]]:
        """Return the event whose last packets are lost, if its time is over."""
        return self.finish() if self.deadline() <= now_ns else []

    def copy_out(self) -> MovedEvents:
        """Return what goes on elsewhere."""
        return MovedEvents(self.packets, self._clock_hz, self._pressed, self._last)

    @classmethod
    def of(cls, moved: MovedEvents) -> TelephoneEvents:
        """Return what was elsewhere."""
        events = cls(moved.clock_hz)
        events.packets, events._pressed, events._last = moved.packets, moved.pressed, moved.last
        return events

    def finish(self) -> list[dict[str, Any]]:
        """Return the event that goes on: nothing more will come."""
        key, self._pressed = self._pressed, None
        if key is None:
            return []
        self._last = key.ssrc, key.timestamp
        if key.code >= len(DIGITS):
            return []
        digit, duration_ms = DIGITS[key.code], round(key.duration * 1000 / self._clock_hz)
        return [{"event": "dtmf", "digit": digit, "duration_ms": duration_ms, "source": "rfc4733"}]

    def _take(
        self, ssrc: int, timestamp: int, code: int, duration: int, arrival_ns: int, *, has_ended: bool
    ) -> list[dict[str, Any]]:
        if self._last is not None and self._last[0] == ssrc and _is_not_after(timestamp, self._last[1]):
            return []  # a repetition, or one that was overtaken
        over, key = [], self._pressed
        if key is None or (key.ssrc, key.timestamp) != (ssrc, timestamp):
            if key is not None and key.ssrc == ssrc and _is_not_after(timestamp, key.timestamp):
                return []
            over = self.finish()
            key = self._pressed = Key(ssrc, timestamp, code, duration, arrival_ns)
        key.duration, key.arrival_ns = max(key.duration, duration), arrival_ns
        return over + self.finish() if has_ended else over


def _is_not_after(timestamp: int, other: int) -> bool:
    return (timestamp - other - 1) & 0xFFFF_FFFF >= 1 << 31
