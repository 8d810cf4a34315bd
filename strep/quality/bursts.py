"""Bursts and gaps of loss, as RFC 3611 section 4.7.2 defines them: how loss is spread decides how it sounds.

A *burst* begins and ends with a lost packet, and fewer than `GMIN` packets in a row arrive within it; a lost packet
alone, `GMIN` arrived ones on either side, belongs to the *gap*, which is all the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

GMIN = 16
"""RFC 3611's recommendation: a gap is a stretch with less than one lost packet in seventeen."""


@dataclass(frozen=True, slots=True)
class Bursts:
    """How loss was spread over a track.

    Attributes:
        packets: that were expected.
        lost: of these, those that never came, or too late.
        runs: stretches of lost packets without one that came.
        longest_run: packets of the longest.
        bursts: how many.
        burst_packets, burst_lost: packets within bursts, and the lost ones of them.
    """

    packets: int
    lost: int = 0
    runs: int = 0
    longest_run: int = 0
    bursts: int = 0
    burst_packets: int = 0
    burst_lost: int = 0

    @property
    def loss(self) -> float:
        """Share of the packets that are lost, 0 to 1."""
        return self.lost / self.packets if self.packets else 0.0

    @property
    def burst_density(self) -> float:
        """Share that is lost within bursts, 0 to 1."""
        return self.burst_lost / self.burst_packets if self.burst_packets else 0.0

    @property
    def gap_density(self) -> float:
        """Share that is lost between bursts, 0 to 1."""
        between = self.packets - self.burst_packets
        return (self.lost - self.burst_lost) / between if between else 0.0

    @property
    def mean_burst_packets(self) -> float:
        """Mean length of a burst."""
        return self.burst_packets / self.bursts if self.bursts else 0.0

    @property
    def burst_ratio(self) -> float:
        """Mean length of a run over its length if loss came at random, 1 at least: BurstR of ITU-T G.107 (7.4)."""
        return max(self.lost / self.runs * (1 - self.loss), 1.0) if self.runs else 1.0


def bursts_of(runs: Iterable[tuple[int, int]], packets: int) -> Bursts:
    """Return how loss is spread.

    Args:
        runs: start and length of every stretch of lost packets, in packets, in order and apart from one another.
        packets: that were expected, lost ones included.
    """
    lost = count = longest = bursts = burst_packets = burst_lost = 0
    start = end = within = 0  # of the burst that may go on, and what is lost in it

    def close() -> None:
        nonlocal bursts, burst_packets, burst_lost
        if within > 1:  # one lost packet alone is no burst
            bursts, burst_packets, burst_lost = bursts + 1, burst_packets + end - start, burst_lost + within

    for at, length in runs:
        count, lost, longest = count + 1, lost + length, max(longest, length)
        if within and at - end < GMIN:
            end, within = at + length, within + length
        else:
            close()
            start, end, within = at, at + length, length
    close()
    return Bursts(packets, lost, count, longest, bursts, burst_packets, burst_lost)
