"""The order of decoding: everything once, in the order of the sender, and nothing longer than the reorder wait."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from media.codecs import PCMU
from media.decoding.order import MAX_WAITING, DecodeOrder, Fate, Packet
from strep.clock import NEVER_NS

WAIT_NS = 60_000_000
STEP_NS = 20_000_000


def packet(number: int, arrival_ns: int = 0, ssrc: int = 7) -> Packet:
    return Packet(number & 0xFFFF, number * 160 & 0xFFFF_FFFF, ssrc, arrival_ns, b"x", PCMU)


def started(first: int = 0) -> DecodeOrder:
    order = DecodeOrder(WAIT_NS)
    assert list(order.receive(packet(first))) == []
    assert list(order.poll(WAIT_NS)) == [(packet(first), Fate.FIRST)]
    return order


def numbers(ready: list[tuple[Packet, Fate]]) -> list[int]:
    return [each.sequence_number for each, _ in ready]


class TestOrder:
    def test_what_comes_in_order_waits_for_nothing(self) -> None:
        order = started(65_534)
        for number in range(65_535, 65_600):
            assert list(order.receive(packet(number))) == [(packet(number), Fate.NEXT)]
        assert order.deadline() == NEVER_NS

    def test_a_beginning_waits_for_what_it_may_have_overtaken(self) -> None:
        order = DecodeOrder(WAIT_NS)
        for number in (12, 10, 11):
            assert list(order.receive(packet(number, number))) == []
        assert order.deadline() == 10 + WAIT_NS
        ready = list(order.poll(order.deadline()))
        assert [(each.sequence_number, fate) for each, fate in ready] == [
            (10, Fate.FIRST), (11, Fate.NEXT), (12, Fate.NEXT),
        ]  # fmt: skip

    def test_a_hole_is_waited_for(self) -> None:
        order = started()
        assert list(order.receive(packet(2, 1000))) == []
        assert order.deadline() == 1000 + WAIT_NS
        assert numbers(list(order.receive(packet(1)))) == [1, 2]
        assert order.deadline() == NEVER_NS

    def test_and_given_up_by_time(self) -> None:
        order = started()
        assert list(order.receive(packet(2, 1000))) == []
        assert list(order.receive(packet(5, 2000))) == []
        assert list(order.poll(999 + WAIT_NS)) == []
        assert numbers(list(order.poll(1000 + WAIT_NS))) == [2]
        assert order.deadline() == 2000 + WAIT_NS
        assert list(order.receive(packet(1))) == [(packet(1), Fate.BEHIND)]
        assert numbers(list(order.poll(2000 + WAIT_NS))) == [5]

    def test_duplicates_are_behind(self) -> None:
        order = started()
        assert list(order.receive(packet(0))) == [(packet(0), Fate.BEHIND)]
        assert list(order.receive(packet(3))) == []
        assert list(order.receive(packet(3))) == []  # a copy must not take the place of what waits
        assert list(order.flush()) == [(packet(3), Fate.NEXT), (packet(3), Fate.BEHIND)]

    def test_a_new_source_lets_the_old_one_go(self) -> None:
        order = started()
        assert list(order.receive(packet(2))) == []
        assert numbers(list(order.receive(packet(9, ssrc=8)))) == [2]
        assert list(order.poll(WAIT_NS)) == [(packet(9, ssrc=8), Fate.FIRST)]

    def test_a_jump_is_a_new_beginning(self) -> None:
        for number in (30_000, 65_400):
            order = started()
            assert list(order.receive(packet(number))) == []
            assert list(order.poll(WAIT_NS)) == [(packet(number), Fate.FIRST)]

    def test_what_waits_is_bounded(self) -> None:
        order = started()
        ready = [each for number in range(2, MAX_WAITING + 3) for each in order.receive(packet(number))]
        assert numbers(ready) == list(range(2, MAX_WAITING + 3))

    def test_estimates_that_wait_are_mended(self) -> None:
        order = started()
        assert list(order.receive(packet(2))) == []
        order.shift(2, 40)
        ready = [each for each, _ in order.receive(packet(1))]
        assert [each.timestamp for each in ready] == [160, 360]


@given(st.data(), st.integers(0, 65_535))
def test_each_packet_once_and_the_sender_s_order(data: st.DataObject, first: int) -> None:
    sent = list(range(first + 70_000, first + 70_000 + data.draw(st.integers(1, 40))))
    delays = data.draw(st.lists(st.integers(0, 6), min_size=len(sent), max_size=len(sent)))
    copies = data.draw(st.lists(st.sampled_from([0, 1, 1, 1, 2]), min_size=len(sent), max_size=len(sent)))
    arriving = sorted((i + delays[i], i) for i in range(len(sent)) for _ in range(copies[i]))
    order, out = DecodeOrder(WAIT_NS), []
    for moment, i in arriving:
        now_ns = moment * STEP_NS
        out += list(order.poll(now_ns))
        assert order.deadline() > now_ns
        out += list(order.receive(packet(sent[i], now_ns)))
    out += list(order.flush())
    assert order.deadline() == NEVER_NS
    assert Counter(each.sequence_number for each, _ in out) == Counter(sent[i] & 0xFFFF for _, i in arriving)
    forward = [each.timestamp for each, fate in out if fate is not Fate.BEHIND]
    assert forward == sorted(set(forward))
    assert [fate for _, fate in out].count(Fate.FIRST) == (1 if out else 0)
