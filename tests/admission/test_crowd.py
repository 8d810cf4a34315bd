"""Strangers: few at a time, and who fills the room goes first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from media.admission.crowd import Crowd, network_of


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=60), st.integers(1, 8))
def test_any_history(history: list[tuple[int, bool]], most: int) -> None:
    """Against a list: never more than `most`; who goes is the oldest of an address that has most."""
    crowd, there = Crowd(most), list[tuple[int, str]]()
    gone: list[int] = []
    for number, (address_number, leaves) in enumerate(history):
        address = f"192.0.2.{address_number}"
        if leaves and there:
            left, _ = there.pop(0)
            crowd.leave(left)
            crowd.leave(left)
            continue
        crowd.enter(number, address, lambda number=number: gone.append(number))  # type: ignore[misc]
        there.append((number, address))
        if len(there) > most:
            counts = [sum(other == mine for _, other in there) for _, mine in there]
            expected = there.pop(counts.index(max(counts)))
            assert gone[-1] == expected[0]
        assert len(crowd) == len(there) <= most
    assert crowd.expelled == len(gone)
    for number, _ in there:
        crowd.leave(number)
    assert not crowd._by_address


def test_one_subscriber_of_ipv6_is_one() -> None:
    assert network_of("2001:db8:1:2::5") == network_of("2001:db8:1:2:ffff::1%eth0") != network_of("2001:db8:1:3::5")
    assert network_of("192.0.2.1") == "192.0.2.1"
