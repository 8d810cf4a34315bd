"""`TrackCounter`: where one track's counting stands, and where it stood before it began anew."""

from __future__ import annotations

import copy
from array import array

from media.ws.owners import MAX_DROPOUT, MAX_MISORDER
from strep.serial import SEQUENCE_MODULUS

_RESTART_JUMP = SEQUENCE_MODULUS // 2
_SLOTS = 128
MAX_REMEMBERED = _SLOTS
"""Values whose numbers are kept."""
_MASK = _SLOTS - 1
_NO_VALUE = (1 << 64) - 1
assert _SLOTS >= MAX_MISORDER


class TrackCounter:
    """The newest value as received, the number that it became, and the numbers of the values before it.

    Attributes:
        value, number: of the newest chunk.
        first_value, first_number: of the earliest one of this counting.
        generation: how often the counting began anew.
        session: the start frame, counted, of the socket on which this counting began.
        newest_session: of the newest chunk, or of the first.
        earlier: the counting before this one, as it stands; None in the first.
    """

    def __init__(self) -> None:
        self.is_started = False
        self.value = self.number = self.first_value = self.first_number = 0
        self.sequence_number: int | None = None
        self.others = self.epoch = self.standing = 0
        self.generation = self.session = self.newest_session = 0
        self.earlier: TrackCounter | None = None
        self.values, self.numbers = array("Q"), array("q")

    def begin(self, value: int, number: int, session: int) -> None:
        """Start counting."""
        self.is_started = True
        self.session = self.newest_session = session
        self.value = self.first_value = value
        self.number = self.first_number = number
        self.values = array("Q", [_NO_VALUE] * _SLOTS)
        self.numbers = array("q", [0] * _SLOTS)

    def restart(self, value: int, session: int) -> None:
        """Start counting anew, with a number that is a visible jump."""
        self.earlier = None  # one is enough to remember
        self.earlier = copy.copy(self)
        self.begin(value, self._restarted_number(value), session)
        self.generation += 1

    def advance(self, value: int, number: int, session: int) -> None:
        """Go on to a newer chunk."""
        self.value, self.number, self.newest_session = value, number, session

    def remember(self, value: int, number: int) -> None:
        """Keep the number of `value`, for when it comes late or again."""
        self.values[value & _MASK] = value
        self.numbers[value & _MASK] = number

    def remembered(self, value: int) -> int | None:
        """Return the number of `value` if it has one."""
        return self.numbers[value & _MASK] if self.values[value & _MASK] == value else None

    def remembered_before(self, value: int) -> int:
        """Return the number of the last value before `value` that has one."""
        before = (self.remembered(earlier) for earlier in range(value - 1, value - _SLOTS, -1))
        return next((number for number in before if number is not None), self.number)

    def is_straggler(self, value: int) -> bool:
        """Tell whether `value` fits the end of the earlier counting, and this one, still young, not at all."""
        return (
            self.earlier is not None
            and 0 <= self.earlier.value - value < MAX_MISORDER < abs(value - self.value)
            and self.number - self.first_number < MAX_MISORDER
        )

    def _restarted_number(self, value: int) -> int:
        """Return a number that is a visible jump and, if it can be, equal to `value` modulo 2**16."""
        jump = (value - self.number) % SEQUENCE_MODULUS
        is_visible = MAX_DROPOUT < jump < SEQUENCE_MODULUS - MAX_MISORDER
        return self.number + (jump if is_visible else _RESTART_JUMP)
