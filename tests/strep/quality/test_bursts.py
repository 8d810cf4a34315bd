"""Bursts against the packet-by-packet algorithm of RFC 3611, appendix A.2, written as it stands there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.quality.bursts import GMIN, Bursts, bursts_of


def runs_of(lost: list[bool]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for at, is_lost in enumerate(lost):
        if is_lost and runs and sum(runs[-1]) == at:
            runs[-1] = runs[-1][0], runs[-1][1] + 1
        elif is_lost:
            runs.append((at, 1))
    return runs


def oracle(lost: list[bool]) -> tuple[int, int, int]:
    """Number of bursts, packets in them, lost packets in them: every packet asks how far the next lost ones are."""
    places = [at for at, is_lost in enumerate(lost) if is_lost]
    groups: list[list[int]] = []
    for at in places:
        if groups and at - groups[-1][-1] - 1 < GMIN:
            groups[-1].append(at)
        else:
            groups.append([at])
    bursts = [group for group in groups if len(group) > 1]
    return len(bursts), sum(group[-1] - group[0] + 1 for group in bursts), sum(map(len, bursts))


@given(st.lists(st.booleans(), max_size=400) | st.lists(st.integers(0, 30).map(lambda n: n == 0), max_size=400))
def test_counts_are_those_of_every_packet_looked_at(lost: list[bool]) -> None:
    found = bursts_of(runs_of(lost), len(lost))
    assert (found.packets, found.lost) == (len(lost), sum(lost))
    assert (found.bursts, found.burst_packets, found.burst_lost) == oracle(lost)
    assert found.runs == len(runs_of(lost))
    assert found.longest_run == max((length for _, length in runs_of(lost)), default=0)


def test_a_lost_packet_alone_belongs_to_the_gap() -> None:
    found = bursts_of([(20, 1), (37, 1)], 100)  # GMIN packets arrived between them
    assert found == Bursts(packets=100, lost=2, runs=2, longest_run=1)
    assert (found.gap_density, found.burst_density) == (0.02, 0.0)


def test_two_that_are_near_are_a_burst() -> None:
    found = bursts_of([(20, 1), (36, 1)], 100)
    assert (found.bursts, found.burst_packets, found.burst_lost) == (1, 17, 2)
    assert found.burst_density == pytest.approx(2 / 17)
    assert found.gap_density == 0


def test_loss_in_runs_has_a_ratio_above_that_at_random() -> None:
    assert bursts_of([(at, 1) for at in range(0, 1000, 20)], 1000).burst_ratio == 1  # never below that at random
    assert bursts_of([(at, 4) for at in range(0, 1000, 80)], 1000).burst_ratio == pytest.approx(4 * (1 - 0.052))


def test_nothing_is_nothing() -> None:
    assert bursts_of([], 0) == Bursts(0)
    assert (bursts_of([], 0).loss, bursts_of([], 0).burst_ratio) == (0, 1)
