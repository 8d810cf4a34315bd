from __future__ import annotations

import pytest

from media.ws.owners import MAX_DROPOUT, MAX_MISORDER, NumberOwners, is_jump
from tests.ws.streams import IN, OUT


def owners(pattern: str) -> NumberOwners:
    """Return owners of the numbers from 0 on: i inbound, o outbound, x no media, - nobody."""
    result = NumberOwners()
    result.claim(0, IN)
    for number, letter in enumerate(pattern):
        if letter == "x":
            result.claim_other(number)
        elif letter != "-":
            result.claim(number, IN if letter == "i" else OUT)
    return result


class TestAppendixA1:
    """RFC 3550 appendix A.1."""

    @pytest.mark.parametrize("step", [1, 0, MAX_DROPOUT, 1 - MAX_MISORDER])
    def test_goes_on(self, step: int) -> None:
        assert not is_jump(step)

    @pytest.mark.parametrize("step", [MAX_DROPOUT + 1, -MAX_MISORDER, 1 << 62, -(1 << 62)])
    def test_restarts(self, step: int) -> None:
        assert is_jump(step)


class TestMissing:
    @pytest.mark.parametrize(
        ("pattern", "direction", "after", "lost"),
        [
            ("ioio-o", IN, 2, [4]),
            ("ioi-i", OUT, 1, [3]),
            ("ioio----i", IN, 2, [4, 6]),
            ("ioio----i", OUT, 3, [5, 7]),
            ("iii--i", IN, 2, [3, 4]),
            ("ioxi-i", OUT, 1, [4]),
            ("ioioooooi", IN, 2, []),
            ("io", IN, 0, []),
        ],
    )
    def test_is_of_the_track_two_before(self, pattern: str, direction: int, after: int, lost: list[int]) -> None:
        side = IN if direction == IN else OUT
        assert owners(pattern).missing_of(side, after, len(pattern), is_alone=False) == lost

    def test_alone_all_are_mine(self) -> None:
        assert owners("i--i").missing_of(IN, 0, 3, is_alone=True) == [1, 2]

    def test_both_tracks_agree_on_what_was_whose(self) -> None:
        ring = owners("ioio----io")
        assert ring.missing_of(OUT, 3, 9, is_alone=False) == [5, 7]
        assert ring.missing_of(IN, 2, 8, is_alone=False) == [4, 6]

    def test_more_than_the_ring_holds(self) -> None:
        ring = owners("io")
        ring.claim(100_000, IN)
        assert 0 < len(ring.missing_of(IN, 0, 100_000, is_alone=True)) < 4096


class TestMemory:
    def test_who_used_what(self) -> None:
        ring = owners("ioi")
        assert ring.is_used_by(1, OUT)
        assert not ring.is_used_by(1, IN)
        assert ring.is_newest_used_by(IN)
        assert not NumberOwners().is_newest_used_by(IN)

    def test_old_numbers_are_overwritten(self) -> None:
        ring = owners("ioi")
        ring.claim(2 + 4096, OUT)
        assert not ring.is_used_by(2, IN)
        assert not ring.is_used_by(1 + 4096, OUT)

    def test_forget(self) -> None:
        ring = owners("ioi")
        ring.forget()
        assert ring.newest is None
        assert ring.epoch == 1
        assert not ring.is_used_by(1, OUT)

    def test_recall(self) -> None:
        ring = NumberOwners()
        ring.recall([-1, 0, 5, 9, 7_000], 9, OUT)
        assert [number for number in range(4096) if ring.is_used_by(number, OUT)] == [0, 5, 9]

    @pytest.mark.parametrize("number", [1 << 62, MAX_DROPOUT + 3])
    def test_no_media_far_away_is_not_believed(self, number: int) -> None:
        ring = owners("ioi")
        ring.claim_other(number)
        assert ring.newest == 2
