"""What was heard against what was pressed: every key at most once, and nothing besides."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from benchmarks.hearing_corpus import LEAST_HEARD_SAMPLES, Line, Press
from media.hearing.ear import Heard
from media.hearing.verdict import Digit
from strep.g711 import SAMPLE_RATE_HZ


class Score(msgspec.Struct):
    """Counts of keys.

    Attributes:
        pressed: all of them.
        undecidable: of these, not heard, and nobody could: less than 15 ms in one piece arrived, or nothing of the
            pause before the next, equal one.
        missed: not heard otherwise.
        doubled: heard once more than pressed.
        invented: heard where no such key was pressed.
    """

    pressed: int = 0
    undecidable: int = 0
    missed: int = 0
    doubled: int = 0
    invented: int = 0

    def __iadd__(self, other: Score) -> Score:
        """Add the counts of other lines."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self


def score(found: Sequence[Heard], lines: Sequence[Line], rate_hz: int = SAMPLE_RATE_HZ) -> Score:
    """Return the score of lines that were the inbound tracks of calls 0, 1, ..."""
    total = Score()
    by_call: dict[int, list[Digit]] = {}
    for digit in found:
        if isinstance(digit, Digit):
            by_call.setdefault(digit.key // 2, []).append(digit)
    for number, line in enumerate(lines):
        total += _score(by_call.get(number, []), line, rate_hz)
    return total


def _score(heard: list[Digit], line: Line, rate_hz: int) -> Score:
    least = LEAST_HEARD_SAMPLES * rate_hz // SAMPLE_RATE_HZ
    result, left = Score(len(line.presses)), list(heard)
    for i, press in enumerate(line.presses):
        mine = [digit for digit in left if digit.digit == press.digit and _is_at(digit, press)]
        joined = [other for other in line.presses[i + 1 : i + 2] if _is_joined(line, press, other, least)]
        mine = mine or [digit for digit in left if joined and digit.digit == press.digit and _spans(digit, press)]
        left = [digit for digit in left if digit not in mine]
        result.doubled += max(len(mine) - 1, 0)
        if mine:
            continue
        near = [other for other in line.presses[max(i - 1, 0) : i + 2] if other is not press]
        is_lost = press.heard < least or any(_is_joined(line, press, other, least) for other in near)
        result.undecidable += is_lost
        result.missed += not is_lost
    result.invented = len(left)
    return result


def _is_at(digit: Digit, press: Press) -> bool:
    """Whether the middle of the digit, as it was heard, is within the key or hardly beside it."""
    middle = digit.position_samples + digit.length_samples / 2
    return abs(middle - press.start - press.length / 2) <= 0.75 * press.length


def _spans(digit: Digit, press: Press) -> bool:
    """Whether the digit goes on far behind the key."""
    behind = digit.position_samples + digit.length_samples - press.start - press.length
    return digit.position_samples < press.start + press.length and behind > 0


def _is_joined(line: Line, press: Press, other: Press, least: int) -> bool:
    """Whether two equal keys look like one: hardly anything of the pause between them arrived."""
    first, second = sorted([press, other], key=lambda one: one.start)
    pause = line.lost[first.start + first.length : second.start]
    return press.digit == other.digit and int((~pause).sum()) < least
