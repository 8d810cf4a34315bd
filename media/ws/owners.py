"""Who used which number of a counter that both tracks of a stream may share.

A ring of one byte a number, for more numbers than RFC 3550 A.1 lets be lost in one go. A number that nobody
used is *expected of* the track that had the number two before it: right for tracks that alternate and for
one track that talks alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from strep.header import Direction

MAX_DROPOUT = 3000
"""RFC 3550 A.1: so many missing numbers are a loss, more are a restart."""
MAX_MISORDER = 100
"""RFC 3550 A.1: a number less than this behind is late, more are a restart."""

_RING = 4096
_MASK = _RING - 1
_LOOKBACK = 16
assert _RING > MAX_DROPOUT

# The bytes of the ring; a direction's byte is its value plus one of these two.
_NOBODY = 0
_USED_BY = 1
_EXPECTED_OF = 3
_NO_MEDIA = 5
_SIDE = (None, Direction.INBOUND, Direction.OUTBOUND, Direction.INBOUND, Direction.OUTBOUND, None)

OTHER = (Direction.OUTBOUND, Direction.INBOUND)
"""The other direction of each."""


def is_jump(step: int) -> bool:
    """Tell whether a counter that moved by `step` has restarted (RFC 3550 A.1)."""
    return step > MAX_DROPOUT or step <= -MAX_MISORDER


class NumberOwners:
    """The users of the last numbers.

    Attributes:
        newest: the highest number claimed, None if there is none.
        epoch: how often everything was forgotten because the counter restarted.
    """

    __slots__ = ("_ring", "epoch", "newest")

    def __init__(self) -> None:
        self.newest: int | None = None
        self.epoch = 0
        self._ring = bytearray(_RING)

    def forget(self) -> None:
        """Begin anew: the counter has restarted."""
        self.newest = None
        self.epoch += 1
        self._ring = bytearray(_RING)

    def claim(self, number: int, direction: Direction) -> None:
        """Write down that a media frame of `direction` used `number`."""
        self._write(number, direction + _USED_BY)

    def claim_other(self, number: int) -> None:
        """Write down that a frame that is no media used `number`, if that is possible."""
        if self.newest is not None and not is_jump(number - self.newest):
            self._write(number, _NO_MEDIA)

    def recall(self, numbers: Iterable[int], newest: int, direction: Direction) -> None:
        """Write down numbers that one track used before it mattered."""
        self.newest = newest
        for number in numbers:
            if max(newest - _RING, -1) < number <= newest:
                self._ring[number & _MASK] = direction + _USED_BY

    def _write(self, number: int, code: int) -> None:
        newest = number - 1 if self.newest is None else self.newest
        if number > newest:
            for missing in range(newest + 1, number):
                self._ring[missing & _MASK] = _NOBODY
            self.newest = number
        self._ring[number & _MASK] = code

    def is_used_by(self, number: int, direction: Direction) -> bool:
        """Tell whether a media frame of `direction` with `number` has come."""
        return self._ring[number & _MASK] == direction + _USED_BY

    def is_newest_used_by(self, direction: Direction) -> bool:
        """Tell whether the highest number is a media frame of `direction`."""
        return self.newest is not None and self.is_used_by(self.newest, direction)

    def missing_of(self, direction: Direction, after: int, before: int, *, is_alone: bool) -> list[int]:
        """Return the numbers between `after` and `before` that `direction` has lost, most likely."""
        lost = []
        for number in range(max(after + 1, before - _MASK), before):
            code = self._ring[number & _MASK]
            if code == _NOBODY:
                side = direction if is_alone else self._expected(number, direction)
                code = self._ring[number & _MASK] = side + _EXPECTED_OF
            if code == direction + _EXPECTED_OF:
                lost.append(number)
        return lost

    def _expected(self, number: int, default: Direction) -> Direction:
        """Return who had the media number two before `number`, frames that are no media left out."""
        before = (self._ring[number - back & _MASK] for back in range(1, _LOOKBACK))
        media = (code for code in before if code != _NO_MEDIA)
        one_before, two_before = _SIDE[next(media, _NOBODY)], _SIDE[next(media, _NOBODY)]
        if two_before is not None:
            return two_before
        return default if one_before is None else OTHER[one_before]
